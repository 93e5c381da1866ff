//! How often a cloud is asked: as often as it takes it.
//!
//! OpenStack's own services have no limit to their callers, the proxies before them do, and each its own. It is learnt from
//! their 429: for a moment no one comes, then a little less is asked than was taken, and more again with time.

use std::time::Duration;

use tokio::time::Instant;

/// A 429 without `Retry-After`.
const REST: Duration = Duration::from_secs(1);
/// A longer `Retry-After` may be meant for one kind of request, and all others would wait with the one that was refused.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Of what the cloud took, this is asked after it has refused; but at once no less than half as much as before, as who asked
/// little knows little of what it takes.
const DECREASE: f64 = 0.9;
const HALF: f64 = 0.5;
/// Of that, more with each second.
const INCREASE: f64 = 0.05;
/// Other callers of the cloud may have had most of its limit for a while.
const LEAST: f64 = 2.0;
/// Of sums of parts of requests.
const ROUNDING: f64 = 1e-6;
/// What the cloud takes is counted over so long and as long again.
const COUNTED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Budget {
    /// Requests a second: the most, and now.
    most: f64,
    rate: f64,
    /// Requests a second, more with each second.
    increase: f64,
    /// Requests that may come at once after a quiet time, where the cloud hasn't refused any.
    burst: f64,
    free: f64,
    filled: Instant,
    /// The last time that it refused one which wasn't sent before the time before.
    slowed: Option<Instant>,
    closed_until: Option<Instant>,
    taken: Taken,
}

/// What the cloud took, in this period and in the one before.
#[derive(Debug)]
struct Taken {
    began: Instant,
    count: u32,
    before: (Duration, u32),
}

impl Budget {
    pub fn new(per_second: u32, burst: u32) -> Self {
        let (rate, burst) = (f64::from(per_second), f64::from(burst));
        let filled = Instant::now();
        let taken = Taken { began: filled, count: 0, before: (Duration::ZERO, 0) };
        Self {
            most: rate,
            rate,
            increase: 0.0,
            burst,
            free: burst,
            filled,
            slowed: None,
            closed_until: None,
            taken,
        }
    }

    /// How long until a request may be sent; where that is now, it is counted.
    pub fn take(&mut self) -> Duration {
        let closed = self.closed_for();
        if !closed.is_zero() {
            return closed;
        }
        self.fill();
        if self.free >= 1.0 - ROUNDING {
            self.free -= 1.0;
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.free) / self.rate)
    }

    fn closed_for(&self) -> Duration {
        self.closed_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Requests a second, now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Likewise; `None` before the cloud's first 429.
    pub fn learnt(&self) -> Option<f64> {
        self.slowed.map(|_| self.rate)
    }

    /// The cloud answered something else than 429.
    pub fn taken(&mut self) {
        self.taken.count();
    }

    /// It answered 429 to what was sent then.
    pub fn refused(&mut self, sent: Instant, retry_after: Option<Duration>) {
        let (now, taken) = (Instant::now(), self.taken.a_second());
        self.close_until(now + retry_after.unwrap_or(REST).min(LONGEST_REST));
        // What was under way at that time says nothing new.
        if self.slowed.is_some_and(|slowed| sent <= slowed) {
            return;
        }
        self.slowed = Some(now);
        let taken = self.rate.min(taken) * DECREASE;
        self.rate = taken.max(self.rate * HALF).max(LEAST).min(self.most);
        self.increase = self.rate * INCREASE;
    }

    /// What the cloud has room for by then is left to it: it would refuse one too many of a crowd.
    fn close_until(&mut self, until: Instant) {
        let longer = until.saturating_duration_since(Instant::now() + self.closed_for());
        self.taken.rest(longer);
        self.closed_until = self.closed_until.max(Some(until));
        self.free = 0.0;
        self.filled = self.filled.max(until);
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        if self.slowed.is_some() {
            self.rate = (self.rate + passed * self.increase).min(self.most);
        }
        let size = if self.slowed.is_some() { self.rate.min(self.burst) } else { self.burst };
        self.free = (self.free + passed * self.rate).min(size.max(1.0));
    }
}

impl Taken {
    /// Nothing is asked for so long.
    fn rest(&mut self, time: Duration) {
        self.began += time;
    }

    fn count(&mut self) {
        let passed = self.began.elapsed();
        if passed >= COUNTED {
            self.before = (passed.min(2 * COUNTED), self.count);
            (self.began, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
    }

    fn a_second(&self) -> f64 {
        let passed = self.before.0 + self.began.elapsed();
        f64::from(self.before.1 + self.count) / passed.max(COUNTED).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace;

    /// A cloud that lets so many through a second, and some at once.
    struct Proxy {
        rate: f64,
        burst: f64,
        free: f64,
        at: Instant,
    }

    impl Proxy {
        fn new(rate: f64, burst: f64) -> Self {
            Self { rate, burst, free: burst, at: Instant::now() }
        }

        fn lets_through(&mut self) -> bool {
            self.free = (self.free + self.at.elapsed().as_secs_f64() * self.rate).min(self.burst);
            self.at = Instant::now();
            let passes = self.free >= 1.0;
            self.free -= f64::from(u8::from(passes));
            passes
        }
    }

    /// Requests one after another for so long, without pause: how many the cloud took, and refused.
    async fn ask(budget: &mut Budget, proxy: &mut Proxy, time: Duration) -> (u32, u32) {
        let (began, mut counts) = (Instant::now(), (0, 0));
        while began.elapsed() < time {
            let wait = budget.take();
            if !wait.is_zero() {
                pace::sleep(wait).await;
                continue;
            }
            let sent = Instant::now();
            pace::sleep(Duration::from_millis(1)).await;
            if proxy.lets_through() {
                budget.taken();
                counts.0 += 1;
            } else {
                budget.refused(sent, Some(Duration::from_secs(1)));
                counts.1 += 1;
            }
        }
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_without_a_limit_gets_the_burst_and_then_the_rate() {
        let mut budget = Budget::new(10, 5);
        let waits: Vec<_> = (0..6).map(|_| budget.take().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 100]);
        pace::sleep(Duration::from_secs(60)).await;
        let waits = (0..6).filter(|_| budget.take().is_zero()).count();
        assert_eq!(waits, 5, "a quiet time fills the burst, and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_found_and_nearly_all_of_it_is_used() {
        for rate in [5.0, 50.0, 200.0] {
            let (mut budget, mut proxy) = (Budget::new(500, 500), Proxy::new(rate, 2.0 * rate));
            let (taken, refused) = ask(&mut budget, &mut proxy, Duration::from_secs(120)).await;
            let most = rate * 122.0;
            assert!(f64::from(taken) > most * 0.85, "{taken} of {most} at {rate} a second");
            assert!(f64::from(refused) < most * 0.1, "{refused} refused at {rate} a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_as_long_as_was_told_is_counted() {
        let mut budget = Budget::new(5, 10);
        let (began, mut sent) = (Instant::now(), 0);
        for pause in (1..).map(|number| Duration::from_millis(number * 37 % 90)) {
            if began.elapsed() > Duration::from_secs(60) {
                break;
            }
            pace::sleep(pause).await;
            while !budget.take().is_zero() {
                pace::sleep(budget.take()).await;
            }
            sent += 1;
        }
        assert!(sent <= 10 + 60 * 5 + 1, "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_comes_before_the_time_that_the_cloud_names_if_that_is_soon() {
        let mut budget = Budget::new(100, 100);
        budget.refused(Instant::now(), Some(Duration::from_secs(4)));
        assert_eq!(budget.take(), Duration::from_secs(4));
        budget.refused(Instant::now(), None);
        assert_eq!(budget.take(), Duration::from_secs(4), "a later answer doesn't open it earlier");
        budget.refused(Instant::now(), Some(Duration::from_secs(600)));
        assert_eq!(budget.take(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_under_way_slows_nobody_twice_and_the_rate_comes_back() {
        let mut budget = Budget::new(100, 100);
        let sent = Instant::now();
        (0..80).for_each(|_| budget.taken());
        pace::sleep(Duration::from_secs(1)).await;
        budget.refused(Instant::now(), None);
        let slowed = budget.rate();
        assert_eq!(slowed, 72.0);
        budget.refused(sent, None);
        assert_eq!(budget.rate(), slowed);
        pace::sleep(Duration::from_secs(5)).await;
        budget.take();
        assert!((budget.rate() - 72.0 * 1.2).abs() < 1e-6, "{}", budget.rate());
        pace::sleep(Duration::from_secs(600)).await;
        budget.take();
        assert_eq!(budget.rate(), 100.0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asked_little_is_slowed_to_half_at_most() {
        let mut budget = Budget::new(100, 100);
        budget.taken();
        budget.refused(Instant::now(), None);
        assert_eq!(budget.rate(), 50.0);
    }
}

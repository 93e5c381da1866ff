//! Where the time of an RPC went. Its calls may run beside each other, so that a stretch lasts while any of them is on it.

use std::time::Duration;

use tokio::time::Instant;

use super::Record;

/// A stretch of a call's way; each one lies within the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::openstack) enum Stretch {
    /// All of it, its attempts and the pauses between them.
    Call,
    /// One attempt, from the queue for its turn on.
    Attempt,
    /// Its turn has come: from here it gets a token and is sent.
    Turn,
    /// One exchange over HTTP.
    Exchange,
}

const STRETCHES: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Clocks([Clock; STRETCHES]);

#[derive(Clone, Debug, Default)]
struct Clock {
    calls: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Clocks {
    pub fn start(&mut self, stretch: Stretch) {
        let clock = self.of(stretch);
        clock.calls += 1;
        clock.since.get_or_insert_with(Instant::now);
    }

    pub fn stop(&mut self, stretch: Stretch) {
        let clock = self.of(stretch);
        clock.calls = clock.calls.saturating_sub(1);
        if clock.calls == 0 {
            clock.halt();
        }
    }

    fn of(&mut self, stretch: Stretch) -> &mut Clock {
        let [call, attempt, turn, exchange] = &mut self.0;
        match stretch {
            Stretch::Call => call,
            Stretch::Attempt => attempt,
            Stretch::Turn => turn,
            Stretch::Exchange => exchange,
        }
    }
}

impl Clock {
    fn halt(&mut self) {
        self.total += self.since.take().map(|since| since.elapsed()).unwrap_or_default();
    }
}

impl Record {
    /// Nothing counts from here on; an exchange that is still under way has happened.
    pub(super) fn close(&mut self) {
        self.clocks.0.iter_mut().for_each(Clock::halt);
        self.calls += self.clocks.of(Stretch::Exchange).calls;
    }

    /// The parts of `took`, by name:
    ///
    /// | part | what went on |
    /// |---|---|
    /// | `answers` | a call waited for the cloud's answer |
    /// | `token` | no more than: one waited for a token or the microversions that others fetch, too |
    /// | `turn` | no more than: one waited for its turn under this driver's own limits |
    /// | `pauses` | no more than: one paused before it was tried again |
    /// | `states` | no call at all: the cloud was given time to do what it was asked |
    pub fn spent(&self, took: Duration) -> Vec<(&'static str, Duration)> {
        let [call, attempt, turn, exchange] = &self.clocks.0;
        vec![
            ("answers", exchange.total),
            ("token", turn.total.saturating_sub(exchange.total)),
            ("turn", attempt.total.saturating_sub(turn.total)),
            ("pauses", call.total.saturating_sub(attempt.total)),
            ("states", took.saturating_sub(call.total)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::recorded::{Recorded, Reply, TOKENS, VOLUME, VOLUME_ID, options, token, volume};
    use super::super::super::{Cloud, Limits};
    use super::super::{on, recorded};
    use super::*;
    use crate::pace::sleep;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    async fn call(queue: u64, token: u64, answer: u64) {
        let _call = on(Stretch::Call);
        let _attempt = on(Stretch::Attempt);
        sleep(seconds(queue)).await;
        let _turn = on(Stretch::Turn);
        sleep(seconds(token)).await;
        let _exchange = on(Stretch::Exchange);
        sleep(seconds(answer)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_parts_of_an_rpc_are_all_of_it() {
        let (_, record) = recorded(async {
            call(1, 2, 4).await;
            sleep(seconds(8)).await;
            let _pausing = on(Stretch::Call);
            sleep(seconds(16)).await;
        })
        .await;
        let parts = [("answers", 4), ("token", 2), ("turn", 1), ("pauses", 16), ("states", 8)];
        assert_eq!(record.spent(seconds(31)), parts.map(|(part, time)| (part, seconds(time))));
    }

    #[tokio::test(start_paused = true)]
    async fn each_layer_that_waits_is_a_part() {
        let played = Recorded::default();
        played.on(TOKENS, [token("t", "2026-01-01T01:00:00Z").after(seconds(2))]);
        let throttled = Reply::new(429, "").header("retry-after", "7");
        played.on(VOLUME, [throttled, volume("in-use").after(seconds(3)), volume("in-use")]);
        let limits = Limits { per_second: 1, burst: 1, ..Limits::default() };
        let cloud = Cloud::limited(played.http(), options(), limits);
        let (_, record) = recorded(async {
            for _ in 0..3 {
                cloud.cinder.get_volume(VOLUME_ID.parse().unwrap()).await.unwrap();
            }
        })
        .await;
        let parts = [("answers", 3), ("token", 2), ("turn", 1), ("pauses", 7), ("states", 0)];
        let told = record.spent(seconds(13)).into_iter().map(|(part, time)| (part, time.as_secs()));
        assert_eq!(told.collect::<Vec<_>>(), parts);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beside_each_other_take_the_time_of_the_longest() {
        let (_, record) = recorded(async { tokio::join!(call(0, 0, 3), call(0, 0, 5)) }).await;
        assert_eq!(record.spent(seconds(5))[0], ("answers", seconds(5)));
        assert_eq!(record.spent(seconds(5))[4], ("states", seconds(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_is_counted_until_then() {
        let hurried = async { tokio::time::timeout(seconds(3), call(1, 0, 60)).await.unwrap_err() };
        let (_, record) = recorded(hurried).await;
        assert_eq!(record.spent(seconds(3))[0], ("answers", seconds(2)));
    }
}

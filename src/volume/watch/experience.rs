//! How long this cloud takes, and so when to look.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::pace::Backoff;

/// What is waited for: the verb and the kind of object.
pub type Work = (&'static str, &'static str);

/// The first pause where nothing is known.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const GROWTH: f64 = 1.4;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between two looks around the time at which most are done: of the whole wait, of its deviation, and at least.
const SHARE: f64 = 1.0 / 16.0;
const DEVIATION_SHARE: f64 = 1.0 / 2.0;
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// So many share the cost of one more list.
const SHARERS: usize = 8;
/// The weights of one more time that was seen, as TCP weighs its round trips (RFC 6298).
const MEAN_WEIGHT: f64 = 1.0 / 8.0;
const DEVIATION_WEIGHT: f64 = 1.0 / 4.0;
/// So many deviations around the mean, most are done.
const WIDTH: f64 = 2.0;

/// What was learnt.
#[derive(Debug, Default)]
pub struct Experience(BTreeMap<Work, Known>);

/// In seconds.
#[derive(Clone, Copy, Debug)]
struct Known {
    mean: f64,
    deviation: f64,
}

/// The pauses of one wait.
#[derive(Clone, Debug)]
pub struct Schedule {
    expected: Option<Expected>,
    /// Of all pauses so far.
    passed: Duration,
    backoff: Backoff,
}

/// Most are done between these.
#[derive(Clone, Copy, Debug)]
struct Expected {
    from: Duration,
    until: Duration,
    pause: Duration,
}

impl Experience {
    /// It was over after so long.
    pub fn learn(&mut self, work: Work, took: Duration) {
        let took = took.as_secs_f64();
        let first = Known { mean: took, deviation: took / 2.0 };
        self.0
            .entry(work)
            .and_modify(|known| {
                known.deviation += DEVIATION_WEIGHT * ((took - known.mean).abs() - known.deviation);
                known.mean += MEAN_WEIGHT * (took - known.mean);
            })
            .or_insert(first);
    }

    pub fn schedule(&self, work: Work) -> Schedule {
        let expected = self.0.get(&work).map(|known| known.expected());
        Schedule { expected, ..Schedule::default() }
    }
}

impl Known {
    fn expected(self) -> Expected {
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0));
        let width = WIDTH * self.deviation;
        Expected {
            from: seconds(self.mean - width).max(SHORTEST_PAUSE),
            until: seconds(self.mean + width),
            pause: seconds((self.mean * SHARE).max(self.deviation * DEVIATION_SHARE))
                .clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        }
    }
}

/// Nothing is known.
impl Default for Schedule {
    fn default() -> Self {
        let backoff = Backoff::growing(FIRST_LOOK, GROWTH, LONGEST_PAUSE);
        Self { expected: None, passed: Duration::ZERO, backoff }
    }
}

impl Schedule {
    /// The length of the next pause, where so many share the looks.
    pub fn step(&mut self, sharers: usize) -> Duration {
        let share = (sharers / SHARERS).max(1) as u32;
        let pause = match self.expected {
            Some(expected) if self.passed < expected.from => (expected.from - self.passed).min(LONGEST_PAUSE),
            Some(expected) if self.passed < expected.until => (expected.pause / share).max(SHORTEST_PAUSE),
            _ => (self.backoff.step() / share).max(SHORTEST_PAUSE),
        };
        self.passed += pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACH: Work = ("attach", "volume");

    fn after(times: impl IntoIterator<Item = u64>) -> Experience {
        let mut experience = Experience::default();
        times.into_iter().for_each(|time| experience.learn(ATTACH, Duration::from_millis(time)));
        experience
    }

    /// When the looks come, in milliseconds.
    fn looks(mut schedule: Schedule, count: usize) -> Vec<u128> {
        let mut at = Duration::ZERO;
        let mut next = || {
            at += schedule.step(1);
            at.as_millis()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_cloud_that_takes_as_long_as_ever_is_looked_at_when_it_is_done() {
        let experience = after([3000; 40]);
        let looks = looks(experience.schedule(ATTACH), 3);
        // It may be another kind of volume, so that nobody waits for longer than two seconds unseen.
        assert_eq!(looks[0], 2000);
        assert!((2990..=3000).contains(&looks[1]) && looks[2] <= 3200, "{looks:?}");
    }

    #[test]
    fn one_that_varies_is_looked_at_over_the_whole_time() {
        let experience = after((0..200).map(|number| 2000 + 2000 * (number % 11) / 10));
        let looks = looks(experience.schedule(ATTACH), 12);
        assert!((1200..=2000).contains(&looks[0]), "{looks:?}");
        let within: Vec<_> =
            looks.windows(2).filter(|pair| pair[1] <= 3600).map(|pair| pair[1] - pair[0]).collect();
        assert!(within.iter().all(|pause| (150..=450).contains(pause)), "{looks:?}");
    }

    #[test]
    fn what_takes_much_longer_than_ever_is_looked_at_less_and_less() {
        let looks = looks(after([500; 40]).schedule(ATTACH), 30);
        let last = &looks[28..];
        assert!((1500..=2000).contains(&(last[1] - last[0])), "{looks:?}");
    }

    #[test]
    fn a_faster_cloud_is_learnt_by_looks_that_come_too_late() {
        let mut experience = after([3000; 40]);
        for _ in 0..200 {
            let done = Duration::from_millis(500);
            let mut schedule = experience.schedule(ATTACH);
            let mut seen = schedule.step(1);
            while seen < done {
                seen += schedule.step(1);
            }
            experience.learn(ATTACH, seen);
        }
        let looks = looks(experience.schedule(ATTACH), 1);
        assert!(looks[0] < 700, "{looks:?}");
    }

    #[test]
    fn many_who_wait_are_looked_at_more_often() {
        let mut schedule = after([3000; 40]).schedule(ATTACH);
        assert_eq!(schedule.step(1000), LONGEST_PAUSE, "nobody is done so soon");
        schedule.step(1000);
        assert_eq!(schedule.step(1000), SHORTEST_PAUSE);
    }

    #[test]
    fn what_is_over_at_once_is_looked_at_after_the_shortest_pause() {
        assert_eq!(looks(after([40; 40]).schedule(ATTACH), 1), [50]);
    }

    #[test]
    fn nothing_is_known_at_first() {
        let looks = looks(Experience::default().schedule(ATTACH), 2);
        assert!((75..=100).contains(&looks[0]) && looks[1] < 250, "{looks:?}");
    }
}

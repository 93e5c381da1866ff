//! How long the simulated cloud takes.

use std::time::Duration;

/// A time that varies evenly by `jitter` to both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub base: Duration,
    pub jitter: Duration,
}

/// The time of every operation, from the answer to its end (`get`: of every HTTP answer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    pub get: Span,
    pub create: Span,
    pub delete: Span,
    pub attach: Span,
    pub detach: Span,
    pub extend: Span,
    /// From Cinder's `in-use` to the moment when the server's disk has the new size.
    pub grow: Span,
    pub retype: Span,
    pub snapshot: Span,
    pub delete_snapshot: Span,
    pub backup: Span,
    pub delete_backup: Span,
    pub restore: Span,
    /// Of a group: its create, update and delete.
    pub group: Span,
}

impl Span {
    pub const fn of_millis(base: u64, jitter: u64) -> Self {
        Self { base: Duration::from_millis(base), jitter: Duration::from_millis(jitter) }
    }

    pub(super) fn pick(self, random: &mut fastrand::Rng) -> Duration {
        if self.jitter.is_zero() {
            return self.base;
        }
        let whole = self.base + self.jitter.mul_f64(random.f64() * 2.0);
        whole.saturating_sub(self.jitter)
    }
}

impl Latency {
    /// Answers at once, and what an answer promised is done at the next request.
    pub fn zero() -> Self {
        Self::fixed(Duration::ZERO)
    }

    /// Answers at once, and every operation takes `time`.
    pub fn fixed(time: Duration) -> Self {
        let span = Span { base: time, jitter: Duration::ZERO };
        let get = Span::of_millis(0, 0);
        Self {
            get,
            create: span,
            delete: span,
            attach: span,
            detach: span,
            extend: span,
            grow: span,
            retype: span,
            snapshot: span,
            delete_snapshot: span,
            backup: span,
            delete_backup: span,
            restore: span,
            group: span,
        }
    }

    /// Every answer takes `time`, and every operation as long again.
    pub fn each(time: Duration) -> Self {
        Self { get: Span { base: time, jitter: Duration::ZERO }, ..Self::fixed(time) }
    }

    /// What the real OpenStack of `tests/openstack` takes on a small machine.
    pub fn lab() -> Self {
        Self {
            get: Span::of_millis(14, 4),
            create: Span::of_millis(210, 60),
            delete: Span::of_millis(70, 20),
            attach: Span::of_millis(390, 90),
            detach: Span::of_millis(240, 60),
            extend: Span::of_millis(150, 40),
            grow: Span::of_millis(120, 60),
            retype: Span::of_millis(200, 50),
            snapshot: Span::of_millis(200, 50),
            delete_snapshot: Span::of_millis(70, 20),
            backup: Span::of_millis(900, 200),
            delete_backup: Span::of_millis(100, 30),
            restore: Span::of_millis(900, 200),
            group: Span::of_millis(200, 50),
        }
    }

    /// A production cloud with disks over a network.
    pub fn production() -> Self {
        Self {
            get: Span::of_millis(30, 10),
            create: Span::of_millis(1000, 300),
            delete: Span::of_millis(1000, 300),
            attach: Span::of_millis(3000, 1000),
            detach: Span::of_millis(2000, 1000),
            extend: Span::of_millis(1000, 300),
            grow: Span::of_millis(500, 300),
            retype: Span::of_millis(2000, 500),
            snapshot: Span::of_millis(2000, 500),
            delete_snapshot: Span::of_millis(1000, 300),
            backup: Span::of_millis(30_000, 10_000),
            delete_backup: Span::of_millis(3000, 1000),
            restore: Span::of_millis(30_000, 10_000),
            group: Span::of_millis(1000, 300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_times_and_they_stay_in_their_span() {
        let times = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..50).map(|_| Span::of_millis(3000, 1000).pick(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
        assert!(times(7).iter().all(|time| (2000..=4000).contains(&time.as_millis())));
    }
}

//! The phases of staging a volume: how long each took, for the metric and for the line of log of a slow call.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is done with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The disk is waited for, found and verified.
    Find,
    /// What is on it is looked at.
    Probe,
    /// A file system is made.
    Mkfs,
    /// Its file system is checked.
    Check,
    Mount,
    /// Its file system is grown.
    Grow,
}

/// The phases of one piece of work, in their order. Cheap to clone: the clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Phases(Arc<Mutex<Vec<Entry>>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    phase: Phase,
    began: Instant,
    /// `None`: it goes on.
    took: Option<Duration>,
}

tokio::task_local! {
    static PHASES: Phases;
}

/// Runs `work` and says what phases it had.
pub async fn phased<F: Future>(work: F) -> (F::Output, Phases) {
    let phases = Phases::default();
    (phases.clone().of(work).await, phases)
}

/// Runs `work` as this phase.
pub(super) async fn phase<F: Future>(phase: Phase, work: F) -> F::Output {
    let phases = Phases::current();
    let began = Instant::now();
    let place = phases.begin(phase, began);
    let output = work.await;
    let took = began.elapsed();
    phases.end(place, took);
    metrics::histogram!("cinder_csi_stage_phase_duration_seconds", "phase" => phase.name()).record(took);
    output
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Find => "find",
            Phase::Probe => "probe",
            Phase::Mkfs => "mkfs",
            Phase::Check => "check",
            Phase::Mount => "mount",
            Phase::Grow => "grow",
        }
    }
}

impl Phases {
    /// Those of the work that goes on, to be carried into another task.
    pub(super) fn current() -> Self {
        PHASES.try_with(Self::clone).unwrap_or_default()
    }

    /// Runs `work` so that its phases are noted here.
    pub(super) async fn of<F: Future>(self, work: F) -> F::Output {
        PHASES.scope(self, work).await
    }

    /// The parts of `took`, by name; one that goes on counts until now. `other` is what no phase is.
    pub fn spent(&self, took: Duration) -> Vec<(&'static str, Duration)> {
        let entries = self.entries();
        let of = |entry: &Entry| (entry.phase.name(), entry.took.unwrap_or_else(|| entry.began.elapsed()));
        let mut parts: Vec<_> = entries.iter().map(of).collect();
        let known = parts.iter().map(|(_, time)| *time).sum();
        parts.push(("other", took.saturating_sub(known)));
        parts
    }

    fn begin(&self, phase: Phase, began: Instant) -> usize {
        let mut entries = self.entries();
        entries.push(Entry { phase, began, took: None });
        entries.len() - 1
    }

    fn end(&self, place: usize, took: Duration) {
        if let Some(entry) = self.entries().get_mut(place) {
            entry.took = Some(took);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Claims;
    use super::*;
    use crate::pace::{self, Deadline};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn phases_are_noted_from_the_task_that_does_the_work_and_measured() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let claims = Claims::default();
        let work = async {
            phase(Phase::Find, pace::sleep(seconds(3))).await;
            pace::sleep(seconds(1)).await;
            phase(Phase::Mkfs, pace::sleep(seconds(60))).await;
            Ok(())
        };
        let call = pace::within(Deadline::after(seconds(10)), claims.run("v", work));
        let (late, phases) = phased(call).await;
        late.unwrap_err();
        let parts: Vec<_> =
            phases.spent(seconds(11)).iter().map(|(part, time)| (*part, time.as_secs())).collect();
        assert_eq!(parts, [("find", 3), ("mkfs", 6), ("other", 1)], "mkfs goes on");
        claims.idle(Deadline::after(seconds(100))).await;
        assert_eq!(phases.spent(seconds(100))[1], ("mkfs", seconds(60)));
        let told = recorder.handle().render();
        for name in ["find", "mkfs"] {
            let count = format!("cinder_csi_stage_phase_duration_seconds_count{{phase=\"{name}\"}} 1");
            assert!(told.contains(&count), "{told}");
        }
    }
}

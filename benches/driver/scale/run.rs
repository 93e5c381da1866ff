//! A scenario under way: what was asked of the cloud meanwhile, and what it cost the controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cinder_csi::pace;
use cinder_csi::sandbox::Deed;

use super::super::Outcome;
use super::bed::Bed;
use super::load::Done;

const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// What was seen of a scenario.
pub struct Run {
    pub name: String,
    pub took: Duration,
    pub done: Vec<Done>,
    pub deeds: Vec<Deed>,
    /// How often the cloud was asked for each kind of request.
    pub calls: BTreeMap<String, usize>,
    /// When each was asked for, since the beginning.
    pub asked: Vec<Duration>,
    pub throttled: usize,
    pub processor: Duration,
    /// The most that was resident, in bytes.
    pub resident: u64,
    /// How many operations were under way, at times since the beginning.
    pub waiting: Vec<(Duration, usize)>,
}

/// Counts the operations that are under way.
#[derive(Clone, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let result = work.await;
        self.0.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

impl Run {
    pub async fn of(
        name: String,
        bed: &Bed,
        waiting: Waiting,
        load: impl Future<Output = Outcome<Vec<Done>>>,
    ) -> Outcome<Self> {
        bed.cloud.exchanges();
        let (throttled, processor) = (bed.cloud.cloud.throttled(), bed.processor_time().await);
        let began = Instant::now();
        let samples = std::cell::RefCell::new((Vec::new(), 0));
        let done = tokio::select! {
            done = load => done?,
            () = sample(bed, &waiting, began, &samples) => Vec::new(),
        };
        let took = began.elapsed();
        let calls = bed.cloud.cloud.calls();
        let mut kinds = BTreeMap::new();
        calls.iter().for_each(|call| *kinds.entry(call.to_string()).or_default() += 1);
        let (samples, resident) = samples.into_inner();
        Ok(Self {
            name,
            took,
            done,
            deeds: bed.cloud.cloud.deeds(),
            calls: kinds,
            asked: calls.iter().map(|call| call.at.into_std().saturating_duration_since(began)).collect(),
            throttled: bed.cloud.cloud.throttled() - throttled,
            processor: bed.processor_time().await.saturating_sub(processor),
            resident,
            waiting: samples,
        })
    }

    pub fn calls_an_operation(&self) -> f64 {
        self.calls.values().sum::<usize>() as f64 / self.done.len().max(1) as f64
    }

    pub fn failures(&self) -> impl Iterator<Item = &String> {
        self.done.iter().flat_map(|done| &done.failures)
    }
}

/// Looks for as long as the load lasts.
async fn sample(
    bed: &Bed,
    waiting: &Waiting,
    began: Instant,
    samples: &std::cell::RefCell<(Vec<(Duration, usize)>, u64)>,
) {
    loop {
        let resident = bed.memory().await.resident;
        {
            let (samples, most) = &mut *samples.borrow_mut();
            samples.push((began.elapsed(), waiting.0.load(Ordering::Relaxed)));
            *most = resident.max(*most);
        }
        pace::sleep(SAMPLE_EVERY).await;
    }
}

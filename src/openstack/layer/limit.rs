//! How much one process asks of one cloud: requests a second, and requests at a time.

mod budget;
mod class;
mod turns;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::super::answer::Answer;
use super::super::request::Request;
use super::super::{Kind, Result, Service};
use super::Calls;
use budget::Budget;
use class::{CLASSES, Class};
use turns::Turns;

/// What a cloud is asked at most. What it has room for, its answers tell: who waits for an answer asks nothing else, and a
/// 429 slows all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub per_second: u32,
    /// How many may come at once after a quiet time.
    pub burst: u32,
    /// Requests of one class under way at a time.
    pub concurrent: usize,
    /// Attaches under way at a time: most of them wait for their compute hosts.
    pub attaches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_second: 500, burst: 500, concurrent: 64, attaches: 256 }
    }
}

/// Cheap to clone: the clones share the limits.
#[derive(Clone)]
pub(in crate::openstack) struct Limit {
    turns: Turns,
    slots: Arc<[Semaphore; CLASSES]>,
}

impl Limit {
    pub fn new(limits: Limits) -> Self {
        let slots = std::array::from_fn(|class| match class {
            class if class == Class::Attach as usize => Semaphore::new(limits.attaches),
            _ => Semaphore::new(limits.concurrent),
        });
        Self { turns: Turns::new(Budget::new(limits.per_second, limits.burst)), slots: Arc::new(slots) }
    }

    /// How many requests a second the cloud takes, as far as is known.
    pub fn rate(&self) -> f64 {
        self.turns.rate()
    }

    pub fn layer<S: Calls>(self, cloud: Arc<str>, inner: S) -> impl Calls {
        service_fn(move |request: Request| {
            let (inner, limit, cloud) = (inner.clone(), self.clone(), cloud.clone());
            async move {
                let class = Class::of(&request);
                // The semaphore is never closed.
                let _slot = limit.slots[class as usize].acquire().await;
                let service = request.service;
                limit.turns.take(class).await;
                let sent = Instant::now();
                // A thousand who wait for their turn have no room for the call itself yet.
                let result = Box::pin(inner.oneshot(request)).await;
                limit.learn(&cloud, service, sent, &result);
                result
            }
        })
    }

    fn learn(&self, cloud: &Arc<str>, service: Service, sent: Instant, result: &Result<Answer>) {
        match result {
            // Keystone's, where a token was needed, says nothing of the service.
            Err(error) if error.service != service => return,
            Err(error) if error.kind == Kind::Throttled => self.turns.refused(sent, error.retry_after),
            _ => self.turns.taken(),
        }
        if let Some(rate) = self.turns.learnt() {
            metrics::gauge!("openstack_api_budget_per_second", "cloud" => cloud.clone()).set(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::super::super::Cloud;
    use super::super::super::recorded::{Recorded, Reply, SERVER_ID, VOLUME, VOLUME_ID, options, volume};
    use super::*;
    use crate::pace;

    const ATTACH: &str =
        "POST /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022/os-volume_attachments";

    async fn show(cloud: &Cloud) {
        cloud.cinder.get_volume(VOLUME_ID.parse().unwrap()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_comes_at_the_rate() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [volume("available")]);
        let limits = Limits { per_second: 10, burst: 5, ..Limits::default() };
        let cloud = Cloud::limited(recorded.http(), options(), limits);
        let start = Instant::now();
        join_all((0..5).map(|_| show(&cloud))).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        join_all((0..20).map(|_| show(&cloud))).await;
        assert_eq!(start.elapsed().as_millis(), 2000);
        pace::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        join_all((0..5).map(|_| show(&cloud))).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "a quiet time fills the burst, and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn attaches_that_block_keep_no_one_from_looking_detaching_or_deleting() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [volume("available")]);
        recorded.on(&format!("DELETE {}", VOLUME.trim_start_matches("GET ")), [Reply::new(202, "")]);
        recorded
            .on(&format!("DELETE {}/{VOLUME_ID}", ATTACH.trim_start_matches("POST ")), [Reply::new(202, "")]);
        recorded.on(ATTACH, [Reply::new(500, "").after(Duration::from_secs(60))]);
        let cloud = Cloud::limited(
            recorded.http(),
            options(),
            Limits { concurrent: 2, attaches: 2, ..Limits::default() },
        );
        let (server, id) = (SERVER_ID.parse().unwrap(), VOLUME_ID.parse().unwrap());
        let attaches = join_all((0..4).map(|_| cloud.nova.attach_volume(server, id)));
        let look = async {
            pace::sleep(Duration::from_secs(1)).await;
            show(&cloud).await;
            cloud.nova.detach_volume(server, id).await.unwrap();
            cloud.cinder.delete_volume(id).await.unwrap();
            Instant::now()
        };
        let start = Instant::now();
        let (_, looked) = tokio::join!(attaches, look);
        assert_eq!((looked - start).as_secs(), 1);
        assert_eq!(start.elapsed().as_secs(), 120, "two at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_credential_does_not_refill_the_bucket() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [volume("available")]);
        let limits = Limits { per_second: 1, burst: 1, ..Limits::default() };
        let cloud = Cloud::limited(recorded.http(), options(), limits);
        show(&cloud).await;
        cloud.replace(recorded.http(), options());
        let start = Instant::now();
        show(&cloud).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}

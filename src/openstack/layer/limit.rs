//! How much one process asks of one cloud: requests a second, and requests at a time.

use std::sync::Arc;

use http::Method;
use tokio::sync::Semaphore;
use tower::{ServiceExt, service_fn};

use super::super::Service;
use super::super::request::Request;
use super::Calls;
use crate::pace::{self, Bucket};

/// What a cloud is asked at most. Clouds answer 429 or ban an address above their own limits, which differ; these
/// leave room for a hundred nodes being drained at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub per_second: u32,
    /// How many may come at once after a quiet time.
    pub burst: u32,
    /// Reads, attaches, and other mutations, under way at a time.
    pub concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_second: 100, burst: 200, concurrent: 32 }
    }
}

/// Cheap to clone: the clones share the limits.
#[derive(Clone)]
pub(in crate::openstack) struct Limit {
    bucket: Arc<Bucket>,
    reads: Arc<Semaphore>,
    /// Apart from all others: Nova asks the compute host for a device's name before it answers, so that an attach to a
    /// dead one blocks for a minute (`reserve_block_device_name` in nova/compute/rpcapi.py). No other call does.
    attaches: Arc<Semaphore>,
    mutations: Arc<Semaphore>,
}

impl Limit {
    pub fn new(limits: Limits) -> Self {
        Self {
            bucket: Arc::new(Bucket::new(limits.per_second.into(), limits.burst)),
            reads: Arc::new(Semaphore::new(limits.concurrent)),
            attaches: Arc::new(Semaphore::new(limits.concurrent)),
            mutations: Arc::new(Semaphore::new(limits.concurrent)),
        }
    }

    pub fn layer<S: Calls>(self, inner: S) -> impl Calls {
        service_fn(move |request: Request| {
            let (inner, limit) = (inner.clone(), self.clone());
            async move {
                // The semaphore is never closed.
                let _slot = limit.slots(&request).acquire().await;
                let wait = limit.bucket.take();
                if !wait.is_zero() {
                    pace::sleep(wait).await;
                }
                inner.oneshot(request).await
            }
        })
    }

    fn slots(&self, request: &Request) -> &Semaphore {
        match request.method {
            ref method if method.is_safe() => &self.reads,
            Method::POST if request.service == Service::Nova => &self.attaches,
            _ => &self.mutations,
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

    const ATTACH: &str =
        "POST /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022/os-volume_attachments";

    async fn show(cloud: &Cloud) {
        cloud.cinder.get_volume(VOLUME_ID.parse().unwrap()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_comes_at_the_rate() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [volume("available")]);
        let limits = Limits { per_second: 10, burst: 5, concurrent: 100 };
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
        let cloud = Cloud::limited(recorded.http(), options(), Limits { concurrent: 2, ..Limits::default() });
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
        let limits = Limits { per_second: 1, burst: 1, concurrent: 1 };
        let cloud = Cloud::limited(recorded.http(), options(), limits);
        show(&cloud).await;
        cloud.replace(recorded.http(), options());
        let start = Instant::now();
        show(&cloud).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}

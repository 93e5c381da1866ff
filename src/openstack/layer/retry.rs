//! The one retry policy: what certainly did nothing, or may be done twice, is tried again within the deadline.

use std::sync::Arc;
use std::time::Duration;

use tower::{ServiceExt, service_fn};

use super::super::request::Request;
use super::super::{Effect, Error, Kind};
use super::Calls;
use crate::pace::{self, Backoff};

const ATTEMPTS: u32 = 5;
/// Of those that the cloud had no room for, and said when it will have.
const THROTTLED_ATTEMPTS: u32 = 20;

pub(in crate::openstack) fn retry<S: Calls>(cloud: Arc<str>, inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let (inner, cloud) = (inner.clone(), cloud.clone());
        async move {
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
            let (mut attempts, mut throttled) = (1, 1);
            while attempts < ATTEMPTS && throttled < THROTTLED_ATTEMPTS {
                let error = match inner.clone().oneshot(request.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if may_be_tried_again(&request, &error) => error,
                    Err(error) => return Err(error),
                };
                let pause = match error.retry_after {
                    Some(time) if error.kind == Kind::Throttled => {
                        throttled += 1;
                        time
                    }
                    time => {
                        attempts += 1;
                        backoff.step().max(time.unwrap_or_default())
                    }
                };
                // Waiting for the deadline would only replace the cloud's reason by a worse one.
                if pause >= pace::deadline().remaining() {
                    return Err(error);
                }
                note(&cloud, &error, pause);
                pace::pause(pause).await;
            }
            inner.oneshot(request).await
        }
    })
}

fn may_be_tried_again(request: &Request, error: &Error) -> bool {
    let harmless = error.effect == Effect::None || request.repeatable;
    harmless && is_passing(error)
}

/// A 500 is a bug or a broken backend: asking again at once doesn't mend it.
fn is_passing(error: &Error) -> bool {
    match error.kind {
        Kind::Throttled => true,
        Kind::Unavailable => error.status.is_none_or(|status| status.as_u16() != 500),
        _ => false,
    }
}

fn note(cloud: &Arc<str>, error: &Error, pause: Duration) {
    let (service, operation) = (error.service.name(), error.operation);
    metrics::counter!(
        "openstack_api_retries_total",
        "cloud" => cloud.clone(), "service" => service, "operation" => operation
    )
    .increment(1);
    tracing::debug!(%error, pause_ms = pause.as_millis() as u64, "trying again");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::ErrorKind;

    use super::super::super::recorded::{Recorded, Reply, SERVER_ID, VOLUME, VOLUME_ID, volume};
    use super::super::super::{Cloud, Hints, NewVolume};
    use super::*;
    use crate::pace::Deadline;

    const CREATE: &str = "POST /volume/v3/p/volumes";
    const DELETE: &str = "DELETE /volume/v3/p/volumes/6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
    const METADATA: &str = "POST /volume/v3/p/volumes/6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f/metadata";
    const DETACH: &str = "DELETE /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022/os-volume_attachments/6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    async fn call(cloud: &Cloud, call: &str) -> Result<(), Error> {
        let (volume, server) = (VOLUME_ID.parse().unwrap(), SERVER_ID.parse().unwrap());
        match call {
            VOLUME => cloud.cinder.get_volume(volume).await.map(drop),
            CREATE => cloud.cinder.create_volume(&new()).await.map(drop),
            DELETE => cloud.cinder.delete_volume(volume).await,
            METADATA => cloud.cinder.update_volume_metadata(volume, &BTreeMap::new()).await,
            DETACH => cloud.nova.detach_volume(server, volume).await,
            _ => unreachable!(),
        }
    }

    fn new() -> NewVolume {
        NewVolume {
            name: "v".into(),
            description: String::new(),
            size: 1,
            volume_type: None,
            availability_zone: None,
            origin: None,
            hints: Hints::default(),
            metadata: BTreeMap::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_did_nothing_or_may_be_done_twice_is_tried_again() {
        let (again, once) = (ATTEMPTS as usize, 1);
        let (none, unknown) = (Effect::None, Effect::Unknown);
        let status = |status| Reply::new(status, "");
        let broken = Reply::broken;
        for (what, failure, attempts, effect) in [
            (VOLUME, status(503), again, none),
            (VOLUME, status(502), again, none),
            (VOLUME, status(429), again, none),
            (VOLUME, broken(ErrorKind::ConnectionReset), again, none),
            (VOLUME, status(500), once, none),
            (VOLUME, Reply::new(404, "{}"), once, none),
            (VOLUME, status(404), again, none),
            (VOLUME, status(400), once, none),
            (CREATE, status(429), again, none),
            (CREATE, status(413).header("retry-after", "1"), THROTTLED_ATTEMPTS as usize, none),
            (CREATE, status(413).header("retry-after", "0"), once, none),
            (CREATE, broken(ErrorKind::ConnectionRefused), again, none),
            (CREATE, broken(ErrorKind::NotConnected), again, none),
            (CREATE, broken(ErrorKind::InvalidInput), once, none),
            (CREATE, status(503), once, unknown),
            (CREATE, status(500), once, unknown),
            (CREATE, broken(ErrorKind::ConnectionReset), once, unknown),
            (CREATE, broken(ErrorKind::TimedOut), once, unknown),
            (CREATE, broken(ErrorKind::HostUnreachable), once, unknown),
            (CREATE, status(409), once, none),
            (DELETE, status(503), once, unknown),
            (DELETE, status(429), again, none),
            (DELETE, status(404), once, unknown),
            (DETACH, status(504), once, unknown),
            (DETACH, broken(ErrorKind::UnexpectedEof), once, unknown),
            (METADATA, status(503), again, unknown),
            (METADATA, broken(ErrorKind::ConnectionReset), again, unknown),
        ] {
            let name = format!("{what} {:?}", failure.status());
            let cloud = Recorded::default();
            cloud.on(what, [failure]);
            let error = call(&cloud.cloud(), what).await.unwrap_err();
            assert_eq!((cloud.count(what), error.effect), (attempts, effect), "{name}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_trouble_is_not_seen_by_the_caller() {
        let cloud = Recorded::default();
        cloud.on(
            VOLUME,
            [
                Reply::new(503, ""),
                Reply::broken(ErrorKind::ConnectionReset),
                Reply::new(429, ""),
                volume("in-use"),
            ],
        );
        call(&cloud.cloud(), VOLUME).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_waited_for() {
        let cloud = Recorded::default();
        cloud.on(VOLUME, [Reply::new(429, "").header("retry-after", "17"), volume("in-use")]);
        let start = tokio::time::Instant::now();
        call(&cloud.cloud(), VOLUME).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_the_retries_with_the_clouds_own_reason() {
        let cloud = Recorded::default();
        cloud.on(VOLUME, [Reply::new(503, "under maintenance")]);
        let start = tokio::time::Instant::now();
        let work = async { call(&cloud.cloud(), VOLUME).await };
        let error = pace::within(Deadline::after(Duration::from_secs(1)), work).await.unwrap_err();
        assert!(start.elapsed() <= Duration::from_secs(1));
        assert_eq!((error.kind, error.message.as_str()), (Kind::Unavailable, "under maintenance"));
        assert_eq!(cloud.count(VOLUME), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_longer_than_the_deadline_is_given_back_at_once() {
        let cloud = Recorded::default();
        cloud.on(VOLUME, [Reply::new(429, "slow down").header("retry-after", "60")]);
        let start = tokio::time::Instant::now();
        let work = async { call(&cloud.cloud(), VOLUME).await };
        let error = pace::within(Deadline::after(Duration::from_secs(30)), work).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!((error.kind, error.retry_after), (Kind::Throttled, Some(Duration::from_secs(60))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clear_no_after_a_lost_answer_leaves_the_doubt() {
        let cloud = Recorded::default();
        cloud.on(METADATA, [Reply::broken(ErrorKind::ConnectionReset), Reply::new(400, "no")]);
        let error = call(&cloud.cloud(), METADATA).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Refused, Effect::Unknown));
    }
}

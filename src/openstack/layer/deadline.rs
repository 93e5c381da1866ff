//! No call outlives the RPC that it serves, but one whose answer has to be known.

use std::pin::pin;

use tokio::time::timeout;
use tower::{ServiceExt, service_fn};

use super::super::request::Request;
use super::super::{Effect, Error, Kind};
use super::Calls;
use crate::pace;

pub(in crate::openstack) fn deadline<S: Calls>(inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let inner = inner.clone();
        async move {
            let facts = request.clone();
            let mut answer = pin!(inner.oneshot(request));
            let mut answered = timeout(pace::deadline().remaining(), &mut answer).await;
            if let (Err(_), Some(time), Effect::Unknown) = (&answered, facts.outlives, facts.effect()) {
                answered = timeout(time, answer).await;
            }
            match answered {
                // The error may be of a later step than the attempt that is in doubt: a token, a retry.
                Ok(result) => result.map_err(|error| Error { effect: facts.effect(), ..error }),
                Err(_) => Err(facts.error(Kind::Deadline, "no answer before the deadline of the request")),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::recorded::{Recorded, Reply, SERVER_ID, TOKENS, VOLUME_ID};
    use super::super::super::{Cloud, Limits, Result};
    use super::*;
    use crate::pace::Deadline;

    const ATTACH: &str =
        "POST /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022/os-volume_attachments";

    async fn attach(cloud: &Cloud, seconds: u64) -> Result<Option<String>> {
        let work = cloud.nova.attach_volume(SERVER_ID.parse().unwrap(), VOLUME_ID.parse().unwrap());
        pace::within(Deadline::after(Duration::from_secs(seconds)), work).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_detach_without_an_answer_ends_with_the_deadline_and_in_doubt() {
        let recorded = Recorded::default();
        let path = ATTACH.trim_start_matches("POST ");
        recorded
            .on(&format!("DELETE {path}/{VOLUME_ID}"), [Reply::new(202, "").after(Duration::from_secs(60))]);
        let cloud = recorded.cloud();
        let work = cloud.nova.detach_volume(SERVER_ID.parse().unwrap(), VOLUME_ID.parse().unwrap());
        let error = pace::within(Deadline::after(Duration::from_secs(2)), work).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Deadline, Effect::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_to_an_attach_that_was_sent_is_awaited_beyond_the_deadline_but_not_for_ever() {
        for (seconds, answered) in [(500, true), (700, false)] {
            let cloud = Recorded::default();
            cloud.on(ATTACH, [Reply::new(200, "").after(Duration::from_secs(seconds))]);
            let result = attach(&cloud.cloud(), 2).await;
            assert_eq!(result.is_ok(), answered, "{result:?}");
            let in_doubt =
                |error| matches!(error, Error { kind: Kind::Deadline, effect: Effect::Unknown, .. });
            assert!(result.is_ok() || result.is_err_and(in_doubt));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attach_that_waited_for_a_token_only_did_nothing() {
        let cloud = Recorded::default();
        cloud.on(TOKENS, [Reply::new(201, "").after(Duration::from_secs(20))]);
        let error = attach(&cloud.cloud(), 2).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Deadline, Effect::None));
        assert_eq!(cloud.count(ATTACH), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attach_that_waited_for_its_turn_only_did_nothing() {
        let recorded = Recorded::default();
        recorded.on(ATTACH, [Reply::new(200, "").after(Duration::from_secs(60))]);
        let limits = Limits { concurrent: 1, attaches: 1, ..Limits::default() };
        let cloud = Cloud::limited(recorded.http(), super::super::super::recorded::options(), limits);
        let (first, second) = tokio::join!(attach(&cloud, 90), attach(&cloud, 2));
        assert!(first.is_ok());
        assert_eq!(second.unwrap_err().effect, Effect::None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_keystone_that_vanishes_between_two_attempts_does_not_end_the_doubt() {
        const METADATA: &str = "POST /volume/v3/p/volumes/6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f/metadata";
        let recorded = Recorded::default();
        let first = super::super::super::recorded::token("t", "2026-01-01T01:00:00Z");
        recorded.on(TOKENS, [first, Reply::new(500, "")]);
        recorded.on(METADATA, [Reply::new(503, ""), Reply::new(401, "")]);
        let update = recorded.cloud().cinder.clone();
        let error =
            update.update_volume_metadata(VOLUME_ID.parse().unwrap(), &Default::default()).await.unwrap_err();
        assert_eq!((error.service.name(), error.effect), ("Keystone", Effect::Unknown));
    }
}

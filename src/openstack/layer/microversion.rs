//! The microversion of each call, from what the service says it offers.
//!
//! <https://docs.openstack.org/api-guide/compute/microversions.html>

use std::time::Duration;

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::super::flight::{Age, Flight};
use super::super::offer::{self, Offer};
use super::super::request::{Microversion, Request, Version};
use super::super::{Error, Kind, Result, Service};
use super::Calls;

/// How long an offer is believed: a cloud is upgraded under us, and a proxy may hide the document for a while.
const KEPT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
struct Told {
    offer: Option<Offer>,
    when: Instant,
}

#[derive(Clone, Default)]
struct Offers {
    cinder: Flight<Told>,
    nova: Flight<Told>,
}

/// `ignored_by_cinder`: `ignore-volume-microversion`.
pub(in crate::openstack) fn microversion<S: Calls>(ignored_by_cinder: bool, inner: S) -> impl Calls {
    let offers = Offers::default();
    service_fn(move |mut request: Request| {
        let (offers, inner) = (offers.clone(), inner.clone());
        async move {
            let ignored = ignored_by_cinder && request.service == Service::Cinder;
            let flight = if request.service == Service::Nova { offers.nova } else { offers.cinder };
            request.microversion = match request.version {
                Version::Any => None,
                version if ignored => choose_blindly(&request, version)?,
                version => {
                    let told = flight.get(Told::age, || ask(inner.clone(), request.service)).await?;
                    choose(&request, version, told.offer)?
                }
            };
            let result = inner.oneshot(request).await;
            // The cloud was changed under us.
            if matches!(&result, Err(error) if error.kind == Kind::Unsupported) {
                flight.forget(|_| true);
            }
            result
        }
    })
}

async fn ask<S: Calls>(inner: S, service: Service) -> Result<Told> {
    let answer = inner.oneshot(Request::version_document(service)).await;
    Ok(Told { offer: offer::read(answer, service)?, when: Instant::now() })
}

impl Told {
    fn age(&self) -> Age {
        if self.when.elapsed() < KEPT { Age::Fresh } else { Age::Aging }
    }
}

fn choose(request: &Request, version: Version, offer: Option<Offer>) -> Result<Option<Microversion>> {
    let (wanted, exactly) = match version {
        Version::Any => return Ok(None),
        Version::Wanted(wanted) => (wanted, false),
        Version::Needed(wanted) => (wanted, true),
    };
    match offer {
        Some(offered) if wanted < offered.oldest => Err(lacking(request, wanted, offer)),
        Some(offered) if wanted <= offered.newest => Ok(Some(wanted)),
        _ if exactly => Err(lacking(request, wanted, offer)),
        Some(offered) => Ok(Some(offered.newest)),
        None => Ok(None),
    }
}

fn choose_blindly(request: &Request, version: Version) -> Result<Option<Microversion>> {
    match version {
        Version::Needed(needed) => Err(request.error(
            Kind::Unsupported,
            format!(
                "needs microversion {needed}, and ignore-volume-microversion is set in the configuration"
            ),
        )),
        Version::Any | Version::Wanted(_) => Ok(None),
    }
}

fn lacking(request: &Request, needed: Microversion, offer: Option<Offer>) -> Error {
    let service = request.service.name();
    let offered = match offer {
        Some(Offer { oldest, newest }) => format!("offers {oldest} to {newest}"),
        None => "offers none".to_owned(),
    };
    request.error(Kind::Unsupported, format!("needs microversion {needed}, this cloud's {service} {offered}"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use futures_util::future::join_all;
    use serde_json::json;

    use super::super::super::recorded::{
        CINDER_VERSIONS, NOVA_VERSIONS, Recorded, Reply, SERVER_ID, TOKENS, VOLUME_ID, options, token,
    };
    use super::super::super::{Cloud, Effect};
    use super::*;

    const DETAIL: &str = "GET /volume/v3/p/volumes/detail";
    const ATTACH: &str =
        "POST /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022/os-volume_attachments";

    async fn changed(cloud: &Cloud) -> Result<()> {
        cloud.cinder.list_volumes_changed_since(SystemTime::UNIX_EPOCH).await.map(drop)
    }

    async fn attach(cloud: &Cloud) -> Result<Option<String>> {
        cloud.nova.attach_volume(SERVER_ID.parse().unwrap(), VOLUME_ID.parse().unwrap()).await
    }

    fn offer(id: &str, oldest: &str, newest: &str) -> Reply {
        let entry = json!({"id": id, "min_version": oldest, "version": newest, "status": "CURRENT"});
        Reply::json(200, json!({"versions": [{"id": "v2.0", "version": "", "min_version": ""}, entry]}))
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_calls_ask_once_what_the_service_offers() {
        let recorded = Recorded::default();
        recorded.on(CINDER_VERSIONS, [offer("v3.0", "3.0", "3.71").after(Duration::from_secs(1))]);
        recorded.on(DETAIL, [Reply::json(200, json!({"volumes": []}))]);
        let cloud = recorded.cloud();
        let results = join_all((0..50).map(|_| changed(&cloud))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(recorded.count(CINDER_VERSIONS), 1);
        assert_eq!(recorded.seen(DETAIL)[0].header("openstack-api-version"), Some("volume 3.60"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_is_too_old_is_named_with_what_it_offers() {
        let recorded = Recorded::default();
        recorded.on(CINDER_VERSIONS, [offer("v3.0", "3.0", "3.59")]);
        let error = changed(&recorded.cloud()).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Unsupported, Effect::None));
        assert_eq!(error.message, "needs microversion 3.60, this cloud's Cinder offers 3.0 to 3.59");
        assert_eq!(recorded.count(DETAIL), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_only_wanted_falls_back_to_the_newest_there_is() {
        for (reply, sent) in [
            (offer("v2.1", "2.1", "2.104"), Some("compute 2.60")),
            (offer("v2.1", "2.1", "2.53"), Some("compute 2.53")),
            (offer("v2.1", "", ""), None),
            (Reply::new(404, ""), None),
        ] {
            let recorded = Recorded::default();
            recorded.on(NOVA_VERSIONS, [reply]);
            recorded.on(ATTACH, [Reply::new(200, "{}").header("x-openstack-request-id", "req-7")]);
            assert_eq!(attach(&recorded.cloud()).await.unwrap().as_deref(), Some("req-7"));
            assert_eq!(recorded.seen(ATTACH)[0].header("openstack-api-version"), sent);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ignoring_cinders_microversions_asks_for_none_and_leaves_novas() {
        let recorded = Recorded::default();
        recorded.on(ATTACH, [Reply::new(200, "{}")]);
        let options = super::super::super::Options { ignore_volume_microversion: true, ..options() };
        let cloud = Cloud::new(recorded.http(), options);
        let error = changed(&cloud).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
        assert!(error.message.contains("ignore-volume-microversion"), "{error}");
        assert_eq!(recorded.count(CINDER_VERSIONS), 0);
        attach(&cloud).await.unwrap();
        assert_eq!(recorded.seen(ATTACH)[0].header("openstack-api-version"), Some("compute 2.60"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_was_downgraded_is_asked_again() {
        let recorded = Recorded::default();
        recorded.on(CINDER_VERSIONS, [offer("v3.0", "3.0", "3.71"), offer("v3.0", "3.0", "3.50")]);
        recorded.on(DETAIL, [Reply::new(406, "Version 3.60 is not supported by the API.")]);
        let cloud = recorded.cloud();
        assert_eq!(changed(&cloud).await.unwrap_err().status.unwrap().as_u16(), 406);
        assert!(changed(&cloud).await.unwrap_err().message.contains("offers 3.0 to 3.50"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_that_was_hidden_for_a_while_is_asked_for_again() {
        let recorded = Recorded::default();
        recorded
            .on(CINDER_VERSIONS, [Reply::new(404, "default backend - 404"), offer("v3.0", "3.0", "3.71")]);
        recorded.on(DETAIL, [Reply::json(200, json!({"volumes": []}))]);
        let cloud = recorded.cloud();
        assert!(changed(&cloud).await.unwrap_err().message.contains("offers none"));
        crate::pace::sleep(KEPT).await;
        changed(&cloud).await.unwrap_err();
        crate::pace::sleep(Duration::from_secs(1)).await;
        changed(&cloud).await.unwrap();
        assert_eq!(recorded.count(CINDER_VERSIONS), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn keystones_404_says_nothing_of_what_a_service_offers() {
        let recorded = Recorded::default();
        let missing = Reply::json(404, json!({"error": {"code": 404, "message": "not here"}}));
        recorded.on(TOKENS, [missing]);
        recorded.on(DETAIL, [Reply::json(200, json!({"volumes": []}))]);
        let cloud = recorded.cloud();
        assert_eq!(changed(&cloud).await.unwrap_err().service, Service::Keystone);
        recorded.on(TOKENS, [token("one", "2027-01-01T00:00:00Z")]);
        // A refusal of Keystone's is believed for a while.
        crate::pace::sleep(KEPT / 2).await;
        changed(&cloud).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_that_cannot_be_read_is_malformed_and_asked_for_again() {
        let recorded = Recorded::default();
        recorded.on(CINDER_VERSIONS, [Reply::new(200, "<html>"), offer("v3.0", "3.0", "3.71")]);
        recorded.on(DETAIL, [Reply::json(200, json!({"volumes": []}))]);
        let cloud = recorded.cloud();
        assert_eq!(changed(&cloud).await.unwrap_err().kind, Kind::Malformed);
        changed(&cloud).await.unwrap();
    }
}

//! The microversion of each call, from what the service says it offers.
//!
//! <https://docs.openstack.org/api-guide/compute/microversions.html>

use serde::Deserialize;
use tower::{ServiceExt, service_fn};

use super::super::flight::{Age, Flight};
use super::super::request::{Microversion, Request, Version};
use super::super::{Error, Kind, Result, Service};
use super::Calls;

/// What a service offers. `None`: no microversions at all.
type Offer = Option<Range>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    oldest: Microversion,
    newest: Microversion,
}

/// Cinder answers `versions` and Nova `version` at the root of one version.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    versions: Vec<Entry>,
    version: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    id: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    min_version: String,
}

#[derive(Clone, Default)]
struct Offers {
    cinder: Flight<Offer>,
    nova: Flight<Offer>,
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
                    let offer = flight.get(|_| Age::Fresh, || ask(inner.clone(), request.service)).await?;
                    choose(&request, version, offer)?
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

async fn ask<S: Calls>(inner: S, service: Service) -> Result<Offer> {
    match inner.oneshot(Request::version_document(service)).await {
        Ok(answer) => Ok(answer.json::<Document>()?.offer(service)),
        // A proxy that doesn't let the document through, or a service from before microversions.
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Forbidden) => {
            tracing::warn!(%error, "going on without microversions");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Document {
    fn offer(self, service: Service) -> Offer {
        let version = if service == Service::Nova { "v2.1" } else { "v3" };
        let mut entries = self.versions.into_iter().chain(self.version);
        let entry = entries.find(|entry| entry.id.starts_with(version))?;
        let (oldest, newest) = (entry.min_version.parse().ok()?, entry.version.parse().ok()?);
        Some(Range { oldest, newest })
    }
}

fn choose(request: &Request, version: Version, offer: Offer) -> Result<Option<Microversion>> {
    let (wanted, exactly) = match version {
        Version::Any => return Ok(None),
        Version::Wanted(wanted) => (wanted, false),
        Version::Needed(wanted) => (wanted, true),
    };
    match offer {
        Some(range) if wanted < range.oldest => Err(lacking(request, wanted, offer)),
        Some(range) if wanted <= range.newest => Ok(Some(wanted)),
        _ if exactly => Err(lacking(request, wanted, offer)),
        Some(range) => Ok(Some(range.newest)),
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

fn lacking(request: &Request, needed: Microversion, offer: Offer) -> Error {
    let service = request.service.name();
    let offered = match offer {
        Some(Range { oldest, newest }) => format!("offers {oldest} to {newest}"),
        None => "offers none".to_owned(),
    };
    request.error(Kind::Unsupported, format!("needs microversion {needed}, this cloud's {service} {offered}"))
}

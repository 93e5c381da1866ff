//! The microversions that a service offers, as the document at its root names them.
//!
//! <https://docs.openstack.org/api-guide/compute/microversions.html>

use http::StatusCode;
use serde::Deserialize;

use super::answer::Answer;
use super::request::Microversion;
use super::{Result, Service};

/// From the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub oldest: Microversion,
    pub newest: Microversion,
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

/// What the answer to a request for the document says. `None`: no microversions at all.
pub(super) fn read(answer: Result<Answer>, service: Service) -> Result<Option<Offer>> {
    match answer {
        Ok(answer) => Ok(answer.json::<Document>()?.offer(service)),
        // A proxy that doesn't let the document through, or a service from before microversions. Keystone's 404, where a token was
        // needed first, says nothing of either.
        Err(error)
            if error.service == service
                && matches!(error.status, Some(StatusCode::NOT_FOUND | StatusCode::FORBIDDEN)) =>
        {
            tracing::warn!(%error, "going on without microversions");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Document {
    fn offer(self, service: Service) -> Option<Offer> {
        let version = if service == Service::Nova { "v2.1" } else { "v3" };
        let mut entries = self.versions.into_iter().chain(self.version);
        let entry = entries.find(|entry| entry.id.starts_with(version))?;
        let (oldest, newest) = (entry.min_version.parse().ok()?, entry.version.parse().ok()?);
        Some(Offer { oldest, newest })
    }
}

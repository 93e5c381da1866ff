//! Lists of volumes, oldest first: what is made while somebody turns pages comes at their end.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::{Kind, Result, ServerId, VolumeId, page};
use super::volume::{or_default, time};
use super::{Cinder, TIME_COMPARISON, get, seconds};

/// Which volumes, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// At most so many; Cinder's `osapi_max_limit` is a limit of its own.
    pub limit: Option<u32>,
    /// Those that come after this one. Kind::NotFound where it is gone.
    pub after: Option<VolumeId>,
    /// Those with this in their metadata.
    pub metadata: Option<(&'static str, String)>,
    /// Those created at that second or later. Kind::Unsupported below 3.60.
    pub created_from: Option<Timestamp>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub volumes: Vec<T>,
    /// There may be more, after this one.
    pub next: Option<VolumeId>,
}

/// What a long list keeps of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Row {
    pub id: VolumeId,
    /// GiB.
    pub size: u64,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub attachments: Vec<Place>,
}

/// In which zone a volume is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Placed {
    pub id: VolumeId,
    pub availability_zone: Option<String>,
}

/// Where a volume is attached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Place {
    pub server_id: Option<ServerId>,
}

impl Cinder {
    /// GET /volumes/detail?sort=created_at:asc,id:asc: one page, of which each volume is read as a `T`.
    pub async fn list_volumes<T: DeserializeOwned>(&self, search: &Search) -> Result<Page<T>> {
        let mut request = get("list volumes", &["volumes", "detail"]).query("sort", "created_at:asc,id:asc");
        if let Some(limit) = search.limit {
            request = request.query("limit", limit);
        }
        if let Some(after) = search.after {
            request = request.query("marker", after);
        }
        if let Some((key, value)) = &search.metadata {
            request = request.query("metadata", json!({ *key: value }));
        }
        if let Some(from) = search.created_from {
            request = request.query("created_at", format!("gte:{}", seconds(from))).version(TIME_COMPARISON);
        }
        let part = page::one(&self.client, request.clone()).await?;
        self.clock.set(part.date);
        let next = part.next.map(|marker| marker.parse()).transpose();
        let next =
            next.map_err(|_| request.error(Kind::Malformed, "the marker of the next page is no id"))?;
        if next.is_some() && next == search.after {
            return Err(request.error(Kind::Malformed, "the list's next page is the same page again"));
        }
        Ok(Page { volumes: part.items, next })
    }
}

//! The project's volumes, page by page.

use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes};
use crate::openstack::Kind;

/// A volume of a list, and where it is attached.
#[derive(Clone, Debug)]
pub struct Listed {
    pub volume: Volume,
    pub published: Vec<ServerId>,
}

#[derive(Clone, Debug)]
pub struct Page {
    pub volumes: Vec<Listed>,
    pub next: Option<VolumeId>,
}

impl Volumes {
    /// The volumes after `after`, `limit` at most (Cinder's own limit where it is lower, or where `limit` is absent).
    pub async fn page(&self, limit: Option<u32>, after: Option<VolumeId>) -> Result<Page> {
        let page = self.cinder.list_volumes(limit, after).await.map_err(|error| match error.kind {
            Kind::NotFound => Error::new(
                Condition::StaleToken,
                "the volume that the starting token names is gone: start the list over without a token",
            ),
            _ => Error::reading(&error),
        })?;
        let volumes =
            page.volumes.into_iter().map(|volume| Listed { published: published(&volume), volume }).collect();
        Ok(Page { volumes, next: page.next })
    }
}

/// The servers that Cinder lists as using the volume.
pub fn published(volume: &Volume) -> Vec<ServerId> {
    volume.attachments.iter().filter_map(|attachment| attachment.server_id).collect()
}

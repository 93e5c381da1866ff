//! One OpenStack cloud: its block storage and its compute service.

mod answer;
mod cinder;
mod client;
mod error;
mod exchange;
mod fault;
mod flight;
pub mod http;
mod id;
mod keystone;
mod layer;
pub mod ledger;
mod nova;
mod offer;
mod options;
mod page;
#[cfg(test)]
pub mod recorded;
mod request;
mod stack;
mod zone;

pub use cinder::{
    Attachment, Backup, BackupService, BackupStatus, Changes, Cinder, Group, GroupSnapshot, GroupState,
    GroupType, Hints, MEMBERS_AT_ONCE, Migration, NewBackup, NewGroup, NewSnapshot, NewVolume, Origin, Page,
    Part, Placed, Portion, Quota, Quotas, Row, Search, Snapshot, SnapshotStatus, Status, Supply, Volume,
    VolumeName, VolumeType, Zones,
};
pub use error::{Effect, Error, Kind, Result, Service};
pub use id::{BackupId, GroupId, GroupSnapshotId, NotAnId, ServerId, SnapshotId, VolumeId};
pub use keystone::Admission;
pub use layer::Limits;
pub use nova::{FailedAction, Nova, Server};
pub use offer::Offer;
pub use options::{
    ApplicationCredential, Client as OidcClient, Credential, Federated, Grant, Interface, Options, Places,
    Proof, Proxy, Scope, Tls, TokenEndpoint, TokenType, User, UserDomain,
};
pub use request::{Microversion, Operation};

use bytes::Bytes;
use client::Client;
use tower::util::BoxCloneSyncService;

/// The innermost service: one HTTP exchange. reqwest, or the sandbox's router called in process.
///
/// Its errors of the kinds `ConnectionRefused`, `NotConnected` and `InvalidInput` say that nothing of the request was
/// sent; after any other it may have arrived.
pub type Http = BoxCloneSyncService<::http::Request<Bytes>, ::http::Response<Bytes>, std::io::Error>;

/// The clients of one cloud. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub cinder: Cinder,
    pub nova: Nova,
}

impl Cloud {
    /// Calls nobody: the first call authenticates.
    pub fn new(http: Http, options: Options) -> Self {
        Self::limited(http, options, Limits::default())
    }

    /// As [`Self::new`], with other limits.
    pub fn limited(http: Http, options: Options, limits: Limits) -> Self {
        let client = Client::new(http, options, limits);
        Self { cinder: Cinder::new(client.clone()), nova: Nova::new(client) }
    }

    /// What Keystone gives for the credentials, asked for unless it's held.
    pub async fn admission(&self) -> Result<Admission> {
        self.cinder.client().admission().await
    }

    /// The microversions that Cinder or Nova offers. `None`: none.
    pub async fn offer(&self, service: Service) -> Result<Option<Offer>> {
        self.cinder.client().offer(service).await
    }

    /// Goes on with other credentials or another connection: the token, the catalog and what is known of
    /// microversions and zones are dropped. Calls under way end with the old ones. The limits stay.
    pub fn replace(&self, http: Http, options: Options) {
        self.cinder.client().replace(http, options);
        self.cinder.forget_zones();
        self.cinder.forget_supply();
    }
}

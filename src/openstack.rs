//! One OpenStack cloud: its block storage and its compute service.

mod cinder;
mod error;
pub mod http;
mod id;
mod nova;
mod options;

pub use cinder::{Attachment, Changes, Cinder, NewVolume, Page, Status, Volume};
pub use error::{Effect, Error, Kind, Result, Service};
pub use id::{ServerId, VolumeId};
pub use nova::{FailedAction, Nova, Server};
pub use options::{
    ApplicationCredential, Credential, Interface, Options, Proxy, Scope, Tls, User, UserDomain,
};

use bytes::Bytes;
use tower::util::BoxCloneSyncService;

/// The innermost service: one HTTP exchange. reqwest, or the sandbox's router called in process.
pub type Http = BoxCloneSyncService<::http::Request<Bytes>, ::http::Response<Bytes>, std::io::Error>;

/// The clients of one cloud. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub cinder: Cinder,
    pub nova: Nova,
}

//! The CSI services: each RPC parses, claims, ensures and replies.

mod access;
mod affinity;
mod capability;
mod clouds;
mod controller;
mod health;
mod identity;
mod locks;
mod node;
mod pages;
mod readiness;
mod registration;
mod reply;
mod request;
mod rounds;
mod server;
mod status;
mod token;
mod topology;

pub use access::Access;
pub use affinity::Annotations;
pub use clouds::Clouds;
pub use controller::{Controller, ControllerSettings};
pub use health::{Health, Liveness};
pub use identity::Identity;
pub use node::{NodeService, NodeSettings};
pub use readiness::Readiness;
pub use registration::Registration;
pub use rounds::Rounds;
pub use server::{Endpoint, Services, register, serve, serve_connections};
pub use topology::{Topology, ZoneMap};

/// The name of the driver: the existing driver's, because every PV carries it.
pub const DRIVER: &str = "cinder.csi.openstack.org";

/// The types of `proto/pluginregistration.proto`.
#[allow(clippy::all, clippy::unwrap_used, rustdoc::all)]
pub mod kubelet {
    tonic::include_proto!("pluginregistration");
}

/// The types of `proto/health.proto`.
#[allow(clippy::all, clippy::unwrap_used, rustdoc::all)]
pub mod grpc_health {
    tonic::include_proto!("grpc.health.v1");
}

/// The types of `proto/csi.proto`.
#[allow(clippy::all, clippy::unwrap_used, rustdoc::all)]
pub mod proto {
    tonic::include_proto!("csi.v1");
}

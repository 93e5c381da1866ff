//! A CSI driver for OpenStack Cinder.
//!
//! Data flows one way: *wire → request → plan → call → wire*.
//!
//! | room | does |
//! |---|---|
//! | [`csi`] | speaks gRPC: parses requests, replies, turns errors into codes |
//! | [`volume`] | converges volumes: observe, plan, act once, observe again |
//! | [`openstack`] | one call to Keystone, Cinder or Nova, and what can go wrong in it |
//! | [`node`] | disks, file systems and mounts of this machine |
//! | [`config`] | cloud.conf, clouds.yaml and the environment, typed |
//! | [`pace`] | deadlines, backoff, the only sleep |
//! | [`app`] | the only wiring |
//! | [`sandbox`] | the whole driver on a simulated cloud |

pub mod app;
pub mod cli;
pub mod config;
pub mod csi;
pub mod node;
pub mod openstack;
pub mod pace;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod telemetry;
pub mod volume;

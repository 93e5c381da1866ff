//! A CSI driver for OpenStack Cinder.
//!
//! Data flows one way, *wire → request → plan → call → wire*, and each arrow is one file's job.
//!
//! # The way of one request
//!
//! ControllerPublishVolume, from the socket to the cloud and back:
//!
//! | file | does |
//! |---|---|
//! | `csi/server.rs`, `csi/server/{rpc,line}.rs` | the socket; the RPC's deadline, its guard against panics; its line of log and its metric |
//! | `csi/controller/attachment.rs` | parse, claim, ensure, reply |
//! | `csi/request.rs` and below | the message becomes a type, or INVALID_ARGUMENT |
//! | `csi/locks.rs` | one operation at a time for one object, or ABORTED |
//! | `volume/attach.rs`, `volume/attach/plan.rs` | observe, plan (pure, a table in its test), act once, observe again |
//! | `volume/queue.rs` | the attaches of one server, one after another |
//! | `volume/attach/unanswered.rs` | attaches that Nova hasn't answered: no detach is over before |
//! | `volume/watch.rs`, `volume/watch/` | waits: one poller serves every waiter of a cloud, and learns when to look |
//! | `openstack/nova.rs`, `openstack/cinder.rs` | one call as a value: method, path, body, microversion |
//! | `openstack/stack.rs`, `openstack/layer/` | what every call passes: metrics, deadline, retry, limit, microversion, token |
//! | `openstack/exchange.rs`, `openstack/http.rs` | one HTTP exchange; `openstack/answer.rs` reads what came back |
//! | `csi/reply.rs`, `csi/status.rs` | the volume becomes a message; an error becomes a code, there and nowhere else |
//!
//! NodeStageVolume goes from `csi/node.rs` to `node/stage.rs`, which finds the disk (`node/device.rs`), looks at what is
//! on it and formats it (`node/filesystem.rs`), and mounts it: every system call and command is in `node/linux.rs` and
//! below.
//!
//! # Rooms
//!
//! | room | does | may use |
//! |---|---|---|
//! | [`cli`], [`app`] | the command line; the only wiring | everything |
//! | [`check`] | `cinder-csi check`: looks whether a cloud and a node are as they are needed, and says what to do | [`openstack`], [`node`], [`config`], [`pace`], [`text`] |
//! | [`csi`] | speaks gRPC: parses requests, replies, turns errors into codes | [`volume`], [`node`], [`k8s`], [`pace`], [`text`] |
//! | [`volume`] | converges volumes | [`openstack`], [`pace`] |
//! | [`openstack`] | one call to Keystone, Cinder or Nova, and what can go wrong in it | [`pace`], [`json`] |
//! | [`node`] | disks, file systems and mounts of this machine | [`pace`], [`json`] |
//! | [`k8s`] | what a PVC is annotated with, Events, this node's taints and attachments (feature `k8s`) | [`pace`] |
//! | [`config`] | cloud.conf, clouds.yaml and the environment, typed | option types of [`openstack`] and [`node`], [`text`] |
//! | [`pace`] | deadlines, backoff, the wall clock, the only sleep | |
//! | [`text`] | pairs and misspelt names, as people write them | |
//! | [`json`] | documents of a cloud, and which field of one can't be read | |
//! | [`telemetry`] | the log, the metrics, traces (feature `otel`), and the HTTP endpoint for metrics and health | [`pace`] |
//! | `crash` | ends the process where a test says (feature `crash`) | the seams of [`openstack`] and [`node`] |
//! | `sandbox` | the whole driver on a simulated cloud (feature `sandbox`) | the seams, and [`app`] |
//!
//! `tests/layering.rs` fails on another arrow; `.clippy.toml` says which functions live in one file only, and why.
//!
//! # Seams
//!
//! Tests replace four things and nothing between them: [`openstack::Http`], one HTTP exchange; [`node::Host`], the system
//! calls; [`config::Source`], files and environment; and time, which is tokio's clock throughout, so that a test pauses it.

pub mod app;
pub mod check;
pub mod cli;
pub mod config;
#[cfg(feature = "crash")]
pub mod crash;
pub mod csi;
pub mod json;
pub mod k8s;
pub mod node;
pub mod openstack;
pub mod pace;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod telemetry;
pub mod text;
pub mod volume;

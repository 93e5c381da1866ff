//! The node room on real loop devices, file systems and mounts. Needs root.

#![allow(clippy::disallowed_methods, reason = "the bed runs losetup and its kin")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "loop/bed.rs"]
mod bed;
#[path = "loop/claims.rs"]
mod claims;
#[path = "loop/copies.rs"]
mod copies;
#[path = "loop/formatting.rs"]
mod formatting;
#[path = "loop/growth.rs"]
mod growth;
#[path = "loop/health.rs"]
mod health;
#[path = "loop/identity.rs"]
mod identity;
#[path = "loop/phases.rs"]
mod phases;
#[path = "loop/publishing.rs"]
mod publishing;
#[path = "loop/reading.rs"]
mod reading;
#[path = "loop/refusal.rs"]
mod refusal;

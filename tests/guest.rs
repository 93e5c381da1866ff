//! The node's driver in a real machine: QEMU runs Debian's kernel, and disks are plugged and pulled as Nova does it.
//! `tests/run guest` makes the kernel and the root, and starts these.

#![allow(clippy::disallowed_methods, reason = "it runs QEMU")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/calls.rs"]
mod calls;
#[path = "guest/damage.rs"]
mod damage;
#[path = "guest/disk.rs"]
mod disk;
#[path = "guest/driver.rs"]
mod driver;
#[path = "guest/errors.rs"]
mod errors;
#[path = "guest/existing.rs"]
mod existing;
#[path = "guest/extent.rs"]
mod extent;
#[path = "bed/figures.rs"]
mod figures;
#[path = "guest/finding.rs"]
mod finding;
#[path = "guest/growth.rs"]
mod growth;
#[path = "guest/kubelet.rs"]
mod kubelet;
#[path = "guest/machine.rs"]
mod machine;
#[path = "guest/power.rs"]
mod power;
#[path = "guest/qmp.rs"]
mod qmp;
#[path = "guest/unreadable.rs"]
mod unreadable;
#[path = "guest/vanishing.rs"]
mod vanishing;

//! The node's driver in a real machine: QEMU runs Debian's kernel, and disks are plugged and pulled as Nova does it.
//! `tests/run guest` makes the kernel and the root, and starts these.

#![allow(clippy::disallowed_methods, reason = "it runs QEMU")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "guest/disk.rs"]
mod disk;
#[path = "guest/driver.rs"]
mod driver;
#[path = "guest/existing.rs"]
mod existing;
#[path = "guest/figures.rs"]
mod figures;
#[path = "guest/machine.rs"]
mod machine;
#[path = "guest/qmp.rs"]
mod qmp;
#[path = "guest/unreadable.rs"]
mod unreadable;

//! The lab's own services: taken away, and brought back.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid};
use serde_json::Value;

use crate::bed::Lab;
use crate::outage::KEYSTONE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With all its processes, as by the loss of its machine.
    Killed,
    /// What it listens at takes connections, and says nothing.
    Frozen,
}

/// A service that is away; it comes back with the end of this, also where a test fails.
pub struct Away<'a> {
    lab: &'a Lab,
    name: &'a str,
    how: How,
    pub since: Instant,
}

impl<'a> Away<'a> {
    pub fn take(lab: &'a Lab, name: &'a str, how: How) -> Self {
        let signal = if how == How::Killed { Signal::SIGKILL } else { Signal::SIGSTOP };
        killpg(group(lab, name), signal).unwrap();
        let away = Self { lab, name, how, since: Instant::now() };
        if name == KEYSTONE {
            forget_tokens(lab);
        }
        away
    }

    /// In a thread of its own: this takes seconds.
    pub fn bring_back(self) {
        tokio::task::block_in_place(|| drop(self));
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        if self.how == How::Frozen {
            return killpg(group(self.lab, self.name), Signal::SIGCONT).unwrap();
        }
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openstack/up");
        #[allow(clippy::disallowed_methods, reason = "the lab starts what of it is missing")]
        let up = Command::new(program).env("CINDER_CSI_LAB", self.lab.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&up.stdout) + String::from_utf8_lossy(&up.stderr);
        assert!(up.status.success(), "{said}");
    }
}

/// The lab starts each service in a group of its own, and keeps its number.
fn group(lab: &Lab, name: &str) -> Pid {
    let kept = std::fs::read_to_string(lab.path("run").join(format!("{name}.pid"))).unwrap();
    Pid::from_raw(kept.split(' ').next().unwrap().parse().unwrap())
}

pub fn is_process_of(lab: &Lab, name: &str, process: Pid) -> bool {
    getpgid(Some(process)).unwrap() == group(lab, name)
}

/// The services keep for five minutes what Keystone has told them of a token.
pub fn forget_tokens(lab: &Lab) {
    use std::io::{Read, Write};
    let ports = std::fs::read(lab.path("state/ports.json")).unwrap();
    let ports: Value = serde_json::from_slice(&ports).unwrap();
    let port = ports["memcached"].as_u64().unwrap() as u16;
    let mut memcached = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    memcached.write_all(b"flush_all\r\n").unwrap();
    let mut answer = [0; 4];
    memcached.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK\r\n");
}

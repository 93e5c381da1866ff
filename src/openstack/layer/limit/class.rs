//! Classes of requests that have turns after each other, and room at the cloud apart from each other.

use http::Method;

use super::super::super::Service;
use super::super::super::request::{Request, Waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// One list for all who wait.
    Look,
    /// Who asks keeps others waiting meanwhile.
    Turn,
    Read,
    Create,
    Delete,
    /// Nova asks the compute host for a device's name before it answers, so that an attach waits while the host works on
    /// another disk of the server, and a minute where it is dead (`reserve_block_device_name` in nova/compute/rpcapi.py).
    Attach,
    Detach,
}

pub const CLASSES: usize = 7;

impl Class {
    pub fn of(request: &Request) -> Self {
        match (&request.method, request.service) {
            (method, _) if method.is_safe() => match request.waiting {
                Waiting::Many => Class::Look,
                Waiting::Line => Class::Turn,
                Waiting::One => Class::Read,
            },
            (&Method::POST, Service::Nova) => Class::Attach,
            (&Method::DELETE, Service::Nova) => Class::Detach,
            (&Method::DELETE, _) => Class::Delete,
            _ => Class::Create,
        }
    }
}

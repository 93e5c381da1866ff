//! The whole driver on a simulated cloud.

mod calls;
mod cloud;
mod faults;
mod host;
mod latency;
mod world;

pub use calls::{Call, Service};
pub use cloud::{Credentials, Served, SimulatedCloud};
pub use faults::{Fault, Mishap, Operation, Trouble};
pub use host::LoopDevices;
pub use latency::{Latency, Span};
pub use world::{Hypervisor, Microversion, Quota, Settings};

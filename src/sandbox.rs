//! The whole driver on a simulated cloud.

mod calls;
mod cloud;
mod command;
mod drivers;
mod faults;
mod host;
mod latency;
mod mounts;
mod place;
mod rig;
mod story;
mod sweep;
mod world;

pub use calls::{Call, Service};
pub use cloud::{Credentials, Federation, Served, SimulatedCloud};
pub use command::{Failure, run};
pub use faults::{Fault, Mishap, Operation, Trouble};
pub use host::LoopDevices;
pub use latency::{Latency, Span};
pub use world::{ApiLimit, Deed, Held, Hypervisor, Microversion, Quota, Settings};

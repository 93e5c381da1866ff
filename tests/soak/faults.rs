//! What goes wrong in the cloud meanwhile: one after the other, again and again.

use std::sync::Arc;
use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Mishap, Operation, SimulatedCloud, Trouble};
use http::Method;

use crate::load::Load;

const EVERY: Duration = Duration::from_secs(4);

pub async fn inject(cloud: SimulatedCloud, load: Arc<Load>) {
    for turn in 0.. {
        pace::sleep(EVERY).await;
        load.inject();
        strike(&cloud, turn % 12);
    }
}

fn strike(cloud: &SimulatedCloud, turn: u32) {
    let disks = "/servers/{id}/os-volume_attachments";
    let fault = |method, path: &str, trouble| cloud.fault(Fault::on(method, path, trouble));
    let failure = |operation| cloud.mishap(Mishap::Fails(operation, "no room".to_owned()));
    match turn {
        0 => fault(Method::POST, "/volumes", Trouble::ResetAfter),
        1 => fault(Method::GET, "/volumes/detail", Trouble::Refused(503)),
        2 => fault(Method::POST, disks, Trouble::ResetAfter),
        3 => failure(Operation::Attach),
        4 => fault(Method::POST, "/volumes", Trouble::Throttled(Duration::from_secs(1))),
        5 => fault(Method::GET, "/volumes/{id}", Trouble::TokenRevoked),
        6 => fault(Method::DELETE, "/volumes/{id}", Trouble::ResetAfter),
        7 => failure(Operation::Create),
        8 => fault(Method::GET, "/volumes/{id}", Trouble::Slow(Duration::from_secs(3))),
        9 => fault(Method::POST, "/volumes/{id}/action", Trouble::FailedAfter(500)),
        10 => failure(Operation::Snapshot),
        _ => fault(Method::POST, "/snapshots", Trouble::ReplyLost),
    }
}

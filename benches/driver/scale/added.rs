//! The time that a controller adds to an operation: of the time that its caller waited, what the cloud didn't need.
//!
//! The cloud needs the operation's own time, the time in which the server was busy with another disk, and its answers to
//! the requests that no controller can do without: a look before (but for a delete or a detach, which are asked for at
//! once), the order, a look after, and after a create the mark that it has ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cinder_csi::sandbox::{Deed, Operation};

use super::super::figures::Times;
use super::bed::ANSWER;
use super::load::Done;
use super::run::Run;

/// Of the operations of this kind.
pub fn added(run: &Run, operation: Operation) -> Times {
    let busy = busy(&run.deeds);
    let mut times = Times::default();
    for done in run.done.iter().filter(|done| done.operation == operation) {
        let is_its = |deed: &&Deed| deed.operation == operation && deed.volume == done.volume;
        if let Some(deed) = run.deeds.iter().find(is_its) {
            let busy = busy.get(deed.server.as_str()).map(Vec::as_slice).unwrap_or_default();
            times.push(of(done, deed, busy));
        }
    }
    times
}

/// When nova-compute worked on a disk of each server, in order.
fn busy(deeds: &[Deed]) -> HashMap<&str, Vec<(Instant, Instant)>> {
    let mut busy: HashMap<&str, Vec<_>> = HashMap::new();
    for deed in deeds.iter().filter(|deed| !deed.server.is_empty()) {
        busy.entry(&deed.server).or_default().push((deed.begins.into_std(), deed.ends.into_std()));
    }
    busy
}

fn of(done: &Done, deed: &Deed, busy: &[(Instant, Instant)]) -> Duration {
    let answers = match done.operation {
        Operation::Create => 4,
        Operation::Attach => 3,
        _ => 2,
    };
    let begins = deed.begins.into_std();
    let others = |(from, to): &(Instant, Instant)| {
        (*to).min(begins).saturating_duration_since((*from).max(done.began))
    };
    let others: Duration = busy.iter().map(others).sum();
    let cloud = (deed.ends - deed.begins) + others + ANSWER * answers;
    (done.ended - done.began).saturating_sub(cloud)
}

//! Every trouble that one RPC can meet.

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Mishap, Operation, Trouble};
use http::Method;

use crate::stand::Rpc;

/// What goes wrong, and how it has to end.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub faults: Vec<Fault>,
    pub mishaps: Vec<Mishap>,
    /// From the second call on.
    pub later: Vec<Fault>,
    pub patience: Duration,
    /// The cloud is well again after so many calls.
    pub calls_in_trouble: usize,
    pub ends: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As asked, however many calls that takes.
    AsAsked,
    /// As asked, or the RPC has said for good that it isn't, and nothing is left.
    Either,
    /// The cloud itself never comes to an end.
    Never,
}

const SECOND: Duration = Duration::from_secs(1);
const READS: [&str; 14] = [
    "/volumes/detail",
    "/volumes/{id}",
    "/servers/{id}/os-volume_attachments/{id}",
    "/servers/{id}",
    "/snapshots/detail",
    "/snapshots/{id}",
    "/backups/detail",
    "/backups/{id}",
    "/types",
    "/groups/detail",
    "/group_snapshots/detail",
    "/group_snapshots/{id}",
    "/group_types",
    "/group_types/{id}/group_specs",
];

impl Case {
    fn new(name: impl Into<String>, faults: Vec<Fault>) -> Self {
        Self {
            name: name.into(),
            faults,
            mishaps: Vec::new(),
            later: Vec::new(),
            patience: 10 * SECOND,
            calls_in_trouble: 3,
            ends: End::AsAsked,
        }
    }

    fn with(mut self, mishap: Mishap) -> Self {
        self.mishaps.push(mishap);
        self
    }

    fn ending(self, ends: End) -> Self {
        Self { ends, ..self }
    }
}

/// The product of the troubles with the places where they can be met.
pub fn cases(rpc: Rpc) -> Vec<Case> {
    let mut cases = on_the_mutations(rpc);
    cases.extend(in_the_cloud(rpc));
    cases.extend(on_the_reads(rpc));
    cases.extend(at_keystone(rpc));
    cases.extend(in_the_second_call(rpc));
    cases.extend(on_the_mark(rpc));
    cases.extend(on_the_removal(rpc));
    if rpc == Rpc::Group {
        cases.extend(on_the_way_out());
    }
    if rpc == Rpc::Backup || rpc == Rpc::DeleteBackup {
        cases.extend(on_the_intermediate_snapshot(rpc));
    }
    cases
}

/// It was done, and the answer doesn't say so.
fn hidden() -> Vec<Trouble> {
    let after = [500, 502, 503, 504].map(Trouble::FailedAfter);
    [Trouble::ReplyLost, Trouble::ResetAfter, Trouble::Slow(30 * SECOND)].into_iter().chain(after).collect()
}

/// It wasn't done.
fn refusals() -> Vec<Trouble> {
    let codes = [400, 401, 403, 404, 409, 413, 500, 502, 503, 504].map(Trouble::Refused);
    let throttled = [SECOND, 60 * SECOND].map(Trouble::Throttled);
    [Trouble::ResetBefore, Trouble::TokenRevoked].into_iter().chain(codes).chain(throttled).collect()
}

fn on_the_mutations(rpc: Rpc) -> Vec<Case> {
    let mut cases = Vec::new();
    for mutation in rpc.mutations() {
        for (trouble, ends) in hidden()
            .into_iter()
            .map(|it| (it, End::AsAsked))
            .chain(refusals().into_iter().map(|it| (it, End::Either)))
        {
            let fault = mutation.meets(trouble.clone());
            let name = format!("{mutation}: {trouble:?}");
            cases.push(Case::new(format!("{name} once"), vec![fault.clone()]).ending(ends));
            cases.push(Case::new(format!("{name} always"), vec![fault.always()]).ending(ends));
        }
    }
    cases
}

fn in_the_cloud(rpc: Rpc) -> Vec<Case> {
    let hurried = |name: String| Case { patience: 2 * SECOND, ..Case::new(name, Vec::new()) };
    let mut cases = vec![
        Case { patience: SECOND / 10, ..Case::new("the caller waits for nothing", Vec::new()) }
            .ending(End::Never),
    ];
    for operation in rpc.operations() {
        cases.extend([
            Case::new(format!("{operation:?} fails later"), Vec::new())
                .with(Mishap::Fails(operation, "no".to_owned()))
                .ending(End::Either),
            hurried(format!("{operation:?} never ends")).with(Mishap::Stuck(operation)).ending(End::Never),
            hurried(format!("{operation:?} takes longer than the caller waits"))
                .with(Mishap::Takes(operation, 7 * SECOND)),
        ]);
    }
    cases
}

/// The mutation landed, and what became of it can't be read.
fn on_the_reads(rpc: Rpc) -> Vec<Case> {
    let mut cases = Vec::new();
    let troubles = [500, 503, 400, 401, 403].map(Trouble::Refused).into_iter();
    for read in troubles.chain([Trouble::ResetBefore, Trouble::ReplyLost, Trouble::Throttled(60 * SECOND)]) {
        // The first read comes before the mutation.
        let reads = |nth| READS.map(|path| Fault::on(Method::GET, path, read.clone()).from_nth(nth).always());
        for nth in [1, 2, 3] {
            let name = format!("reads from the {nth}. on: {read:?}");
            cases.push(Case::new(&name, reads(nth).into()).ending(End::Either));
            for lost in [Trouble::ResetAfter, Trouble::FailedAfter(503)] {
                for mutation in rpc.mutations() {
                    let name = format!("{mutation}: {lost:?}, {name}");
                    let faults = reads(nth).into_iter().chain([mutation.meets(lost.clone())]).collect();
                    cases.push(Case::new(name, faults).ending(End::Either));
                }
            }
        }
    }
    cases
}

/// The token ends right after the mutation, and there is no new one.
fn at_keystone(rpc: Rpc) -> Vec<Case> {
    let mut cases = Vec::new();
    for trouble in [401, 403, 500, 503].map(Trouble::Refused).into_iter().chain([Trouble::ReplyLost]) {
        let keystone = Fault::on(Method::POST, "/auth/tokens", trouble.clone()).from_nth(2).always();
        let mut faults = vec![keystone];
        faults.extend(READS.map(|path| Fault::on(Method::GET, path, Trouble::TokenRevoked).from_nth(2)));
        let name = format!("Keystone answers {trouble:?} after it");
        cases.push(Case::new(&name, faults.clone()).ending(End::Either));
        for mutation in rpc.mutations() {
            let faults = faults.iter().cloned().chain([mutation.meets(Trouble::ResetAfter)]).collect();
            cases.push(Case::new(format!("{mutation}: ResetAfter, {name}"), faults).ending(End::Either));
        }
    }
    cases
}

/// A first call left its work under way; the second one meets the trouble.
fn in_the_second_call(rpc: Rpc) -> Vec<Case> {
    let mut cases = Vec::new();
    for trouble in [400, 401, 403, 409, 413, 500, 503].map(Trouble::Refused) {
        let reads = READS.map(|path| Fault::on(Method::GET, path, trouble.clone()));
        let mutations = rpc.mutations().into_iter().map(|mutation| mutation.nth(1).meets(trouble.clone()));
        let later: Vec<_> = reads.into_iter().chain(mutations).map(Fault::always).collect();
        for operation in rpc.operations() {
            let name = format!("the second call finds {operation:?} under way and all answers {trouble:?}");
            let case = Case::new(name, Vec::new()).with(Mishap::Takes(operation, 25 * SECOND));
            cases.push(Case { later: later.clone(), patience: 2 * SECOND, ..case });
        }
    }
    cases
}

/// It is there, and the mark that it is promised can't be written.
fn on_the_mark(rpc: Rpc) -> Vec<Case> {
    let (method, path) = match rpc {
        Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone => {
            (Method::POST, "/volumes/{id}/metadata")
        }
        Rpc::Snapshot => (Method::POST, "/snapshots/{id}/metadata"),
        Rpc::Backup => (Method::PUT, "/backups/{id}"),
        _ => return Vec::new(),
    };
    let mut cases = Vec::new();
    for trouble in hidden().into_iter().chain(refusals()) {
        let fault = Fault::on(method.clone(), path, trouble.clone());
        cases.push(Case::new(format!("the mark: {trouble:?} once"), vec![fault.clone()]));
        cases.push(Case::new(format!("the mark: {trouble:?} always"), vec![fault.always()]));
    }
    cases
}

/// Cinder couldn't make it, and it can't be removed.
fn on_the_removal(rpc: Rpc) -> Vec<Case> {
    let removed: &[&str] = match rpc {
        Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone => &["/volumes/{id}"],
        Rpc::Snapshot => &["/snapshots/{id}"],
        Rpc::Backup => &["/snapshots/{id}", "/backups/{id}"],
        Rpc::Group => &["/group_snapshots/{id}"],
        _ => return Vec::new(),
    };
    let mut removals: Vec<_> = removed.iter().map(|path| (Method::DELETE, *path)).collect();
    removals.push(match rpc {
        Rpc::Group => (Method::POST, "/groups/{id}/action"),
        _ => (Method::GET, "/messages"),
    });
    let mut cases = Vec::new();
    for trouble in hidden().into_iter().chain(refusals()) {
        for (method, path) in &removals {
            for operation in rpc.operations() {
                let name = format!("{operation:?} fails later, then {method} {path} answers {trouble:?}");
                let fault = Fault::on(method.clone(), path, trouble.clone()).always();
                let fails = Mishap::Fails(operation, "no".to_owned());
                cases.push(Case::new(name, vec![fault]).with(fails).ending(End::Either));
            }
        }
    }
    cases
}

/// What the backup is made from can't be made, or can't be removed.
fn on_the_intermediate_snapshot(rpc: Rpc) -> Vec<Case> {
    let mut cases = Vec::new();
    for trouble in hidden().into_iter().chain(refusals()) {
        for (method, path) in [(Method::POST, "/snapshots"), (Method::DELETE, "/snapshots/{id}")] {
            let fault = Fault::on(method.clone(), path, trouble.clone());
            let name = format!("{method} {path} answers {trouble:?}");
            cases.push(Case::new(format!("{name} once"), vec![fault.clone()]).ending(End::Either));
            cases.push(Case::new(format!("{name} always"), vec![fault.clone().always()]).ending(End::Either));
            let refused = Fault::on(Method::POST, "/backups", Trouble::Refused(413)).always();
            let case = Case::new(format!("no quota, and {name}"), vec![fault.always(), refused]);
            cases.push(case.ending(End::Either));
        }
    }
    let operation = Operation::Snapshot;
    cases.push(
        Case::new("it fails later", Vec::new())
            .with(Mishap::Fails(operation, "no".to_owned()))
            .ending(End::Either),
    );
    let slow = Case::new("it takes longer than the caller waits", Vec::new())
        .with(Mishap::Takes(operation, 7 * SECOND));
    cases.push(Case { patience: 2 * SECOND, ..slow });
    if rpc == Rpc::Backup {
        cases
    } else {
        cases.into_iter().filter(|case| case.mishaps.is_empty()).collect()
    }
}

/// The volumes are cut, and Cinder can't let them out of their group.
fn on_the_way_out() -> Vec<Case> {
    let operation = Operation::UpdateGroup;
    let into = Mishap::Takes(operation, SECOND);
    vec![
        Case::new("the way out fails", Vec::new())
            .with(into.clone())
            .with(Mishap::Fails(operation, "no".to_owned())),
        Case::new("the way out never ends", Vec::new())
            .with(into)
            .with(Mishap::Stuck(operation))
            .ending(End::Never),
    ]
}

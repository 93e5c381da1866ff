//! What can go wrong in a cloud, for tests to order.

use std::time::Duration;

use http::Method;

/// Trouble with the HTTP exchange itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This status, and nothing was done.
    Refused(u16),
    /// This status, although it was done.
    FailedAfter(u16),
    /// The connection is reset, and nothing was done.
    ResetBefore,
    /// The connection is reset, although it was done.
    ResetAfter,
    /// It is done, and no answer ever comes.
    ReplyLost,
    /// 429 with Retry-After in whole seconds.
    Throttled(Duration),
    /// It is done at once, and the answer comes this much later.
    Slow(Duration),
    /// The token is no longer good: 401 for this and every later request that carries it.
    TokenRevoked,
}

/// Trouble, and the requests that meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    method: Method,
    path: String,
    skip: usize,
    left: usize,
    trouble: Trouble,
}

impl Fault {
    /// The next request with this method and normalized path (`/volumes/{id}/action`) meets `trouble`.
    pub fn on(method: Method, path: &str, trouble: Trouble) -> Self {
        Self { method, path: path.to_owned(), skip: 0, left: 1, trouble }
    }

    /// Only the `nth` such request and those after it, counted from 1.
    pub fn from_nth(mut self, nth: usize) -> Self {
        self.skip = nth.saturating_sub(1);
        self
    }

    pub fn times(mut self, times: usize) -> Self {
        self.left = times;
        self
    }

    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Whether the request meets this fault; counts it.
    fn meets(&mut self, method: &Method, path: &str) -> bool {
        if self.left == 0 || self.method != *method || self.path != path {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.saturating_sub(usize::from(self.left != usize::MAX));
        true
    }
}

/// The trouble of a request, from the first fault that it meets.
pub(super) fn met(faults: &mut Vec<Fault>, method: &Method, path: &str) -> Option<Trouble> {
    let mut trouble = None;
    for fault in faults.iter_mut() {
        if trouble.is_none() && fault.meets(method, path) {
            trouble = Some(fault.trouble.clone());
        }
    }
    faults.retain(|fault| fault.left > 0);
    trouble
}

/// Work that the cloud does after it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Delete,
    Attach,
    Detach,
    Extend,
    Retype,
    Snapshot,
    DeleteSnapshot,
    Backup,
    DeleteBackup,
    /// Of a backup to a volume, after the create of a new one.
    Restore,
    Group,
    UpdateGroup,
    DeleteGroup,
    GroupSnapshot,
    DeleteGroupSnapshot,
}

/// Trouble inside the cloud, met by the next operation of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It ends as that operation ends when it fails on its host, with this reason.
    Fails(Operation, String),
    /// It never ends: `creating`, `attaching`, `detaching` for ever.
    Stuck(Operation),
    /// It takes this long.
    Takes(Operation, Duration),
    /// After the next extend the server's disk grows this late, `None`: never. Cinder says success.
    GrowsLate(Option<Duration>),
    /// The next server that is deleted leaves its entries with Cinder: its volumes stay `in-use` on nothing.
    LeavesEntries,
    /// Lists don't show what the next operation of this kind makes for so long; GET by its id does.
    Unlisted(Operation, Duration),
}

/// How an operation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    Fails(String),
    Stuck,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_met_by_the_requests_that_it_names() {
        let fault = Fault::on(Method::POST, "/volumes", Trouble::ResetAfter).from_nth(2).times(2);
        let mut faults = vec![fault];
        assert_eq!(met(&mut faults, &Method::GET, "/volumes"), None);
        let met: Vec<_> = (0..4).map(|_| met(&mut faults, &Method::POST, "/volumes").is_some()).collect();
        assert_eq!(met, [false, true, true, false]);
        assert!(faults.is_empty());
    }
}

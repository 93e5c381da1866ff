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
    /// A gateway waits no longer than this for the answer, and says 504; it is done all the same.
    GatewayTimeout(Duration),
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
    has_been_met: bool,
}

impl Fault {
    /// The next request with this method and normalized path (`/volumes/{id}/action`) meets `trouble`.
    pub fn on(method: Method, path: &str, trouble: Trouble) -> Self {
        Self { method, path: path.to_owned(), skip: 0, left: 1, trouble, has_been_met: false }
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

/// What was ordered, and how much of it was met.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    waiting: Vec<T>,
    met: usize,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), met: 0 }
    }
}

impl<T> Ordered<T> {
    pub fn order(&mut self, one: T) {
        self.waiting.push(one);
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many were met, once or more often.
    pub fn met(&self) -> usize {
        self.met
    }
}

impl Ordered<Fault> {
    /// The trouble of a request, from the first fault that it meets.
    pub fn meet(&mut self, method: &Method, path: &str) -> Option<Trouble> {
        let fault = self.waiting.iter_mut().find_map(|fault| fault.meets(method, path).then_some(fault))?;
        self.met += usize::from(!std::mem::replace(&mut fault.has_been_met, true));
        let trouble = fault.trouble.clone();
        self.waiting.retain(|fault| fault.left > 0);
        Some(trouble)
    }
}

impl Ordered<Mishap> {
    /// The first one that `is_met`.
    pub fn take(&mut self, is_met: impl Fn(&Mishap) -> bool) -> Option<Mishap> {
        let index = self.waiting.iter().position(is_met)?;
        self.met += 1;
        Some(self.waiting.remove(index))
    }
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
    /// The next server with volumes that is deleted leaves its entries with Cinder: its volumes stay `in-use` on nothing.
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
        let mut faults = Ordered::default();
        faults.order(fault);
        assert_eq!(faults.meet(&Method::GET, "/volumes"), None);
        let met: Vec<_> = (0..4).map(|_| faults.meet(&Method::POST, "/volumes").is_some()).collect();
        assert_eq!(met, [false, true, true, false]);
        assert_eq!(faults.met(), 1);
        assert!(faults.waiting.is_empty());
    }

    #[test]
    fn a_mishap_is_met_once() {
        let mut mishaps = Ordered::default();
        mishaps.order(Mishap::Stuck(Operation::Attach));
        mishaps.order(Mishap::LeavesEntries);
        assert_eq!(mishaps.take(|mishap| matches!(mishap, Mishap::GrowsLate(_))), None);
        assert_eq!(mishaps.met(), 0);
        assert_eq!(mishaps.take(|mishap| *mishap == Mishap::LeavesEntries), Some(Mishap::LeavesEntries));
        assert_eq!(mishaps.take(|mishap| *mishap == Mishap::LeavesEntries), None);
        assert_eq!(mishaps.met(), 1);
    }
}

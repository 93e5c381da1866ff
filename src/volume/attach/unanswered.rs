//! Attaches that Nova hasn't answered, or not clearly.
//!
//! Nova keeps an attach waiting for nova-compute, and carries it out also where nobody listens any more
//! (`_attach_volume` in <https://opendev.org/openstack/nova/src/branch/master/nova/compute/api.py>). Until then neither Nova nor
//! Cinder names it: only the process that asked for it knows that a disk may still come.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::{self, AbortHandle};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::openstack::{Effect, Result, ServerId, VolumeId, ledger};
use crate::pace;
use crate::volume::{Condition, Error};

/// Which volume, to which server.
pub type Pair = (VolumeId, ServerId);

/// The id of Nova's request. `None`: no answer within the RPC's time, or none at all, as the attach was over before it.
type Answer = Option<Result<Option<String>>>;

/// One whose connection was cut is carried out once nova-compute is done with the disks before it, or given up a minute
/// after its host was lost (`rpc_response_timeout`): then the volume is needed elsewhere.
const DOUBTFUL_FOR: Duration = Duration::from_secs(120);

/// A call that was never sent ends with the deadline, too, and tells why.
const UNSENT: Duration = Duration::from_millis(20);

/// Cheap to clone: the clones share what they know.
#[derive(Clone, Default)]
pub struct Unanswered(Arc<Mutex<HashMap<Pair, Asked>>>);

enum Asked {
    Waiting(Waiting),
    Unclear(Instant),
}

struct Waiting {
    answer: Awaited,
    task: AbortHandle,
}

pub type Awaited = Shared<BoxFuture<'static, Answer>>;

impl Unanswered {
    /// The answer to `call`, or to an earlier one for the same pair, within the RPC's deadline. The call goes on without us.
    pub async fn ask<F>(&self, of: Pair, call: F) -> Answer
    where
        F: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let answer = self.begin(of, call);
        timeout(pace::deadline().remaining() + UNSENT, answer).await.ok().flatten()
    }

    fn begin<F>(&self, of: Pair, call: F) -> Awaited
    where
        F: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let mut asked = self.lock();
        let earlier = match asked.get(&of) {
            Some(Asked::Waiting(waiting)) => return waiting.answer.clone(),
            Some(Asked::Unclear(since)) => Some(*since),
            None => None,
        };
        let unanswered = self.clone();
        let work = ledger::carried(pace::within(pace::deadline(), call)).in_current_span();
        let task = tokio::spawn(async move {
            let mut end = End { unanswered, of, task: task::id(), doubt: Some(Instant::now()) };
            let answer = work.await;
            end.heard(&answer, earlier);
            answer
        });
        let handle = task.abort_handle();
        let answer = task.map(std::result::Result::ok).boxed().shared();
        asked.insert(of, Asked::Waiting(Waiting { answer: answer.clone(), task: handle }));
        answer
    }

    /// What Nova still has to answer for the pair.
    pub fn waiting(&self, of: Pair) -> Option<Awaited> {
        match self.lock().get(&of) {
            Some(Asked::Waiting(waiting)) => Some(waiting.answer.clone()),
            Some(Asked::Unclear(_)) | None => None,
        }
    }

    /// An error while an attach of the pair may still be carried out.
    pub fn none_may_come(&self, of: Pair) -> std::result::Result<(), Error> {
        match self.lock().get(&of) {
            None => Ok(()),
            Some(Asked::Waiting(_)) => Err(Error::new(Condition::Unsettled, STILL_WAITING)),
            Some(Asked::Unclear(since)) => Err(unclear(DOUBTFUL_FOR.saturating_sub(since.elapsed()))),
        }
    }

    /// The server has the volume, or Nova takes it away again, or the server is gone: it's over, whether or not its answer comes.
    pub fn is_over(&self, of: Pair) {
        if let Some(Asked::Waiting(waiting)) = self.lock().remove(&of) {
            waiting.task.abort();
        }
    }

    /// Without the doubts that are too old.
    fn lock(&self) -> MutexGuard<'_, HashMap<Pair, Asked>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, one| !matches!(one, Asked::Unclear(since) if since.elapsed() >= DOUBTFUL_FOR));
        asked
    }
}

/// Waits for the answer, within the RPC's deadline.
pub async fn heard(waiting: Awaited) -> std::result::Result<(), Error> {
    let answer = timeout(pace::deadline().remaining(), waiting).await;
    answer.map(drop).map_err(|_| Error::new(Condition::TimedOut, STILL_WAITING))
}

fn unclear(left: Duration) -> Error {
    let why = format!(
        "Nova gave no clear answer to an attach of that volume to that server, and may still carry it out: the next call goes on, \
         and in {} s it is taken for lost",
        left.as_secs() + 1
    );
    Error::new(Condition::Unsettled, why)
}

const STILL_WAITING: &str = "Nova hasn't answered an attach of that volume to that server yet, and carries it out once nova-compute \
                             is done with the server's other disks; the next call goes on. If it stays so, is nova-compute of \
                             the server's host up?";

/// Of one call: a panic in it is an unclear answer.
struct End {
    unanswered: Unanswered,
    of: Pair,
    task: task::Id,
    /// Since when nobody knows what became of it, or of one before it.
    doubt: Option<Instant>,
}

impl End {
    /// A disk is attached once. One that did nothing says nothing of one before it.
    fn heard(&mut self, answer: &Result<Option<String>>, earlier: Option<Instant>) {
        self.doubt = match answer {
            Ok(_) => None,
            Err(error) if error.effect == Effect::Unknown => Some(Instant::now()),
            Err(_) => earlier,
        };
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut asked = self.unanswered.lock();
        match asked.get(&self.of) {
            Some(Asked::Waiting(waiting)) if waiting.task.id() == self.task => {}
            _ => return,
        }
        match self.doubt {
            None => asked.remove(&self.of),
            Some(since) => asked.insert(self.of, Asked::Unclear(since)),
        };
    }
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unanswered").field(&self.lock().keys()).finish()
    }
}

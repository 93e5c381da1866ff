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
use tokio::time::{Instant, timeout};
use tracing::Instrument;
use uuid::Uuid;

use crate::openstack::{Effect, Result, ServerId, VolumeId, ledger};
use crate::pace;
use crate::volume::{Condition, Error};

/// Which volume, to which server.
pub type Pair = (VolumeId, ServerId);

/// With the id of Nova's request; `None`: a bug of ours ended the call.
type Answer = Option<Result<Option<String>>>;

/// One whose connection was cut is carried out once nova-compute is done with the disks before it, or given up a minute
/// after its host was lost (`rpc_response_timeout`): then the volume is needed elsewhere.
const DOUBTFUL_FOR: Duration = Duration::from_secs(120);

/// Cheap to clone: the clones share what they know.
#[derive(Clone, Default)]
pub struct Unanswered(Arc<Mutex<HashMap<Pair, Asked>>>);

enum Asked {
    Waiting { number: Uuid, answer: Waiting },
    Unclear(Instant),
}

pub type Waiting = Shared<BoxFuture<'static, Answer>>;

impl Unanswered {
    /// The answer to `call`, or to an earlier one for the same pair, within the RPC's deadline. The call goes on without us.
    pub async fn ask<F>(&self, of: Pair, call: F) -> Answer
    where
        F: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let answer = self.begin(of, call);
        timeout(pace::deadline().remaining(), answer).await.ok().flatten()
    }

    fn begin<F>(&self, of: Pair, call: F) -> Waiting
    where
        F: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let mut asked = self.lock();
        if let Some(Asked::Waiting { answer, .. }) = asked.get(&of) {
            return answer.clone();
        }
        let number = Uuid::new_v4();
        let mut end = End { unanswered: self.clone(), of, number, is_clear: false };
        let work = ledger::carried(pace::within(pace::deadline(), call)).in_current_span();
        let task = tokio::spawn(async move {
            let answer = work.await;
            end.heard(&answer);
            answer
        });
        let answer = task.map(std::result::Result::ok).boxed().shared();
        asked.insert(of, Asked::Waiting { number, answer: answer.clone() });
        answer
    }

    /// What Nova still has to answer for the pair.
    pub fn waiting(&self, of: Pair) -> Option<Waiting> {
        match self.lock().get(&of) {
            Some(Asked::Waiting { answer, .. }) => Some(answer.clone()),
            Some(Asked::Unclear(_)) | None => None,
        }
    }

    /// An error while an attach of the pair may still be carried out.
    pub fn none_may_come(&self, of: Pair) -> std::result::Result<(), Error> {
        match self.lock().get(&of) {
            None => Ok(()),
            Some(Asked::Waiting { .. }) => Err(Error::new(Condition::Unsettled, STILL_WAITING)),
            Some(Asked::Unclear(since)) => Err(unclear(DOUBTFUL_FOR.saturating_sub(since.elapsed()))),
        }
    }

    /// Nova detaches it: what was asked for had come.
    pub fn has_come(&self, of: Pair) {
        self.lock().remove(&of);
    }

    /// Without the doubts that are too old.
    fn lock(&self) -> MutexGuard<'_, HashMap<Pair, Asked>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, one| !matches!(one, Asked::Unclear(since) if since.elapsed() >= DOUBTFUL_FOR));
        asked
    }
}

/// Waits for the answer, within the RPC's deadline.
pub async fn heard(waiting: Waiting) -> std::result::Result<(), Error> {
    let answer = timeout(pace::deadline().remaining(), waiting).await;
    answer.map(drop).map_err(|_| Error::new(Condition::TimedOut, STILL_WAITING))
}

fn unclear(left: Duration) -> Error {
    let why = format!(
        "Nova gave no clear answer to an attach of that volume to that server, and may still carry it out: the next call goes on, \
         and in {} s it is certain that nothing comes",
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
    number: Uuid,
    is_clear: bool,
}

impl End {
    fn heard(&mut self, answer: &Result<Option<String>>) {
        self.is_clear = !matches!(answer, Err(error) if error.effect == Effect::Unknown);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut asked = self.unanswered.lock();
        match asked.get(&self.of) {
            Some(Asked::Waiting { number, .. }) if *number == self.number => {}
            _ => return,
        }
        match self.is_clear {
            true => asked.remove(&self.of),
            false => asked.insert(self.of, Asked::Unclear(Instant::now())),
        };
    }
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unanswered").field(&self.lock().keys()).finish()
    }
}

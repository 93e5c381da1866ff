//! What one RPC cost the cloud: counted while it runs, so that its log line can say so.

mod spent;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spent::Clocks;
pub(super) use spent::Stretch;

/// The most request ids that a record keeps: one line of a log, not a list.
const KEPT: usize = 8;

/// The exchanges with the cloud during one piece of work. Tasks that it spawned count where they are [`carried`]; work that
/// it shares with others (a token, the poller) doesn't.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub calls: u32,
    /// The cloud's ids of the latest requests, oldest first.
    pub requests: Vec<String>,
    clocks: Clocks,
}

#[derive(Clone, Debug, Default)]
struct Page(Arc<Mutex<Record>>);

tokio::task_local! {
    static PAGE: Page;
}

/// Runs `work` and says what it asked of the cloud.
pub async fn recorded<F: Future>(work: F) -> (F::Output, Record) {
    let page = Page::default();
    let output = PAGE.scope(page.clone(), work).await;
    let mut record = std::mem::take(&mut *page.lock());
    record.close();
    (output, record)
}

/// `work` for a task of its own, which may outlive what it is a part of.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let page = PAGE.try_with(Page::clone).unwrap_or_default();
    PAGE.scope(page, work)
}

impl Page {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange happened, or was given up.
pub(super) fn enter(request_id: Option<String>) {
    note(|record| {
        record.calls += 1;
        record.requests.extend(request_id);
        if record.requests.len() > KEPT {
            record.requests.remove(0);
        }
    });
}

/// A call is on a stretch of its way until this is dropped.
pub(super) struct On(Stretch);

pub(super) fn on(stretch: Stretch) -> On {
    note(|record| record.clocks.start(stretch));
    On(stretch)
}

impl Drop for On {
    fn drop(&mut self) {
        note(|record| record.clocks.stop(self.0));
    }
}

fn note(what: impl FnOnce(&mut Record)) {
    let _ = PAGE.try_with(|page| what(&mut page.lock()));
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls", self.calls)?;
        if !self.requests.is_empty() {
            write!(f, ", requests {}", self.requests.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pace;

    #[tokio::test]
    async fn a_record_counts_its_own_work_only() {
        let (output, record) = recorded(async {
            enter(Some("req-1".into()));
            tokio::spawn(async { enter(Some("req-other".into())) }).await.unwrap();
            enter(None);
            7
        })
        .await;
        enter(None);
        assert_eq!(output, 7);
        assert_eq!(record.to_string(), "2 calls, requests req-1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_carried_task_counts_and_what_it_has_under_way_at_the_end_too() {
        let (_, record) = recorded(async {
            let late = carried(async {
                enter(Some("req-1".into()));
                let _on = on(Stretch::Exchange);
                std::future::pending::<()>().await;
            });
            drop(tokio::spawn(late));
            pace::sleep(Duration::from_secs(3)).await;
        })
        .await;
        assert_eq!(record.to_string(), "2 calls, requests req-1");
        assert_eq!(record.spent(Duration::from_secs(3))[0], ("answers", Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn the_latest_requests_are_kept() {
        let work = async { (0..20).for_each(|n| enter(Some(n.to_string()))) };
        let (_, record) = recorded(work).await;
        assert_eq!(record.calls, 20);
        assert_eq!(record.requests.first().map(String::as_str), Some("12"));
    }
}

//! Writes the queued Events.

use tokio::sync::mpsc;

use super::super::{Error, Kubernetes, Result};
use super::book::{Book, Step};
use super::{Object, Report, dropped, shape};

pub async fn write(kubernetes: Kubernetes, mut reports: mpsc::Receiver<Report>) {
    let (mut book, mut denied) = (Book::new(), false);
    while let Some(report) = reports.recv().await {
        let step = book.step(&report);
        if step == Step::TooMany {
            dropped("too many");
        }
        match carry_out(&kubernetes, &report, step).await {
            Ok(None) => {}
            Ok(Some((name, count))) => book.note(report, name, count),
            Err(error) => {
                dropped("the API didn't take it");
                // A missing rule is told once: it stays until somebody mends it.
                match matches!(error, Error::Denied(_)) && !denied {
                    true => tracing::warn!(%error, "Events can't be written"),
                    false => tracing::debug!(%error, "an Event is dropped"),
                }
                denied |= matches!(error, Error::Denied(_));
            }
        }
    }
}

/// The name of the Event that was written, and its count.
async fn carry_out(kubernetes: &Kubernetes, report: &Report, step: Step) -> Result<Option<(String, i32)>> {
    match step {
        Step::Quiet | Step::TooMany => Ok(None),
        Step::Create => create(kubernetes, report).await,
        Step::Count(name, count) => {
            let count = count.saturating_add(1);
            if kubernetes.patch_event(&report.namespace, &name, &shape::counted(count)).await? {
                return Ok(Some((name, count)));
            }
            create(kubernetes, report).await
        }
    }
}

async fn create(kubernetes: &Kubernetes, report: &Report) -> Result<Option<(String, i32)>> {
    let Some(uid) = uid(kubernetes, report).await? else { return Ok(None) };
    let name = shape::name(report);
    kubernetes.create_event(&report.namespace, &shape::event(report, &name, &uid)).await?;
    Ok(Some((name, 1)))
}

/// `None`: the object is gone, and nobody would see the Event.
async fn uid(kubernetes: &Kubernetes, report: &Report) -> Result<Option<String>> {
    match &report.object {
        Object::Claim(name) => {
            Ok(kubernetes.find_claim(&report.namespace, name).await?.map(|claim| claim.uid))
        }
        Object::Pod(_, Some(uid)) => Ok(Some(uid.clone())),
        Object::Pod(name, None) => kubernetes.find_pod(&report.namespace, name).await,
    }
}

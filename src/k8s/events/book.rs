//! Which Events were written, and which may be.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Object, Report};
use crate::pace::Bucket;

/// How long the same warning is not told again.
const QUIET: Duration = Duration::from_secs(600);

/// An API server forgets an Event after an hour.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// New Events about one object, as client-go's `EventSourceObjectSpamFilter`: 25, and one more in five minutes.
const BURST_OF_ONE: u32 = 25;
const RATE_OF_ONE: f64 = 1.0 / 300.0;

/// Events of this process about all of them: a cloud that breaks under ten thousand volumes must not take the API with it.
const BURST: u32 = 50;
const RATE: f64 = 1.0;

#[derive(Debug)]
pub struct Book {
    written: HashMap<Report, Written>,
    of_objects: HashMap<(String, Object), (Bucket, Instant)>,
    all: Bucket,
    swept: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The Event's name.
    pub name: String,
    pub count: i32,
    at: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    /// It was written before, so often.
    Count(String, i32),
    /// It was told a moment ago.
    Quiet,
    TooMany,
}

impl Book {
    pub fn new() -> Self {
        Self {
            written: HashMap::new(),
            of_objects: HashMap::new(),
            all: Bucket::new(RATE, BURST),
            swept: Instant::now(),
        }
    }

    pub fn step(&mut self, report: &Report) -> Step {
        self.sweep();
        let written = self.written.get(report);
        if written.is_some_and(|written| written.at.elapsed() < QUIET) {
            return Step::Quiet;
        }
        let step = match written {
            Some(written) => Step::Count(written.name.clone(), written.count),
            None => Step::Create,
        };
        let of_one = self
            .of_objects
            .entry((report.namespace.clone(), report.object.clone()))
            .or_insert_with(|| (Bucket::new(RATE_OF_ONE, BURST_OF_ONE), Instant::now()));
        of_one.1 = Instant::now();
        match of_one.0.try_take() && self.all.try_take() {
            true => step,
            false => Step::TooMany,
        }
    }

    pub fn note(&mut self, report: Report, name: String, count: i32) {
        self.written.insert(report, Written { name, count, at: Instant::now() });
    }

    /// What the API has forgotten is forgotten here.
    fn sweep(&mut self) {
        if self.swept.elapsed() >= QUIET {
            self.written.retain(|_, written| written.at.elapsed() < FORGOTTEN);
            self.of_objects.retain(|_, (_, at)| at.elapsed() < FORGOTTEN);
            self.swept = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::pace;

    fn report(claim: &str, message: &str) -> Report {
        Report {
            namespace: "shop".into(),
            object: Object::Claim(claim.into()),
            severity: Severity::Warning,
            reason: "VolumeError".into(),
            message: message.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_that_repeats_is_quiet_then_counted_then_new() {
        let (mut book, one) = (Book::new(), report("data", "broken"));
        assert_eq!(book.step(&one), Step::Create);
        book.note(one.clone(), "data.1".into(), 1);
        assert_eq!(book.step(&one), Step::Quiet);
        assert_eq!(book.step(&report("data", "lost")), Step::Create);
        pace::sleep(QUIET).await;
        assert_eq!(book.step(&one), Step::Count("data.1".into(), 1));
        book.note(one.clone(), "data.1".into(), 2);
        pace::sleep(FORGOTTEN).await;
        assert_eq!(book.step(&one), Step::Create);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_one_claim_nor_all_together_flood_the_api() {
        let mut book = Book::new();
        let mut create =
            |claim: &str, number: usize| book.step(&report(claim, &number.to_string())) == Step::Create;
        assert_eq!((0..100).filter(|number| create("data", *number)).count(), 25);
        assert_eq!((0..100).filter(|number| create(&format!("data-{number}"), 0)).count(), 25);
    }
}

//! `cinder-csi check`: whether a cloud, or a node, is as the driver needs it.
//!
//! What was asked is in `cloud.rs` and `node.rs`; what an answer means, a pure function of it, in the files beside them.

mod access;
mod backups;
mod cloud;
mod json;
mod microversions;
mod node;
mod quotas;
mod table;
mod tools;
mod trouble;
mod types;
mod zones;

use std::fmt;

use crate::config::Warning;

pub use cloud::{Terms, cloud};
pub use node::{Machine, node};

/// From the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// Only somebody with more rights could tell, or it wasn't asked.
    Unknown,
    /// The driver works, but something of it is missing or looks like a mistake.
    Warning,
    /// The driver can't do its work.
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// What to do, where it isn't ok.
    pub next: Option<String>,
}

/// Whose rows they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// "" is the unnamed one.
    Cloud {
        name: String,
        auth_url: String,
    },
    Node,
    Settings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub about: About,
    pub rows: Vec<Row>,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<Section>);

/// A row for each warning, or one that there is none.
pub fn settings(warnings: &[Warning]) -> Section {
    const CHECK: &str = "settings";
    let next = "correct the key, or remove it: what isn't understood isn't used";
    let mut rows: Vec<_> =
        warnings.iter().map(|warning| Row::warning(CHECK, warning.to_string(), next)).collect();
    if rows.is_empty() {
        rows.push(Row::ok(CHECK, "read without a warning"));
    }
    Section { about: About::Settings, rows }
}

impl Row {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), next: None }
    }

    fn unknown(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, next: Some(next.into()), ..Self::ok(check, found) }
    }

    fn warning(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, next: Some(next.into()), ..Self::ok(check, found) }
    }

    fn failed(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, next: Some(next.into()), ..Self::ok(check, found) }
    }
}

impl Report {
    /// The worst of all rows.
    pub fn verdict(&self) -> Verdict {
        self.rows().map(|row| row.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// 1 where something failed.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.verdict() == Verdict::Failed)
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|section| &section.rows)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_row_is_the_verdict_and_only_a_failure_is_an_exit_code() {
        let (ok, unknown) = (Row::ok("a", "x"), Row::unknown("a", "x", "y"));
        let (warning, failed) = (Row::warning("a", "x", "y"), Row::failed("a", "x", "y"));
        for (rows, verdict, code) in [
            (vec![], Verdict::Ok, 0),
            (vec![ok.clone(), unknown.clone()], Verdict::Unknown, 0),
            (vec![warning.clone(), unknown, ok], Verdict::Warning, 0),
            (vec![failed, warning], Verdict::Failed, 1),
        ] {
            let report = Report(vec![Section { about: About::Node, rows }]);
            assert_eq!((report.verdict(), report.exit_code()), (verdict, code));
        }
    }
}

//! What can be wrong with a volume. The names of the reasons are public: docs/health.md lists them.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    pub reason: Reason,
    /// What it means and what to do, as a sentence.
    pub message: String,
}

/// How bad it is, in the words of CSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Degraded,
    Inaccessible,
    DataLoss,
}

macro_rules! reasons {
    ($($reason:ident $severity:ident,)*) => {
        /// Why, in a word that stays the same from release to release.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($reason,)* }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$reason,)*];

            pub fn severity(self) -> Severity {
                match self { $(Reason::$reason => Severity::$severity,)* }
            }

            pub fn name(self) -> &'static str {
                match self { $(Reason::$reason => stringify!($reason),)* }
            }
        }
    };
}

reasons! {
    VolumeError Inaccessible,
    DeletionFailed Inaccessible,
    ExtensionFailed Degraded,
    BackupFailed Degraded,
    RestoreFailed DataLoss,
    AttachedToMissingServer Inaccessible,
    StuckCreating Inaccessible,
    StuckAttaching Inaccessible,
    StuckDetaching Degraded,
    StuckDeleting Inaccessible,
    StuckExtending Degraded,
    StuckRetyping Degraded,
    StuckBackingUp Degraded,
    StuckCopying Inaccessible,
    Migrating Degraded,
    InMaintenance Degraded,
    AwaitingTransfer Degraded,
    UnknownStatus Degraded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented_with_its_severity() {
        let manual = include_str!("../../../docs/health.md");
        for reason in Reason::ALL {
            let row = manual.lines().find(|line| line.starts_with(&format!("| `{reason}` |")));
            let severity = match reason.severity() {
                Severity::Degraded => "DEGRADED",
                Severity::Inaccessible => "INACCESSIBLE",
                Severity::DataLoss => "DATA_LOSS",
            };
            assert!(row.is_some_and(|row| row.contains(severity)), "{reason}: {row:?}");
        }
    }
}

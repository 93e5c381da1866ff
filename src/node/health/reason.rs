//! What can be wrong with a volume on a node. The names are public: docs/health.md lists them.

use std::fmt;

/// How bad it is, as CSI has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Degraded,
    Inaccessible,
}

macro_rules! reasons {
    ($($reason:ident $severity:ident,)*) => {
        /// Why, in a word that stays the same from release to release.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    DeviceGone Inaccessible,
    DeviceUnreadable Inaccessible,
    DeviceNotResponding Inaccessible,
    NotMounted Inaccessible,
    WrongDevice Inaccessible,
    FileSystemShutDown Inaccessible,
    FileSystemReadOnly Degraded,
    FileSystemErrors Degraded,
    JournalNotReplayed Degraded,
    DisksUnreadable Inaccessible,
    SomeDisksUnreadable Degraded,
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
            let words = match reason.severity() {
                Severity::Degraded => ["| DEGRADED |", "| STORAGE_DEGRADED |"],
                Severity::Inaccessible => ["| INACCESSIBLE |", "| STORAGE_UNREACHABLE |"],
            };
            let row = row.unwrap_or_else(|| panic!("{reason} isn't documented"));
            assert!(words.iter().any(|word| row.contains(word)), "{row}");
        }
    }
}

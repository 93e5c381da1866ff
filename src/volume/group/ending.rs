//! One group snapshot or one group is asked to end, once.

use std::collections::BTreeMap;

use super::REFUSALS;
use crate::openstack::{Effect, GroupId, GroupSnapshotId, Kind};
use crate::volume::removal::COME_BACK;
use crate::volume::{Condition, Error, Result, Volumes};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Cut(GroupSnapshotId),
    Group(GroupId),
}

/// What the deletions of one RPC have met.
#[derive(Debug, Default)]
pub struct Course {
    /// What Cinder has begun to delete, and how many looks have shown it as before since.
    begun: BTreeMap<Ending, u32>,
    refusals: u32,
}

impl Volumes {
    /// Asks Cinder to delete it. Called again for what is there again after that, it fails.
    pub(super) async fn end_one(&self, ending: Ending, course: &mut Course) -> Result<()> {
        if course.has_begun(ending) {
            return course.come_back(ending);
        }
        let deletion = match ending {
            Ending::Cut(id) => self.cinder.delete_group_snapshot(id).await,
            Ending::Group(id) => self.cinder.delete_group(id).await,
        };
        match deletion {
            Ok(()) => course.begin(ending),
            // The next look tells.
            Err(error) if error.kind == Kind::NotFound || error.effect == Effect::Unknown => {}
            Err(error) => course.note(Err(Error::reading(&error)))?,
        }
        Ok(())
    }
}

impl Course {
    /// Another look may explain a refusal.
    pub fn note(&mut self, taken: Result<()>) -> Result<()> {
        match taken {
            Err(error) if error.condition == Condition::Precondition && self.refusals < REFUSALS => {
                self.refusals += 1;
                Ok(())
            }
            // It was there a moment ago.
            Err(error) if error.condition == Condition::NotFound => Err(error.unfinished()),
            taken => taken,
        }
    }

    fn has_begun(&self, ending: Ending) -> bool {
        self.begun.contains_key(&ending)
    }

    fn begin(&mut self, ending: Ending) {
        self.begun.insert(ending, 0);
        self.refusals = 0;
    }

    fn come_back(&mut self, ending: Ending) -> Result<()> {
        let looks = self.begun.entry(ending).or_default();
        *looks += 1;
        if *looks < COME_BACK { Ok(()) } else { Err(given_up(ending)) }
    }
}

/// `delete_group_snapshot` and `delete_group` in
/// <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>: what failed is in status error.
fn given_up(ending: Ending) -> Error {
    let what = match ending {
        Ending::Cut(id) => format!("group snapshot {id}"),
        Ending::Group(id) => format!("group {id}"),
    };
    let why = format!(
        "Cinder began to delete {what} and gave it up; its operator finds the reason in the logs by this id"
    );
    Error::new(Condition::Failed, why)
}

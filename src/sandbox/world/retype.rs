//! Another type for a volume. What doesn't work out ends where it began, and nobody is told: Cinder leaves no message.

use super::super::faults::{Fate, Operation};
use super::quota::{self, Charge};
use super::{Event, Refusal, World};

const NOT_NOW: &str = "Retype needs volume to be in available or in-use state, not be part of an active migration or a \
    consistency group, requested type has to be different that the one from the volume, and for in-use volumes \
    front-end qos specs cannot change.";

impl World {
    /// `migrate`: the data may move to another backend.
    pub fn retype_volume(
        &mut self,
        project: &str,
        id: &str,
        kind: &str,
        migrate: bool,
    ) -> Result<(), Refusal> {
        let kind = self.kind_named(kind)?.clone();
        let volume = self.volume(project, id)?;
        let (status, rests) =
            (volume.status.clone(), ["available", "in-use"].contains(&volume.status.as_str()));
        if volume.multiattach != kind.multiattach && status != "available" {
            return Err(Refusal::invalid_input(format!(
                "Invalid volume_type passed, retypes affecting multiattach are only allowed on available volumes, \
                 the specified volume however currently has a status of: {status}."
            )));
        }
        let (size, refused) = (volume.size, !rests || volume.group.is_some() || volume.kind == kind.name);
        let feasible = !kind.nowhere && self.can_move(id, migrate);
        let charge = self.of_type(id, &kind.name);
        self.charge(project, "volumes", size, &charge)?;
        if refused {
            self.refund(project, &charge);
            return Err(Refusal::invalid_volume(NOT_NOW));
        }
        let now = self.now();
        let volume = self.volume_mut(project, id)?;
        volume.pause_as("retyping", now);
        // It is so from here on, even if the retype fails.
        volume.multiattach = kind.multiattach;
        let (mut fate, time) = self.fate(Operation::Retype, self.settings.latency.retype);
        if !feasible && fate == Fate::Well {
            fate = Fate::Fails("no backend".to_owned());
        }
        self.schedule(time, Event::Retyped { volume: id.to_owned(), kind: kind.name.to_owned(), fate });
        Ok(())
    }

    /// Snapshots stay where they are, and hold their volume there.
    fn can_move(&self, id: &str, migrate: bool) -> bool {
        let snapshots = self.volumes.get(id).map_or(0, |volume| volume.snapshots);
        !self.settings.types_are_apart || migrate && snapshots == 0
    }

    pub(super) fn finish_retype(&mut self, id: &str, kind: &str, fate: &Fate) {
        if *fate == Fate::Stuck || !self.volumes.contains_key(id) {
            return;
        }
        let now = self.now();
        let new = self.of_type(id, kind);
        let Some(volume) = self.volumes.get_mut(id) else { return };
        let (project, old) = (volume.project.clone(), volume.kind.clone());
        volume.rest(now);
        if *fate != Fate::Well {
            self.refund(&project, &new);
            return;
        }
        kind.clone_into(&mut volume.kind);
        let old = self.of_type(id, &old);
        self.refund(&project, &old);
        for snapshot in self.snapshots.values_mut().filter(|snapshot| snapshot.volume == id) {
            kind.clone_into(&mut snapshot.kind);
        }
    }

    /// What a volume and its snapshots count for in the quotas of one type alone.
    fn of_type(&self, id: &str, kind: &str) -> Charge {
        let size = self.volumes.get(id).map_or(0, |volume| volume.size);
        let mut charge = quota::of_volume(kind, size);
        for snapshot in self.snapshots.values().filter(|snapshot| snapshot.volume == id) {
            charge.extend(quota::of_snapshot(kind, snapshot.size));
        }
        charge.retain(|(resource, _)| resource.ends_with(&format!("_{kind}")));
        quota::summed(charge)
    }
}

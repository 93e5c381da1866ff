//! What a new volume is made from.

use super::{NewVolume, Refusal, World};

/// A snapshot, a volume or a backup, as far as it matters to the volume made from it.
pub(super) struct Source<'a> {
    kind: Kind,
    status: &'a str,
    pub size: u64,
    /// Its type and zone. A backup can go anywhere.
    pub place: Option<(&'a str, &'a str)>,
}

enum Kind {
    Snapshot,
    Volume,
    Backup,
}

impl World {
    /// `None`: the volume starts empty.
    pub(super) fn source_of(&self, new: &NewVolume) -> Result<Option<Source<'_>>, Refusal> {
        let snapshot = new.snapshot.as_ref().map(|id| self.snapshot(&new.project, id)).transpose()?;
        let volume = new.source.as_ref().map(|id| self.volume(&new.project, id)).transpose()?;
        let backup = new.backup.as_ref().map(|id| self.backup(&new.project, id)).transpose()?;
        let (kind, status, size, place) = match (snapshot, volume, backup) {
            (None, None, None) => return Ok(None),
            (Some(of), None, None) => (Kind::Snapshot, &of.status, of.size, Some((&of.kind, &of.zone))),
            (None, Some(of), None) => (Kind::Volume, &of.status, of.size, Some((&of.kind, &of.zone))),
            (None, None, Some(of)) => (Kind::Backup, &of.status, of.size, None),
            _ => {
                let reason = "May specify only one of backup, imageRef, snapshot, source volume";
                return Err(Refusal::invalid_input(reason));
            }
        };
        let place = place.map(|(kind, zone)| (kind.as_str(), zone.as_str()));
        Ok(Some(Source { kind, status, size, place }))
    }
}

impl Source<'_> {
    /// Whether a volume of this size and zone can be made from it now.
    pub fn check(&self, size: u64, zone: &str) -> Result<(), Refusal> {
        let (invalid, name, allowed) = match self.kind {
            Kind::Snapshot => ("snapshot", "snapshot", "available"),
            Kind::Volume => ("volume", "source volume", "available, in-use"),
            Kind::Backup => ("backup", "backup", "available"),
        };
        if !allowed.split(", ").any(|status| status == self.status) {
            let reason = format!("Originating {name} status must be one of '{allowed}' values");
            return Err(Refusal::new(400, format!("Invalid {invalid}: {reason}")));
        }
        if self.size > size {
            return Err(Refusal::invalid_input(self.is_larger_than(size)));
        }
        if self.place.is_some_and(|(_, own)| own != zone) {
            let reason = format!("Volume must be in the same availability zone as the {name}");
            return Err(Refusal::invalid_input(reason));
        }
        Ok(())
    }

    fn is_larger_than(&self, size: u64) -> String {
        let own = self.size;
        match self.kind {
            Kind::Snapshot => format!(
                "Volume size '{size}'GB cannot be smaller than the snapshot size {own}GB. They must be >= original \
                 snapshot size."
            ),
            Kind::Volume => format!(
                "Volume size '{size}'GB cannot be smaller than original volume size  {own}GB. They must be >= original \
                 volume size."
            ),
            Kind::Backup => format!(
                "Volume size {size}GB cannot be smaller than the backup size {own}GB. It must be >= backup size."
            ),
        }
    }
}

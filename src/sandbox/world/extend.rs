//! Extend: Cinder's size first, the disk of the server after it.

use std::time::Duration;

use super::super::faults::{Fate, Mishap, Operation};
use super::message::{Failure, Resource};
use super::{Event, Refusal, World, quota};

impl World {
    /// `online`: the caller speaks 3.42, the first microversion that extends a volume in use.
    pub fn extend_volume(&mut self, project: &str, id: &str, size: u64, online: bool) -> Result<(), Refusal> {
        let volume = self.volume(project, id)?;
        let (old, status, kind) = (volume.size, volume.status.clone(), volume.kind.clone());
        if size <= old {
            return Err(Refusal::invalid_input(format!(
                "New size for extend must be greater than current size. (current: {old}, extended: {size})."
            )));
        }
        // Cinder prints a Python dict here.
        if status != "available" && !(online && status == "in-use") {
            return Err(Refusal::invalid_volume(format!(
                "Volume {id} status must be '{{'status': 'available'}}' to extend, currently {status}."
            )));
        }
        self.check_size(project, size)?;
        self.charge(project, "volumes", size - old, &quota::of_growth(&kind, size - old))?;
        let now = self.now();
        self.volume_mut(project, id)?.pause_as("extending", now);
        let (fate, time) = self.fate(Operation::Extend, self.settings.latency.extend);
        self.schedule(time, Event::Extended { volume: id.to_owned(), size, fate });
        Ok(())
    }

    pub(super) fn finish_extend(&mut self, id: &str, size: u64, fate: Fate) {
        let now = self.now();
        let Some(volume) = self.volumes.get_mut(id) else { return };
        match fate {
            Fate::Stuck => return,
            // The reason stays in the log of the host; a tenant reads only this.
            Fate::Fails(_) => {
                volume.become_("error_extending", now);
                let project = volume.project.clone();
                let growth = quota::of_growth(&volume.kind, size.saturating_sub(volume.size));
                self.refund(&project, &growth);
                self.report(Resource::Volume, id, &project, Failure::EXTEND);
                return;
            }
            Fate::Well => {}
        }
        // A second extend may have been first: what ended with the server's detach let it begin.
        volume.size = volume.size.max(size);
        volume.rest(now);
        if volume.is_attached()
            && let Some(delay) = self.growing_time()
        {
            self.schedule(delay, Event::Grown { volume: id.to_owned() });
        }
    }

    pub(super) fn grow_disks(&mut self, id: &str) {
        let (Some(volume), Some(hypervisor)) = (self.volumes.get(id), &mut self.hypervisor) else { return };
        for attachment in volume.shown_attachments() {
            if let Err(error) = hypervisor.grow(&attachment.server, id, volume.size) {
                tracing::warn!(volume = id, %error, "the sandbox could not grow a disk");
            }
        }
    }

    fn growing_time(&mut self) -> Option<Duration> {
        match self.mishaps.take(|mishap| matches!(mishap, Mishap::GrowsLate(_))) {
            Some(Mishap::GrowsLate(delay)) => delay,
            _ => Some(self.pick(self.settings.latency.grow)),
        }
    }
}

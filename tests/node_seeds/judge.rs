//! What must hold, whatever happens.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::testbed::{Shown, Testbed};
use super::volume::{Kind, MountState, Volume};

pub struct Judge {
    testbed: Arc<dyn Testbed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Volumes that a call is for which hasn't certainly ended.
    asked: BTreeSet<String>,
    formatted: BTreeSet<String>,
    broken: Vec<String>,
}

impl Judge {
    pub fn new(testbed: Arc<dyn Testbed>) -> Arc<Self> {
        Arc::new(Self { testbed, state: Mutex::default() })
    }

    pub fn begin(&self, volume: &str) {
        self.state.lock().unwrap().asked.insert(volume.to_owned());
    }

    pub fn end(&self, volume: &str) {
        self.state.lock().unwrap().asked.remove(volume);
    }

    pub fn blame(&self, text: String) {
        self.state.lock().unwrap().broken.push(text);
    }

    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.testbed.broken();
        broken.extend(self.state.lock().unwrap().broken.clone());
        broken
    }

    /// Something is about to be done to the disk that `device` names.
    pub fn touched(&self, device: &Path, verb: &str) {
        let Some(owner) = self.testbed.owner(device) else { return };
        let mut state = self.state.lock().unwrap();
        if !state.asked.contains(&owner) {
            state.broken.push(format!("{verb}: that disk is {owner}'s, and no one asked for it"));
        }
    }

    pub fn formatted(&self, device: &Path) {
        let Some(owner) = self.testbed.owner(device) else { return };
        let mut state = self.state.lock().unwrap();
        if !state.formatted.insert(owner.clone()) {
            state.broken.push(format!("{owner} was formatted a second time"));
        }
    }

    /// After every step: no mount is anywhere but where its own volume belongs, and none is stacked.
    pub fn look(&self, volumes: &[Volume]) {
        let shown = self.testbed.shown();
        for one in &shown {
            let at = |volume: &&Volume| volume.paths().any(|path| path == one.point);
            match volumes.iter().find(at) {
                None => self.blame(format!("{one:?}: no volume belongs there")),
                // A node whose disk has gone leads to the next one with its number, and a bind to a directory that someone
                // unmounted meanwhile is an error: what no call has promised no pod sees.
                Some(volume) if !volume.is_sure(&one.point, self.testbed.disturbances(&volume.id)) => {}
                Some(volume) if one.volume.as_ref() != Some(&volume.id) => {
                    self.blame(format!("{one:?}: it's the place of {}", volume.id));
                }
                Some(_) => {}
            }
            if shown.iter().filter(|other| other.point == one.point).count() > 1 {
                self.blame(format!("{}: mounts are stacked there", one.point.display()));
            }
        }
        for volume in volumes {
            let formatted = self.state.lock().unwrap().formatted.contains(&volume.id);
            if formatted && (volume.kind == Kind::Raw || volume.from_data) {
                self.blame(format!("{} was formatted", volume.id));
            }
        }
    }

    /// NodeStageVolume answered OK.
    pub fn staged(&self, volume: &Volume, undisturbed: bool) {
        let shown = self.at(&volume.staging);
        match (volume.kind, shown.as_slice()) {
            (Kind::Raw, []) => {}
            (Kind::Fs(_), [one]) if !one.is_block && !one.read_only => self.right(volume, one, undisturbed),
            (_, shown) if undisturbed => self.blame(format!("{} is staged as {shown:?}", volume.id)),
            _ => {}
        }
    }

    pub fn published(&self, volume: &Volume, target: usize, undisturbed: bool) {
        let shown = self.at(&volume.targets[target].path);
        let is_block = volume.kind == Kind::Raw;
        let read_only = volume.targets[target].read_only;
        match shown.as_slice() {
            [one] if one.is_block == is_block && one.read_only == read_only => {
                self.right(volume, one, undisturbed);
            }
            shown if undisturbed => self.blame(format!("{} is published as {shown:?}", volume.id)),
            _ => {}
        }
    }

    /// What is shown there is the volume, and what was written to it.
    fn right(&self, volume: &Volume, one: &Shown, undisturbed: bool) {
        if one.volume.as_ref() != Some(&volume.id) {
            self.blame(format!("{} is {one:?}", volume.id));
        }
        if !undisturbed {
            return;
        }
        if !one.alive {
            self.blame(format!("{} is on a disk that has gone: {one:?}", volume.id));
        } else if self.testbed.words(one) != volume.words {
            let words = self.testbed.words(one);
            self.blame(format!(
                "{}: {words:?} at {}, not {:?}",
                volume.id,
                one.point.display(),
                volume.words
            ));
        }
    }

    pub fn unpublished(&self, volume: &Volume, target: usize) {
        let path = &volume.targets[target].path;
        if !self.at(path).is_empty() || self.testbed.is_there(path) {
            self.blame(format!("{} was unpublished, and {} is there", volume.id, path.display()));
        }
    }

    pub fn unstaged(&self, volume: &Volume) {
        let shown = self.testbed.shown();
        let its = |one: &&Shown| one.volume.as_ref() == Some(&volume.id) && !one.is_block;
        let left: Vec<_> = shown.iter().filter(its).collect();
        if !left.is_empty() {
            self.blame(format!("{} was unstaged, and it's at {left:?}", volume.id));
        }
        if !self.at(&volume.staging).is_empty() {
            self.blame(format!("{} was unstaged, and something is there", volume.id));
        }
    }

    /// Everything was taken down again.
    pub fn clean(&self, volumes: &[Volume]) {
        for one in self.testbed.shown() {
            self.blame(format!("left over: {one:?}"));
        }
        for volume in
            volumes.iter().filter(|volume| volume.mount_states().any(|state| state != MountState::NotMounted))
        {
            self.blame(format!("{} could not be taken down", volume.id));
        }
    }

    fn at(&self, path: &Path) -> Vec<Shown> {
        self.testbed.shown().into_iter().filter(|one| one.point == path).collect()
    }
}

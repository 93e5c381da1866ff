//! Backups that take long, so that a cloud can be asked in the middle of one.

use std::path::PathBuf;
use std::time::Duration;

use cinder_csi::sandbox::{Mishap, Operation, SimulatedCloud};

pub enum Brake {
    Simulated(SimulatedCloud),
    /// The directory of the lab's faults.
    Lab(PathBuf),
}

/// What was braked; it goes on with the end of this.
pub struct Braked(Option<PathBuf>);

const SECONDS: u64 = 5;

impl Brake {
    /// A backup that is asked for while the answer is kept takes five seconds.
    pub fn backup(&self) -> Braked {
        match self {
            Self::Simulated(cloud) => {
                cloud.mishap(Mishap::Takes(Operation::Backup, Duration::from_secs(SECONDS)));
                Braked(None)
            }
            Self::Lab(faults) => {
                let fault = faults.join("cinder.backup");
                std::fs::write(&fault, format!("delay {SECONDS}\n")).unwrap();
                Braked(Some(fault))
            }
        }
    }
}

impl Drop for Braked {
    fn drop(&mut self) {
        if let Some(fault) = &self.0 {
            std::fs::remove_file(fault).unwrap();
        }
    }
}

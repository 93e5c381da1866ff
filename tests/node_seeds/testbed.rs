//! What the driver works on: the machine in memory or loop devices, as the kubelet and the judge see it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cinder_csi::node::{Host, Settings};

/// Where a volume is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub point: PathBuf,
    /// Whose disk. None: no volume's.
    pub volume: Option<String>,
    pub is_block: bool,
    pub read_only: bool,
    /// Its disk is still there.
    pub alive: bool,
}

pub trait Testbed: Send + Sync {
    fn host(&self) -> Arc<dyn Host>;
    fn settings(&self) -> Settings;
    /// What a file of sysfs says where the machine's own kernel has none: the serial of a disk.
    fn serial(&self, _file: &Path) -> Option<Vec<u8>> {
        None
    }
    /// Whose disk `device` is: the id of a volume, or some other name.
    fn owner(&self, device: &Path) -> Option<String>;
    /// Everything that is mounted below the kubelet's directory.
    fn shown(&self) -> Vec<Shown>;
    fn is_there(&self, path: &Path) -> bool;
    /// The pod writes, and reads.
    fn write(&self, shown: &Shown, words: &str);
    fn words(&self, shown: &Shown) -> String;
    /// The volume's disk comes, with its link, at once or soon.
    fn attach(&self, volume: &str);
    fn detach(&self, volume: &str);
    /// The cloud makes it larger; the machine may learn of it later.
    fn grow(&self, volume: &str, size: u64);
    /// How often something has befallen the volume's disk.
    fn disturbances(&self, volume: &str) -> u32;
    /// Something befalls it.
    fn strike(&self, volume: &str);
    /// The driver has died: perhaps its children, too.
    fn died(&self);
    /// All mounts are gone, directories stay.
    fn reboot(&self);
    /// Nothing more befalls anyone: what is attached is there, healthy, and as large as promised.
    fn calm(&self);
    /// What it saw that may never be.
    fn broken(&self) -> Vec<String>;
}

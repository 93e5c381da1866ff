//! A volume as the kubelet knows it.

use std::path::{Path, PathBuf};

use cinder_csi::node::{Access, Expected, FormatPolicy, FsType, Publish, Stage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Raw,
    Fs(FsType),
}

/// What the kubelet knows of a mount: `VolumeMountState` in
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/operationexecutor/operation_executor.go>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountState {
    NotMounted,
    Uncertain,
    Mounted,
}

#[derive(Clone, Debug)]
pub struct Target {
    pub path: PathBuf,
    pub read_only: bool,
    pub published: MountState,
    /// What had befallen the disk by then.
    pub disturbances: u32,
}

#[derive(Clone, Debug)]
pub struct Volume {
    pub id: String,
    pub kind: Kind,
    /// Its disk came with a file system.
    pub from_data: bool,
    /// What the cloud promises.
    pub size: u64,
    /// The size that the attachment states.
    pub stated: u64,
    pub words: String,
    pub attached: bool,
    pub staging: PathBuf,
    pub staged: MountState,
    pub targets: Vec<Target>,
    /// Its pods are gone: it's taken down.
    pub leaving: bool,
    /// What had befallen its disk when it was staged.
    pub disturbances: u32,
}

impl Volume {
    pub fn new(id: String, kind: Kind, size: u64, kubelet: &Path, read_only: bool) -> Self {
        let short = &id[..8];
        let target = |name: &str, read_only| Target {
            path: kubelet.join(format!("{short}-{name}")),
            read_only,
            published: MountState::NotMounted,
            disturbances: 0,
        };
        Self {
            kind,
            from_data: false,
            size,
            stated: size,
            words: String::new(),
            attached: false,
            staging: kubelet.join(format!("{short}-staging")),
            staged: MountState::NotMounted,
            targets: vec![target("one", false), target("two", read_only)],
            leaving: false,
            disturbances: 0,
            id,
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.staging)
            .chain(self.targets.iter().map(|target| &target.path))
            .map(AsRef::as_ref)
    }

    /// Whether the volume was promised to be there, and nothing has befallen its disk since.
    pub fn is_sure(&self, point: &Path, disturbances: u32) -> bool {
        let (up, then) = match self.targets.iter().find(|target| target.path == point) {
            Some(target) => (target.published, target.disturbances),
            None => (self.staged, self.disturbances),
        };
        up == MountState::Mounted && then == disturbances
    }

    pub fn mount_states(&self) -> impl Iterator<Item = MountState> {
        self.targets.iter().map(|target| target.published).chain([self.staged])
    }

    fn access(&self) -> Access {
        match self.kind {
            Kind::Raw => Access::Block,
            Kind::Fs(fs) => Access::Mount { fs, flags: Vec::new() },
        }
    }

    fn expected(&self) -> Expected {
        Expected {
            size_bytes: Some(self.stated),
            encrypted: Some(false),
            device_path: Some("/dev/vdz".into()),
        }
    }

    pub fn stage(&self) -> Stage {
        Stage {
            volume: self.id.clone(),
            staging: self.staging.clone(),
            access: self.access(),
            expected: self.expected(),
            format: if self.from_data { FormatPolicy::Never } else { FormatPolicy::Allowed },
            mkfs_options: Vec::new(),
            read_only: false,
            untouched: false,
            own_uuid: false,
            resize: self.from_data,
        }
    }

    pub fn publish(&self, target: usize) -> Publish {
        Publish {
            volume: self.id.clone(),
            staging: self.staging.clone(),
            target: self.targets[target].path.clone(),
            access: self.access(),
            expected: self.expected(),
            read_only: self.targets[target].read_only,
            exclusive: false,
        }
    }
}

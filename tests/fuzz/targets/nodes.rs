//! What a machine says of itself, over the Host seam.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinder_csi::node::{
    Access, Error, Expected, FormatPolicy, FsType, Node, Output, Publish, Settings, Stage, Whoami,
};
use cinder_csi::pace::{Deadline, within};

use super::machine::{Machine, STAGING, TARGET, VOLUME, output};
use super::{assert_readable, run};

pub fn mountinfo(data: &[u8]) {
    let machine = Machine { mountinfo: data.to_owned(), ..Machine::default() };
    on(&machine, async |node| {
        told(node.stage(stage(FsType::Ext4)).await);
        told(node.publish(publish()).await);
        told(node.stats(VOLUME, Path::new(STAGING)).await);
        told(node.health(VOLUME, Some(Path::new(TARGET)), Some(Path::new(STAGING))).await);
        told(node.expand(VOLUME, Path::new(STAGING), None, None).await);
        told(node.unpublish(VOLUME, Path::new(TARGET)).await);
        told(node.unstage(VOLUME, Path::new(STAGING)).await);
        let _ = node.room().await;
    });
    assert!(!machine.has("mkfs"), "made a file system on a disk that has one");
}

/// The exit code, then the text. Only a disk on which blkid finds nothing may get a file system, and only one on which it
/// finds that file system may be mounted.
pub fn blkid(data: &[u8]) {
    let blkid = ended(data);
    let finds_nothing = blkid.code == Some(2);
    let finds_ours = blkid.code == Some(0)
        && blkid.stdout.lines().any(|line| ["TYPE=ext4", "TYPE=ext3", "TYPE=ext2"].contains(&line));
    let machine = Machine { blkid, mountinfo: Vec::new(), ..Machine::default() };
    on(&machine, async |node| told(node.stage(stage(FsType::Ext4)).await));
    assert!(finds_nothing || !machine.has("mkfs"), "made a file system on a disk that isn't empty");
    assert!(finds_nothing || finds_ours || !machine.has("mount"), "mounted what blkid doesn't name");
}

/// As `blkid`, for what mkfs, fsck, xfs_growfs and the others say.
pub fn tools(data: &[u8]) {
    for fs in FsType::ALL {
        let blkid = format!("TYPE={fs}\nUSAGE=filesystem\n");
        for (blkid, mounted) in [(output(Some(0), blkid.as_bytes()), true), (output(Some(2), b""), false)] {
            let mountinfo = format!("30 28 252:16 / {STAGING} rw - {fs} /dev/vdb rw\n");
            let mountinfo = if mounted { mountinfo.into() } else { Vec::new() };
            let machine = Machine { blkid, mountinfo, tools: ended(data), ..Machine::default() };
            on(&machine, async |node| {
                told(node.stage(stage(fs)).await);
                told(node.expand(VOLUME, Path::new(STAGING), None, None).await);
            });
        }
    }
}

pub fn metadata(data: &[u8]) {
    identify(&Machine { metadata: data.to_owned(), ..Machine::default() });
}

/// Before the first directory, at sector 17, come the 190 bytes of the volume descriptor that matter.
pub fn config_drive(data: &[u8]) {
    const SECTOR: usize = 2048;
    const DESCRIPTOR: usize = 190;
    let (descriptor, rest) = data.split_at(data.len().min(DESCRIPTOR));
    let mut disk = vec![0; 17 * SECTOR];
    disk[16 * SECTOR..][..descriptor.len()].copy_from_slice(descriptor);
    disk.extend(rest);
    identify(&Machine { disk, metadata: Vec::new(), has_config_drive: true, ..Machine::default() });
}

/// A disk that came from a snapshot is its tenant's to write: its file system is to get a UUID of its own.
pub fn superblock(data: &[u8]) {
    for fs in FsType::ALL {
        let blkid = output(Some(0), format!("TYPE={fs}\nUSAGE=filesystem\n").as_bytes());
        let machine = Machine { blkid, disk: data.to_owned(), mountinfo: Vec::new(), ..Machine::default() };
        let request = Stage { own_uuid: true, format: FormatPolicy::Never, ..stage(fs) };
        on(&machine, async |node| told(node.stage(request).await));
        assert!(!machine.has("mkfs"), "made a file system where none may be made");
    }
}

fn identify(machine: &Machine) {
    on(machine, async |node| {
        let answer = node.identify(&Whoami::default()).await;
        if let Ok(identity) = &answer {
            assert_eq!(identity.server.len(), 36, "{:?} is no server's id", identity.server);
        }
        told(answer);
    });
}

/// As an RPC whose caller waits for a minute.
fn on(machine: &Machine, work: impl AsyncFnOnce(Node)) {
    let node = Node::new(Arc::new(machine.clone()), Settings::default());
    run(within(Deadline::of_rpc(Duration::from_secs(60)), work(node)));
}

fn told<T>(answer: Result<T, Error>) {
    if let Err(error) = answer {
        let text = error.to_string();
        assert_readable(&text);
        assert!(!text.contains("panicked"), "{text}");
    }
}

/// The first byte is the exit code, 255 a signal.
fn ended(data: &[u8]) -> Output {
    let (code, text) = data.split_first().unwrap_or((&0, &[]));
    output(Some(i32::from(*code)).filter(|code| *code != 255), text)
}

fn stage(fs: FsType) -> Stage {
    Stage {
        volume: VOLUME.to_owned(),
        staging: STAGING.into(),
        access: access(fs),
        expected: Expected::default(),
        format: FormatPolicy::Allowed,
        mkfs_options: Vec::new(),
        read_only: false,
        untouched: false,
        own_uuid: false,
        resize: true,
    }
}

fn publish() -> Publish {
    Publish {
        volume: VOLUME.to_owned(),
        staging: STAGING.into(),
        target: TARGET.into(),
        access: access(FsType::Ext4),
        expected: Expected::default(),
        read_only: false,
        exclusive: false,
    }
}

fn access(fs: FsType) -> Access {
    Access::Mount { fs, flags: Vec::new() }
}

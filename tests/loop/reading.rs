//! Disks that several nodes read: not one byte is written.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cinder_csi::node::{Access, FormatPolicy, FsType, Reason, Stage};

use crate::bed::{Bed, Disk, MIB, VOLUME, read, run, write};

/// A disk whose file system was cut while in use: its journal holds what isn't in its place yet, and a file is open that
/// no directory names.
fn dirty(bed: &Bed, fs: FsType, size: u64) -> Disk {
    let point = bed.path("elsewhere");
    fs::create_dir(&point).unwrap();
    let make = |file: &Path| drop(run(&format!("mkfs.{fs}"), &[file.to_str().unwrap()]));
    let origin = bed.unlinked("origin", size * MIB, make);
    run("mount", &["-t", fs.name(), origin.device.to_str().unwrap(), point.to_str().unwrap()]);
    write(&point.join("file"), "kept");
    // What is synced may be in the journal only: unmounted, it's in its place.
    run("umount", &[point.to_str().unwrap()]);
    run("mount", &["-t", fs.name(), origin.device.to_str().unwrap(), point.to_str().unwrap()]);
    let script = "exec 3> \"$0/orphan\"; echo x >&3; rm \"$0/orphan\"; echo y > \"$0/late\"; sync \"$0/late\"; \
                  cp --sparse=always \"$1\" \"$2\"";
    let paths = [point.to_str().unwrap(), origin.file.to_str().unwrap()];
    let cut = bed.path("cut");
    run("sh", &["-c", script, paths[0], paths[1], cut.to_str().unwrap()]);
    run("umount", &[point.to_str().unwrap()]);
    bed.disk_with(size * MIB, |file| drop(run("cp", &[cut.to_str().unwrap(), file.to_str().unwrap()])))
}

#[tokio::test]
async fn loop_what_several_nodes_read_is_mounted_and_not_one_byte_is_written() {
    let kinds = [
        (FsType::Ext2, 96),
        (FsType::Ext3, 96),
        (FsType::Ext4, 96),
        (FsType::Xfs, 320),
        (FsType::Btrfs, 128),
    ];
    for (kind, size) in kinds {
        let bed = Bed::new();
        let disk = dirty(&bed, kind, size);
        let before = disk.checksum();
        let request = Stage { read_only: true, untouched: true, ..bed.stage(kind, &disk) };
        bed.node().stage(request.clone()).await.unwrap();
        bed.node().stage(request).await.unwrap();
        assert_eq!(read(&bed.staging().join("file")), "kept", "{kind}");
        assert!(fs::write(bed.staging().join("new"), "x").is_err(), "{kind}");
        let found = bed.node().health(VOLUME, None, Some(&bed.staging())).await.unwrap();
        let want =
            if matches!(kind, FsType::Ext2 | FsType::Xfs) { None } else { Some(Reason::JournalNotReplayed) };
        assert_eq!(found.first().map(|found| found.reason), want, "{kind}: {found:?}");
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
        run("sync", &[]);
        assert_eq!(disk.checksum(), before, "{kind}: bytes were written");
        // The same disk for one writer: replayed, and writable again.
        bed.node().stage(bed.stage(kind, &disk)).await.unwrap();
        write(&bed.staging().join("new"), "x");
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
    }
}

#[tokio::test]
async fn loop_a_raw_disk_that_several_nodes_read_takes_no_write() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let request =
        Stage { access: Access::Block, read_only: true, untouched: true, ..bed.stage(FsType::Ext4, &disk) };
    bed.node().stage(request.clone()).await.unwrap();
    bed.node().stage(request.clone()).await.unwrap();
    assert!(write_through(&disk).is_err());
    bed.node().stage(Stage { read_only: false, untouched: false, ..request }).await.unwrap();
    write_through(&disk).unwrap();
}

fn write_through(disk: &Disk) -> std::io::Result<()> {
    let device = fs::OpenOptions::new().write(true).open(&disk.device)?;
    device.write_all_at(b"x", 0)?;
    device.sync_all()
}

#[tokio::test]
async fn loop_an_empty_disk_that_several_nodes_read_is_not_formatted() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let request = Stage { read_only: true, untouched: true, ..bed.stage(FsType::Ext4, &disk) };
    let error = bed.node().stage(request).await.unwrap_err();
    assert!(error.to_string().contains("nothing was written"), "{error}");
}

#[tokio::test]
async fn loop_an_older_ext_is_mounted_as_ext4_where_that_is_asked_for() {
    for program in ["mkfs.ext2", "mkfs.ext3"] {
        let bed = Bed::new();
        let disk = bed.disk_with(96 * MIB, |file| drop(run(program, &[file.to_str().unwrap()])));
        let request = Stage { format: FormatPolicy::Never, ..bed.stage(FsType::Ext4, &disk) };
        bed.node().stage(request.clone()).await.unwrap();
        bed.node().stage(request).await.unwrap();
        write(&bed.staging().join("file"), "x");
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
        assert_eq!(
            run("blkid", &["-p", "-s", "TYPE", "-o", "value", disk.device.to_str().unwrap()]).trim(),
            program.trim_start_matches("mkfs.")
        );
    }
}

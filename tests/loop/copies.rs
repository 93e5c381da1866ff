//! Volumes made from data: a copy beside its origin, with its origin's UUID and with one of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cinder_csi::node::{Condition, FormatPolicy, FsType, Stage};

use crate::bed::{Bed, Disk, MIB, VOLUME, read, read_at, run, write, write_at};

/// The file systems with the least that mkfs takes here.
const KINDS: [(FsType, u64); 3] = [(FsType::Ext4, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)];

fn from_data(bed: &Bed, fs: FsType, disk: &Disk) -> Stage {
    Stage { format: FormatPolicy::Never, resize: true, ..bed.stage(fs, disk) }
}

/// The same for a volume whose id no other test has: btrfstune refuses a UUID that is on this machine already.
fn with_own_uuid(bed: &Bed, fs: FsType, disk: &Disk) -> Stage {
    let volume = uuid::Uuid::new_v4().to_string();
    symlink(&disk.device, bed.path("dev").join(format!("virtio-{}", &volume[..20]))).unwrap();
    Stage { volume, own_uuid: true, ..from_data(bed, fs, disk) }
}

/// A mounted origin, cut while in use: with a log that was not replayed. Returns the file of the copy.
fn cut(bed: &Bed, fs: FsType, size: u64) -> String {
    let (file, point) = (bed.path("origin"), bed.path("elsewhere"));
    let make = |file: &Path| drop(run(&format!("mkfs.{fs}"), &[file.to_str().unwrap()]));
    let origin = bed.unlinked("origin", size * MIB, make);
    fs::create_dir(&point).unwrap();
    run("mount", &["-t", fs.name(), origin.device.to_str().unwrap(), point.to_str().unwrap()]);
    write(&point.join("file"), "kept");
    run("sync", &[]);
    // An fsync of its own is in the log, and in no transaction yet.
    let late = point.join("late");
    write(&late, "logged");
    run("sync", &[late.to_str().unwrap()]);
    let cut = bed.path("cut");
    run("cp", &["--sparse=always", file.to_str().unwrap(), cut.to_str().unwrap()]);
    cut.to_str().unwrap().to_owned()
}

fn copy_of(bed: &Bed, cut: &str, size: u64) -> Disk {
    bed.disk_with(size * MIB, |file| {
        run("cp", &["--sparse=always", cut, file.to_str().unwrap()]);
        fs::OpenOptions::new().write(true).open(file).unwrap().set_len(size * MIB).unwrap();
    })
}

fn uuid_of(disk: &Disk) -> String {
    run("blkid", &["-p", "-s", "UUID", "-o", "value", disk.device.to_str().unwrap()]).trim().to_owned()
}

/// Single disks with one UUID side by side came to btrfs with Linux 6.7.
fn kernel_mounts_btrfs_twice() -> bool {
    let release = run("uname", &["-r"]);
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 7)
}

#[tokio::test]
async fn loop_a_copy_beside_its_origin_has_its_files_and_spans_its_larger_disk() {
    for (kind, size) in KINDS {
        let bed = Bed::new();
        let cut = cut(&bed, kind, size);
        let disk = copy_of(&bed, &cut, 2 * size);
        let staged = bed.node().stage(from_data(&bed, kind, &disk)).await;
        if kind == FsType::Btrfs && !kernel_mounts_btrfs_twice() {
            let error = staged.unwrap_err();
            assert!(error.to_string().contains("regenerate-uuid"), "{error}");
            continue;
        }
        staged.unwrap();
        assert_eq!(read(&bed.staging().join("file")), "kept", "{kind}");
        assert_eq!(read(&bed.staging().join("late")), "logged", "{kind}");
        let total = bed.node().stats(VOLUME, &bed.staging()).await.unwrap().bytes.unwrap().total;
        assert!(total > 3 * size * MIB / 2, "{kind}: {total}");
        write(&bed.staging().join("mine"), "the copy's");
        assert!(!bed.path("elsewhere").join("mine").exists(), "{kind}: the origin was mounted");
    }
}

#[tokio::test]
async fn loop_a_copy_gets_the_uuid_of_its_volume_once() {
    for (kind, size) in KINDS {
        if kind == FsType::Btrfs && !kernel_mounts_btrfs_twice() {
            continue;
        }
        let bed = Bed::new();
        let cut = cut(&bed, kind, size);
        let disk = copy_of(&bed, &cut, 2 * size);
        let request = with_own_uuid(&bed, kind, &disk);
        assert_ne!(uuid_of(&disk), request.volume);
        bed.node().stage(request.clone()).await.unwrap();
        assert_eq!(uuid_of(&disk), request.volume, "{kind}");
        assert_eq!(read(&bed.staging().join("file")), "kept", "{kind}");
        assert_eq!(read(&bed.staging().join("late")), "logged", "{kind}");
        bed.node().stage(request.clone()).await.unwrap();
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
        for tool in ["xfs_db", "btrfstune", "tune2fs"] {
            bed.command(tool, "echo $0 >> $BED/again\nexit 1");
        }
        bed.node().stage(request.clone()).await.unwrap();
        assert!(!bed.path("again").exists(), "{kind}: {}", read(&bed.path("again")));
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
        match kind {
            FsType::Ext4 => drop(run("e2fsck", &["-fn", disk.device.to_str().unwrap()])),
            FsType::Xfs => drop(run("xfs_repair", &["-n", disk.device.to_str().unwrap()])),
            _ => drop(run("btrfs", &["check", "--readonly", disk.device.to_str().unwrap()])),
        }
    }
}

#[tokio::test]
async fn loop_a_copy_of_a_copy_gets_its_own_uuid_again() {
    for (kind, size) in KINDS {
        let bed = Bed::new();
        let make = |file: &Path| {
            run(&format!("mkfs.{kind}"), &[file.to_str().unwrap()]);
            let first = uuid::Uuid::new_v4().to_string();
            let first = first.as_str();
            match kind {
                FsType::Ext4 => drop(run("tune2fs", &["-U", first, file.to_str().unwrap()])),
                FsType::Xfs => {
                    drop(run("xfs_db", &["-x", "-c", &format!("uuid {first}"), file.to_str().unwrap()]))
                }
                _ => drop(run("btrfstune", &["-M", first, file.to_str().unwrap()])),
            }
        };
        let disk = bed.disk_with(size * MIB, make);
        let request = with_own_uuid(&bed, kind, &disk);
        bed.node().stage(request.clone()).await.unwrap();
        assert_eq!(uuid_of(&disk), request.volume, "{kind}");
    }
}

#[tokio::test]
async fn loop_a_change_of_xfs_uuid_that_was_cut_off_anywhere_is_completed() {
    let bed = Bed::new();
    let disk = bed.disk_with(320 * MIB, |file| drop(run("mkfs.xfs", &[file.to_str().unwrap()])));
    bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap();
    write(&bed.staging().join("file"), "kept");
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
    let before = fs::read(&disk.file).unwrap();
    run("xfs_db", &["-x", "-c", &format!("uuid {VOLUME}"), disk.device.to_str().unwrap()]);
    run("sync", &[]);
    let after = fs::read(&disk.file).unwrap();
    let (log, length, group) = geometry(&disk);
    let halves: [(&str, Vec<(usize, usize)>); 4] = [
        ("inside the log", vec![(log, length / 2)]),
        ("after the log", vec![(log, length)]),
        ("after the first superblock", vec![(log, length), (0, 4096)]),
        ("before the last superblock", vec![(log, length), (0, 4096), (group, 4096), (2 * group, 4096)]),
    ];
    for (when, parts) in halves {
        let mut bytes = before.clone();
        for (start, length) in parts {
            bytes[start..start + length].copy_from_slice(&after[start..start + length]);
        }
        write_at(&disk.file, 0, &bytes);
        run("blockdev", &["--flushbufs", disk.device.to_str().unwrap()]);
        bed.node()
            .stage(Stage { own_uuid: true, ..from_data(&bed, FsType::Xfs, &disk) })
            .await
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(uuid_of(&disk), VOLUME, "{when}");
        assert_eq!(read(&bed.staging().join("file")), "kept", "{when}");
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
        run("xfs_repair", &["-n", disk.device.to_str().unwrap()]);
    }
}

/// Offset and length of the log, and the length of a group.
fn geometry(disk: &Disk) -> (usize, usize, usize) {
    let block = read_at(&disk.file, 0, 512);
    let short = |at: usize| u32::from_be_bytes(block[at..at + 4].try_into().unwrap()) as usize;
    let (size, start, group, length) = (short(4), short(52), short(84), short(96));
    let bits = block[124];
    (((start >> bits) * group + (start & ((1 << bits) - 1))) * size, length * size, group * size)
}

#[tokio::test]
async fn loop_a_driver_killed_after_the_replay_gives_the_uuid_all_the_same() {
    let bed = Bed::new();
    let cut = cut(&bed, FsType::Xfs, 320);
    let disk = copy_of(&bed, &cut, 320);
    fs::create_dir(bed.staging()).unwrap();
    let (device, staging) = (disk.device.to_str().unwrap().to_owned(), bed.staging());
    run("mount", &["-o", "nouuid", &device, staging.to_str().unwrap()]);
    let request = Stage { own_uuid: true, ..from_data(&bed, FsType::Xfs, &disk) };
    bed.node().stage(request.clone()).await.unwrap();
    assert_eq!(uuid_of(&disk), VOLUME);
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
}

#[tokio::test]
async fn loop_a_uuid_is_left_alone_where_it_must_be() {
    let bed = Bed::new();
    let disk = bed.disk_with(320 * MIB, |file| drop(run("mkfs.xfs", &[file.to_str().unwrap()])));
    let theirs = uuid_of(&disk);
    // Not made from data; read-only; read by several nodes.
    let whole = Stage { own_uuid: true, ..bed.stage(FsType::Xfs, &disk) };
    let read_only = Stage { own_uuid: true, read_only: true, ..from_data(&bed, FsType::Xfs, &disk) };
    let untouched = Stage { untouched: true, ..read_only.clone() };
    for request in [whole, read_only, untouched] {
        bed.node().stage(request).await.unwrap();
        assert_eq!(uuid_of(&disk), theirs);
        bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
    }
    // Published already.
    bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap();
    bed.node().publish(bed.publish(crate::bed::mounted(FsType::Xfs), &disk)).await.unwrap();
    bed.node().stage(Stage { own_uuid: true, ..from_data(&bed, FsType::Xfs, &disk) }).await.unwrap();
    assert_eq!(uuid_of(&disk), theirs);
    assert_eq!(bed.mounts_at(&bed.path("target")), 1);
}

#[tokio::test]
async fn loop_the_uuid_of_a_disk_that_another_namespace_has_mounted_is_not_changed() {
    let bed = Bed::new();
    let disk = bed.disk_with(96 * MIB, |file| drop(run("mkfs.ext4", &[file.to_str().unwrap()])));
    let point = bed.path("hidden");
    fs::create_dir(&point).unwrap();
    let script = format!("mount {} {} && echo && read end", disk.device.display(), point.display());
    let mut other = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let theirs = uuid_of(&disk);
    let request = Stage { own_uuid: true, ..from_data(&bed, FsType::Ext4, &disk) };
    let error = bed.node().stage(request).await.unwrap_err();
    assert_eq!(uuid_of(&disk), theirs, "{error}");
    drop(other.stdin.take());
    other.wait().unwrap();
}

#[tokio::test]
async fn loop_a_btrfs_whose_log_cannot_be_replayed_is_not_rewritten() {
    let bed = Bed::new();
    let cut = cut(&bed, FsType::Btrfs, 128);
    let disk = copy_of(&bed, &cut, 128);
    assert_ne!(read_at(&disk.file, 65536 + 0x60, 8), [0; 8], "the cut has a log");
    // btrfstune on such a one would leave a file system that no kernel mounts.
    bed.command("btrfstune", "echo run >> $BED/again\nexec /usr/bin/btrfstune \"$@\"");
    let mut block = read_at(&disk.file, 65536, 4096);
    block[0x20] ^= 1;
    write_at(&disk.file, 65536, &block);
    let request = Stage { own_uuid: true, ..from_data(&bed, FsType::Btrfs, &disk) };
    let error = bed.node().stage(request).await.unwrap_err();
    assert!(!bed.path("again").exists(), "{error}");
    assert_eq!(error.condition(), Condition::Internal, "{error}");
}

//! From an empty disk to a mounted file system, also for a driver that is killed on the way.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cinder_csi::node::{Access, Condition, FsType, Host, Linux, Stage};
use cinder_csi::pace::{self, Deadline};

use crate::bed::{Bed, MIB, node_in, read, read_at, run, sized, stage_in, write, write_at};

/// Where the mark of an unfinished mkfs lies.
const MARK: u64 = 3 * MIB;

/// Names the bed to a copy of this process that is to be killed.
const DOOMED: &str = "CINDER_CSI_TEST_DOOMED";

#[tokio::test]
async fn loop_an_empty_disk_is_formatted_once_and_keeps_its_files() {
    for (fs, size) in
        [(FsType::Ext4, 96), (FsType::Ext2, 96), (FsType::Ext3, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)]
    {
        let bed = Bed::new();
        let disk = bed.disk(size * MIB);
        let node = bed.node();
        node.stage(bed.stage(fs, &disk)).await.unwrap();
        write(&bed.staging().join("file"), "kept");
        node.stage(bed.stage(fs, &disk)).await.unwrap();
        assert_eq!(bed.mounts_at(&bed.staging()), 1, "{fs}");
        node.unstage(&bed.stage(fs, &disk).volume, &bed.staging()).await.unwrap();
        node.unstage(&bed.stage(fs, &disk).volume, &bed.staging()).await.unwrap();
        assert_eq!(bed.mounts_at(&bed.staging()), 0, "{fs}");
        assert_eq!(read_at(&disk.file, disk.size - MARK, 4096), vec![0; 4096], "{fs}: the mark was left");
        node.stage(bed.stage(fs, &disk)).await.unwrap();
        assert_eq!(read(&bed.staging().join("file")), "kept", "{fs}");
    }
}

#[tokio::test]
async fn loop_a_raw_disk_is_left_as_it_is() {
    let bed = Bed::new();
    let disk = bed.disk_with(96 * MIB, |file| write_at(file, 0, b"raw"));
    let before = disk.checksum();
    bed.node().stage(Stage { access: Access::Block, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap();
    assert_eq!(disk.checksum(), before);
}

#[tokio::test]
async fn loop_mount_flags_and_mkfs_options_reach_the_file_system() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let access =
        Access::Mount { fs: FsType::Ext4, flags: vec!["noatime,nosuid".into(), "data=journal".into()] };
    let mkfs_options = vec!["-L".into(), "named".into()];
    bed.node().stage(Stage { access, mkfs_options, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap();
    assert_eq!(
        run("blkid", &["-p", "-s", "LABEL", "-o", "value", disk.device.to_str().unwrap()]).trim(),
        "named"
    );
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.contains(bed.staging().to_str().unwrap())).unwrap();
    for option in ["noatime", "nosuid", "data=journal"] {
        assert!(line.contains(option), "{line}");
    }
}

#[tokio::test]
async fn loop_a_mount_flag_that_the_file_system_does_not_know_is_named_in_the_error() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let access = Access::Mount { fs: FsType::Ext4, flags: vec!["nonsense".into()] };
    let error = bed.node().stage(Stage { access, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap_err();
    assert!(error.to_string().contains("mount options"), "{error}");
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
}

#[tokio::test]
async fn loop_staging_differently_than_before_is_told_apart() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let node = bed.node();
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    let read_only = Stage { read_only: true, ..bed.stage(FsType::Ext4, &disk) };
    assert_eq!(node.stage(read_only).await.unwrap_err().condition(), Condition::Exists);
    assert_eq!(node.stage(bed.stage(FsType::Xfs, &disk)).await.unwrap_err().condition(), Condition::Exists);
    let other = bed.unlinked("other", 96 * MIB, |_| {});
    bed.link(&other.device);
    let before = other.checksum();
    let error = node.stage(bed.stage(FsType::Ext4, &other)).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition);
    assert!(error.to_string().contains("something else is mounted there"), "{error}");
    assert_eq!(other.checksum(), before);
}

#[tokio::test]
async fn loop_a_damaged_ext4_is_mended_or_refused_but_never_formatted() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let node = bed.node();
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    node.unstage(&bed.stage(FsType::Ext4, &disk).volume, &bed.staging()).await.unwrap();
    run("debugfs", &["-w", "-R", "set_super_value state 2", disk.device.to_str().unwrap()]);
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    node.unstage(&bed.stage(FsType::Ext4, &disk).volume, &bed.staging()).await.unwrap();
    // The root directory's inode is something e2fsck -p leaves to a human.
    run("debugfs", &["-w", "-R", "clri <2>", disk.device.to_str().unwrap()]);
    run("debugfs", &["-w", "-R", "set_super_value state 2", disk.device.to_str().unwrap()]);
    let error = node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains("e2fsck"), "{error}");
    assert_eq!(bed.mounts_at(&bed.staging()), 0);
}

#[tokio::test]
async fn loop_a_deadline_inside_mkfs_leaves_mkfs_to_end_and_the_next_call_finds_it() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    run("mkfifo", &[bed.path("gate").to_str().unwrap()]);
    bed.command(
        "mkfs.ext4",
        "echo run >> $BED/log\necho > $BED/begun\ntimeout 60 cat $BED/gate\nexec /usr/sbin/mkfs.ext4 \"$@\"",
    );
    run("mkfifo", &[bed.path("begun").to_str().unwrap()]);
    let node = bed.node();
    let deadline = Deadline::after(Duration::from_secs(60));
    let mut call = std::pin::pin!(pace::within(deadline, node.stage(bed.stage(FsType::Ext4, &disk))));
    tokio::select! {
        ended = &mut call => panic!("mkfs can't have ended: {ended:?}"),
        () = opened(bed.path("begun")) => {}
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    let late = call.await.unwrap_err();
    tokio::time::resume();
    assert_eq!(late.condition(), Condition::Unsettled, "{late}");
    let second = node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap_err();
    assert_eq!(second.condition(), Condition::Busy, "{second}");
    let unstage = node.unstage(&bed.stage(FsType::Ext4, &disk).volume, &bed.staging()).await.unwrap_err();
    assert_eq!(unstage.condition(), Condition::Busy, "{unstage}");
    open_gate(bed.path("gate")).await;
    assert!(node.idle(Deadline::after(Duration::from_secs(60))).await);
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    assert_eq!(fs::read_to_string(bed.path("log")).unwrap(), "run\n");
}

#[tokio::test]
async fn loop_a_dropped_call_leaves_mkfs_to_end() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    run("mkfifo", &[bed.path("gate").to_str().unwrap()]);
    bed.command("mkfs.ext4", "timeout 60 cat $BED/gate\nexec /usr/sbin/mkfs.ext4 \"$@\"");
    let node = bed.node();
    tokio::select! {
        ended = node.stage(bed.stage(FsType::Ext4, &disk)) => panic!("mkfs can't have ended: {ended:?}"),
        () = open_gate(bed.path("gate")) => {}
    }
    assert!(node.idle(Deadline::after(Duration::from_secs(60))).await);
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
}

#[tokio::test]
async fn loop_a_driver_killed_between_mkfs_and_mount_formats_no_second_time() {
    if let Some(bed) = std::env::var_os(DOOMED) {
        return doomed(Path::new(&bed)).await;
    }
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    bed.command("mkfs.ext4", "/usr/sbin/mkfs.ext4 \"$@\"\nkill -9 $(cat $BED/driver)");
    die(
        "formatting::loop_a_driver_killed_between_mkfs_and_mount_formats_no_second_time",
        &bed,
        FsType::Ext4,
        96,
    );
    let made = uuid_of(&disk.device);
    bed.command("mkfs.ext4", "echo 'a second mkfs' >&2\nexit 1");
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    assert_eq!(uuid_of(&disk.device), made);
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
    assert_eq!(read_at(&disk.file, disk.size - MARK, 4096), vec![0; 4096], "the mark was left");
}

/// As mkfs.xfs does where the disk lost one of its writes.
#[tokio::test]
async fn loop_a_mkfs_that_failed_with_its_superblock_whole_is_begun_again() {
    let bed = Bed::new();
    let disk = bed.disk(320 * MIB);
    bed.command(
        "mkfs.xfs",
        "/usr/sbin/mkfs.xfs \"$@\"\nblkid -p -s UUID -o value \"$(eval echo \\${$#})\" >$BED/failed\nexit 1",
    );
    let error = bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap_err();
    assert!(error.to_string().contains("mkfs.xfs failed"), "{error}");
    bed.command("mkfs.xfs", "exec /usr/sbin/mkfs.xfs \"$@\"");
    bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap();
    assert_ne!(uuid_of(&disk.device).trim(), read(&bed.path("failed")).trim());
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
}

/// The driver dies before it knows how mkfs ended, and the disk has lost what it wrote in these KiB.
#[tokio::test]
async fn loop_a_mkfs_that_nobody_heard_of_is_used_only_if_all_of_it_is_there() {
    const TEST: &str = "formatting::loop_a_mkfs_that_nobody_heard_of_is_used_only_if_all_of_it_is_there";
    if let Some(bed) = std::env::var_os(DOOMED) {
        return doomed(Path::new(&bed)).await;
    }
    // Inodes and bitmaps of the first group; the head of the second one; the trees and their copies.
    let table = [
        (FsType::Ext4, 96, 256, 256),
        (FsType::Xfs, 320, 80 << 10, 16),
        (FsType::Btrfs, 128, 20 << 10, 60 << 10),
    ];
    for (fs, size, from, length) in table {
        let bed = Bed::new();
        let disk = bed.disk(size * MIB);
        bed.command(
            &format!("mkfs.{fs}"),
            &format!(
                "for last; do :; done\n/usr/sbin/mkfs.{fs} \"$@\"\n\
                 dd if=/dev/zero of=$last bs=1024 seek={from} count={length} conv=notrunc,fsync status=none\n\
                 kill -9 $(cat $BED/driver)"
            ),
        );
        die(TEST, &bed, fs, size);
        let before = disk.checksum();
        let error = bed.node().stage(bed.stage(fs, &disk)).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition, "{error}");
        assert!(error.to_string().contains(&format!("mkfs.{fs} has left a part")), "{error}");
        assert_eq!(disk.checksum(), before, "{fs}");
    }
}

#[tokio::test]
async fn loop_a_mounted_disk_takes_no_write_of_ours() {
    for (fs, size) in [(FsType::Ext4, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)] {
        let bed = Bed::new();
        let disk = bed.disk(size * MIB);
        bed.node().stage(bed.stage(fs, &disk)).await.unwrap();
        let error = Linux::default().write_disk(&disk.device, 0, vec![0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{fs}: {error}");
    }
}

#[tokio::test]
async fn loop_a_driver_killed_inside_mkfs_formats_again() {
    if let Some(bed) = std::env::var_os(DOOMED) {
        return doomed(Path::new(&bed)).await;
    }
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    // What a cut-off mkfs.ext4 leaves: metadata, and no superblock.
    bed.command(
        "mkfs.ext4",
        "for last; do :; done\n/usr/sbin/mkfs.ext4 \"$@\"\n\
         dd if=/dev/zero of=$last bs=1024 seek=1 count=1 conv=notrunc,fsync status=none\nkill -9 $(cat $BED/driver)",
    );
    die("formatting::loop_a_driver_killed_inside_mkfs_formats_again", &bed, FsType::Ext4, 96);
    bed.command("mkfs.ext4", "exec /usr/sbin/mkfs.ext4 \"$@\"");
    let other = Stage { volume: "another-volume".into(), ..bed.stage(FsType::Ext4, &disk) };
    std::os::unix::fs::symlink(&disk.device, bed.path("dev").join("virtio-another-volume")).unwrap();
    let foreign = bed.node().stage(other).await.unwrap_err();
    assert_eq!(foreign.condition(), Condition::Precondition, "{foreign}");
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
}

#[tokio::test]
async fn loop_an_unfinished_xfs_or_btrfs_of_ours_is_made_again() {
    // mkfs.xfs sets this byte first and clears it last; mkfs.btrfs writes `_` over this one last.
    let table =
        [(FsType::Xfs, 320, "mkfs.xfs", "\\001", 126), (FsType::Btrfs, 128, "mkfs.btrfs", "!", 65600)];
    for (kind, size, program, byte, offset) in table {
        let bed = Bed::new();
        let disk = bed.disk(size * MIB);
        let real = format!("/usr/sbin/{program} \"$@\"");
        let undo = format!("dd of=$last bs=1 seek={offset} conv=notrunc,fsync status=none");
        bed.command(program, &format!("for last; do :; done\n{real}\nprintf '{byte}' | {undo}\nexit 1"));
        bed.node().stage(bed.stage(kind, &disk)).await.unwrap_err();
        bed.command(program, &format!("echo run >> $BED/log\nexec {real}"));
        bed.node().stage(bed.stage(kind, &disk)).await.unwrap();
        assert_eq!(bed.mounts_at(&bed.staging()), 1, "{kind}");
        assert_eq!(fs::read_to_string(bed.path("log")).unwrap(), "run\n", "{kind}");
    }
}

#[tokio::test]
async fn loop_a_btrfs_is_not_made_while_another_mkfs_has_the_disk() {
    let bed = Bed::new();
    let disk = bed.disk(128 * MIB);
    let device = disk.device.to_str().unwrap();
    bed.command("mkfs.btrfs", "echo run >> $BED/log\nexec /usr/sbin/mkfs.btrfs \"$@\"");
    let script = "echo; read end";
    let mut other = Command::new("flock")
        .args([device, "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut begun).unwrap();
    bed.node().stage(bed.stage(FsType::Btrfs, &disk)).await.unwrap_err();
    assert!(!bed.path("log").exists());
    drop(other.stdin.take());
    other.wait().unwrap();
    bed.node().stage(bed.stage(FsType::Btrfs, &disk)).await.unwrap();
}

#[tokio::test]
async fn loop_an_xfs_is_mounted_beside_the_one_that_it_is_a_copy_of() {
    let bed = Bed::new();
    let make = |file: &Path| drop(run("mkfs.xfs", &[file.to_str().unwrap()]));
    let origin = bed.unlinked("origin", 320 * MIB, make);
    fs::create_dir(bed.path("elsewhere")).unwrap();
    run("mount", &[origin.device.to_str().unwrap(), bed.path("elsewhere").to_str().unwrap()]);
    run("sync", &[]);
    let copy = |file: &Path| drop(run("cp", &[origin.file.to_str().unwrap(), file.to_str().unwrap()]));
    let disk = bed.disk_with(320 * MIB, copy);
    bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap();
    assert_eq!(bed.mounts_at(&bed.staging()), 1);
}

#[tokio::test]
async fn loop_commands_know_nothing_of_the_drivers_environment() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    bed.command("mkfs.ext4", "env > $BED/env\nexec /usr/sbin/mkfs.ext4 \"$@\"");
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    let names: Vec<_> =
        read(&bed.path("env")).lines().map(|l| l.split('=').next().unwrap().to_owned()).collect();
    let known = ["PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
}

#[tokio::test]
async fn loop_an_unfinished_xfs_of_someone_else_is_not_formatted() {
    let bed = Bed::new();
    let disk = bed.disk_with(320 * MIB, |file| {
        run("mkfs.xfs", &[file.to_str().unwrap()]);
        write_at(file, 126, &[1]);
    });
    let before = disk.checksum();
    bed.node().stage(bed.stage(FsType::Xfs, &disk)).await.unwrap_err();
    assert_eq!(disk.checksum(), before);
    assert_eq!(bed.mounts_at(&bed.staging()), 0);
}

/// Stages in a process of its own, which the bed's mkfs kills.
fn die(test: &str, bed: &Bed, fs: FsType, mib: u64) {
    fs::write(bed.path("doomed"), format!("{fs} {mib}")).unwrap();
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--exact", test]).env(DOOMED, bed.path("")).output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(9), "{output:?}");
    assert_eq!(bed.mounts_at(&bed.staging()), 0);
}

async fn doomed(bed: &Path) {
    let doomed = read(&bed.join("doomed"));
    let (fs, mib) = doomed.split_once(' ').unwrap();
    let size = mib.parse::<u64>().unwrap() * MIB;
    let request = Stage { expected: sized(size), ..stage_in(bed, fs.parse().unwrap(), size) };
    fs::write(bed.join("driver"), std::process::id().to_string()).unwrap();
    node_in(bed).stage(request).await.unwrap();
}

async fn open_gate(gate: PathBuf) {
    // Opening the gate waits for the mkfs that reads it.
    tokio::task::spawn_blocking(move || fs::write(gate, "open\n").unwrap()).await.unwrap();
}

async fn opened(gate: PathBuf) {
    tokio::task::spawn_blocking(move || drop(fs::read(gate).unwrap())).await.unwrap();
}

fn uuid_of(device: &Path) -> String {
    run("blkid", &["-p", "-s", "UUID", "-o", "value", device.to_str().unwrap()])
}

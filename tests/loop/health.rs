//! What is wrong with a volume, on disks that are really so.

use std::fs;
use std::path::Path;

use cinder_csi::node::{Access, FsType, Reason, Stage};

use crate::bed::{Bed, Disk, MIB, VOLUME, mounted, run};

async fn staged(bed: &Bed, kind: FsType, size: u64) -> Disk {
    let disk = bed.disk(size * MIB);
    bed.node().stage(bed.stage(kind, &disk)).await.unwrap();
    disk
}

async fn reasons(bed: &Bed, target: Option<&Path>) -> Vec<Reason> {
    let found = bed.node().health(VOLUME, target, Some(&bed.staging())).await.unwrap();
    found.iter().map(|found| found.reason).collect()
}

#[tokio::test]
async fn loop_a_healthy_volume_has_nothing_to_tell() {
    for (kind, size) in [(FsType::Ext4, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)] {
        let bed = Bed::new();
        let disk = staged(&bed, kind, size).await;
        let request = bed.publish(mounted(kind), &disk);
        bed.node().publish(request.clone()).await.unwrap();
        assert!(reasons(&bed, Some(&request.target)).await.is_empty(), "{kind}");
        assert!(bed.node().health(VOLUME, None, None).await.unwrap().is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn loop_a_disk_that_cannot_be_read_is_told() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let request = bed.publish(Access::Block, &disk);
    bed.node().stage(Stage { access: Access::Block, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap();
    bed.node().publish(request.clone()).await.unwrap();
    assert!(reasons(&bed, Some(&request.target)).await.is_empty());
    // Past the end of its file a loop device answers with an I/O error.
    fs::OpenOptions::new().write(true).open(&disk.file).unwrap().set_len(0).unwrap();
    assert_eq!(reasons(&bed, Some(&request.target)).await, [Reason::DeviceUnreadable]);
}

#[tokio::test]
async fn loop_a_file_system_that_the_kernel_made_read_only_is_told_and_one_that_was_asked_for_is_not() {
    let bed = Bed::new();
    let disk = staged(&bed, FsType::Ext4, 96).await;
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
    bed.node().stage(Stage { read_only: true, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap();
    assert!(reasons(&bed, None).await.is_empty());
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();

    run("tune2fs", &["-e", "remount-ro", disk.device.to_str().unwrap()]);
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    let name = disk.device.file_name().unwrap().to_str().unwrap();
    let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
    fs::write(trigger, "of the test").unwrap();
    assert_eq!(reasons(&bed, None).await, [Reason::FileSystemReadOnly]);
    let refused = bed.node().publish(bed.publish(mounted(FsType::Ext4), &disk)).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    assert!(reasons(&bed, None).await.is_empty(), "e2fsck has mended it");
}

#[tokio::test]
async fn loop_a_file_system_that_goes_on_after_an_error_is_told() {
    let bed = Bed::new();
    let disk = staged(&bed, FsType::Ext4, 96).await;
    let name = disk.device.file_name().unwrap().to_str().unwrap();
    fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "of the test").unwrap();
    assert_eq!(reasons(&bed, None).await, [Reason::FileSystemErrors]);
}

#[tokio::test]
async fn loop_a_file_system_that_has_shut_down_is_told() {
    for (kind, size) in [(FsType::Ext4, 96), (FsType::Xfs, 320)] {
        let bed = Bed::new();
        staged(&bed, kind, size).await;
        run("xfs_io", &["-x", "-c", "shutdown", bed.staging().to_str().unwrap()]);
        assert_eq!(reasons(&bed, None).await, [Reason::FileSystemShutDown], "{kind}");
    }
}

#[tokio::test]
async fn loop_what_is_not_mounted_where_it_should_be_is_told() {
    let bed = Bed::new();
    let disk = staged(&bed, FsType::Ext4, 96).await;
    let target = bed.path("target");
    fs::create_dir(&target).unwrap();
    assert_eq!(reasons(&bed, Some(&target)).await, [Reason::NotMounted]);
    run("mount", &["-t", "tmpfs", "none", target.to_str().unwrap()]);
    assert_eq!(reasons(&bed, Some(&target)).await, [Reason::WrongDevice]);
    drop(disk);
}

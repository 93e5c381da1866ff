//! Disks that grow, mounted and not.

use std::fs;
use std::time::Duration;

use cinder_csi::node::{Access, Condition, FsType, Publish, Stage};
use cinder_csi::pace::{self, Deadline};

use crate::bed::{Bed, MIB, VOLUME, in_vain, mounted, read, write};

async fn total(bed: &Bed) -> u64 {
    bed.node().stats(VOLUME, &bed.staging()).await.unwrap().bytes.unwrap().total
}

#[tokio::test]
async fn loop_a_volume_expanded_and_staged_again_spans_its_disk() {
    for (fs, size) in [(FsType::Ext4, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)] {
        let bed = Bed::new();
        let mut disk = bed.disk(size * MIB);
        let node = bed.node();
        let request = bed.stage(fs, &disk);
        node.stage(request.clone()).await.unwrap();
        write(&bed.staging().join("file"), "kept");
        node.unstage(VOLUME, &bed.staging()).await.unwrap();
        disk.grow(2 * size * MIB);
        // The attachment still says the size that the volume had then.
        node.stage(Stage { resize: true, ..request }).await.unwrap();
        assert!(total(&bed).await > disk.size * 3 / 4, "{fs}: {}", total(&bed).await);
        assert_eq!(read(&bed.staging().join("file")), "kept", "{fs}");
    }
}

#[tokio::test]
async fn loop_a_mounted_file_system_grows_when_its_disk_does() {
    for (fs, size) in [(FsType::Xfs, 320), (FsType::Btrfs, 128)] {
        let bed = Bed::new();
        let mut disk = bed.disk(size * MIB);
        let node = bed.node();
        node.stage(bed.stage(fs, &disk)).await.unwrap();
        let request = bed.publish(mounted(fs), &disk);
        node.publish(request.clone()).await.unwrap();
        let staging = bed.staging();
        // Cinder says that it's done before the disk has its size: expand starts first.
        let expansion = node.expand(VOLUME, &request.target, Some(&staging), Some(2 * size * MIB));
        let growth = async {
            pace::sleep(Duration::from_millis(100)).await;
            disk.grow(2 * size * MIB);
        };
        let (answer, ()) = tokio::join!(expansion, growth);
        assert_eq!(answer.unwrap(), 2 * size * MIB, "{fs}");
        assert!(total(&bed).await > 3 * size * MIB / 2, "{fs}: {}", total(&bed).await);
        assert_eq!(node.expand(VOLUME, &request.target, None, None).await.unwrap(), disk.size, "{fs}");
    }
}

#[tokio::test]
async fn loop_a_mounted_ext4_grows_or_says_which_capability_is_missing() {
    let bed = Bed::new();
    let mut disk = bed.disk(96 * MIB);
    let node = bed.node();
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    disk.grow(192 * MIB);
    let answer = node.expand(VOLUME, &bed.staging(), None, Some(disk.size)).await;
    if has_cap_sys_resource() {
        assert_eq!(answer.unwrap(), disk.size);
        assert!(total(&bed).await > 150 * MIB);
    } else {
        let error = answer.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition, "{error}");
        assert!(error.to_string().contains("CAP_SYS_RESOURCE"), "{error}");
        node.unstage(VOLUME, &bed.staging()).await.unwrap();
        node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
        assert!(total(&bed).await > 150 * MIB);
    }
}

#[tokio::test]
async fn loop_a_raw_disk_answers_its_own_size() {
    let bed = Bed::new();
    let mut disk = bed.disk(96 * MIB);
    let node = bed.node();
    let request = bed.publish(Access::Block, &disk);
    node.publish(request.clone()).await.unwrap();
    disk.grow(192 * MIB);
    assert_eq!(node.expand(VOLUME, &request.target, None, Some(192 * MIB)).await.unwrap(), 192 * MIB);
}

#[tokio::test]
async fn loop_a_disk_that_does_not_grow_is_unsettled_and_says_its_size() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let node = bed.node();
    node.stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    let error = in_vain(node.expand(VOLUME, &bed.staging(), None, Some(disk.size + 1))).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Unsettled, "{error}");
    assert!(error.to_string().contains("100663296 bytes of 100663297"), "{error}");
    assert!(node.idle(Deadline::after(Duration::from_secs(10))).await);
}

#[tokio::test]
async fn loop_a_volume_published_read_only_grows_where_it_is_staged() {
    let bed = Bed::new();
    let mut disk = bed.disk(320 * MIB);
    let node = bed.node();
    node.stage(bed.stage(FsType::Xfs, &disk)).await.unwrap();
    let request = Publish { read_only: true, ..bed.publish(mounted(FsType::Xfs), &disk) };
    node.publish(request.clone()).await.unwrap();
    disk.grow(640 * MIB);
    node.expand(VOLUME, &request.target, Some(&bed.staging()), Some(disk.size)).await.unwrap();
    assert!(total(&bed).await > 480 * MIB);
}

#[tokio::test]
async fn loop_nothing_is_expanded_where_nothing_is() {
    let bed = Bed::new();
    let error = bed.node().expand(VOLUME, &bed.path("nowhere"), None, None).await.unwrap_err();
    assert_eq!(error.condition(), Condition::NotFound, "{error}");
}

#[tokio::test]
async fn loop_a_volume_mounted_read_only_is_not_grown() {
    let bed = Bed::new();
    let mut disk = bed.disk(96 * MIB);
    let node = bed.node();
    let request = bed.stage(FsType::Ext4, &disk);
    node.stage(request.clone()).await.unwrap();
    node.unstage(VOLUME, &bed.staging()).await.unwrap();
    disk.grow(192 * MIB);
    let before = disk.checksum();
    node.stage(Stage { read_only: true, ..request }).await.unwrap();
    let error = node.expand(VOLUME, &bed.staging(), None, None).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    node.unstage(VOLUME, &bed.staging()).await.unwrap();
    assert_eq!(disk.checksum(), before);
}

fn has_cap_sys_resource() -> bool {
    const BIT: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> BIT & 1 == 1
}

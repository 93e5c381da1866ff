//! Right disk or no disk, and never a format over what may hold data: refused, and not one byte written.

use std::fs;
use std::path::Path;

use cinder_csi::node::{Access, Condition, Error, Expected, FormatPolicy, FsType, Result, Stage};

use crate::bed::{Bed, Disk, MIB, in_vain, mounted, run, sized, stage_in, write_at};

/// Stages, and proves that it was refused, that nothing was mounted and that the disk is as it was.
async fn refused(bed: &Bed, disk: &Disk, request: Stage) -> Error {
    let node = bed.node();
    proven(bed, disk, node.stage(request)).await
}

/// The same for a disk that is waited for in vain.
async fn refused_at_the_deadline(bed: &Bed, disk: &Disk, request: Stage) -> Error {
    let node = bed.node();
    proven(bed, disk, in_vain(node.stage(request))).await
}

async fn proven(bed: &Bed, disk: &Disk, attempt: impl Future<Output = Result<()>>) -> Error {
    let before = disk.checksum();
    let error = attempt.await.unwrap_err();
    assert_eq!(disk.checksum(), before, "bytes were written: {error}");
    assert_eq!(bed.mounts_at(&bed.staging()), 0, "{error}");
    error
}

async fn refuses_content(size: u64, fs: FsType, fill: impl FnOnce(&Path), named: &str) {
    let bed = Bed::new();
    let disk = bed.disk_with(size, fill);
    let error = refused(&bed, &disk, bed.stage(fs, &disk)).await;
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains(named), "{error}");
    assert!(error.to_string().contains("nothing was written"), "{error}");
}

fn mkfs(program: &'static str) -> impl FnOnce(&Path) {
    move |file| drop(run(program, &[file.to_str().unwrap()]))
}

#[tokio::test]
async fn loop_a_partition_table_is_not_formatted() {
    let table = |file: &Path| {
        write_at(file, 446, &[0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0]);
        write_at(file, 510, &[0x55, 0xaa]);
    };
    refuses_content(96 * MIB, FsType::Ext4, table, "a partition table (dos)").await;
}

#[tokio::test]
async fn loop_a_luks_header_is_not_formatted() {
    let header = |file: &Path| write_at(file, 0, b"LUKS\xba\xbe\x00\x01");
    refuses_content(96 * MIB, FsType::Ext4, header, "crypto_LUKS").await;
}

#[tokio::test]
async fn loop_an_lvm_volume_is_not_formatted() {
    // Without the checksum that LVM has there: blkid doesn't recognise it, and it's refused all the same.
    let label = |file: &Path| write_at(file, 512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001");
    refuses_content(96 * MIB, FsType::Ext4, label, "it holds").await;
}

#[tokio::test]
async fn loop_swap_is_not_formatted() {
    refuses_content(96 * MIB, FsType::Ext4, mkfs("mkswap"), "swap").await;
}

#[tokio::test]
async fn loop_another_file_system_is_neither_formatted_nor_mounted() {
    refuses_content(96 * MIB, FsType::Xfs, mkfs("mkfs.ext4"), "it holds ext4, and xfs is asked for").await;
    refuses_content(320 * MIB, FsType::Ext4, mkfs("mkfs.xfs"), "it holds xfs, and ext4 is asked for").await;
    refuses_content(128 * MIB, FsType::Ext4, mkfs("mkfs.btrfs"), "it holds btrfs, and ext4 is asked for")
        .await;
}

#[tokio::test]
async fn loop_data_that_no_one_recognises_is_not_formatted() {
    for offset in [0, MIB, 64 * MIB, 96 * MIB - 1] {
        let data = |file: &Path| write_at(file, offset, b"!");
        refuses_content(96 * MIB, FsType::Ext4, data, "data that blkid doesn't recognise").await;
    }
}

#[tokio::test]
async fn loop_an_ext4_that_lost_its_superblock_is_not_formatted() {
    let broken = |file: &Path| {
        mkfs("mkfs.ext4")(file);
        write_at(file, 1024, &[0; 1024]);
    };
    refuses_content(96 * MIB, FsType::Ext4, broken, "data that blkid doesn't recognise").await;
}

#[tokio::test]
async fn loop_an_unreadable_disk_is_not_empty() {
    for (kept, fill) in [(0, None), (64 << 10, Some("mkfs.ext4")), (512, Some("mkfs.xfs"))] {
        let bed = Bed::new();
        let disk = bed.disk_with(320 * MIB, |file| {
            if let Some(program) = fill {
                mkfs(program)(file);
            }
        });
        // Past the end of its file a loop device answers with an I/O error.
        fs::OpenOptions::new().write(true).open(&disk.file).unwrap().set_len(kept).unwrap();
        let error = refused(&bed, &disk, bed.stage(FsType::Ext4, &disk)).await;
        assert_eq!(error.condition(), Condition::Internal, "{error}");
        assert!(error.to_string().contains("can't read"), "{error}");
    }
}

#[tokio::test]
async fn loop_a_volume_made_from_data_is_never_formatted() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let request = Stage { format: FormatPolicy::Never, ..bed.stage(FsType::Ext4, &disk) };
    let error = refused(&bed, &disk, request).await;
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
}

#[tokio::test]
async fn loop_an_empty_disk_staged_read_only_is_not_formatted() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let request = Stage { read_only: true, ..bed.stage(FsType::Ext4, &disk) };
    refused(&bed, &disk, request).await;
}

#[tokio::test]
async fn loop_a_disk_that_is_too_small_is_refused() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let error = refused(&bed, &disk, stage_in(bed.path("").as_path(), FsType::Ext4, 96 * MIB + 1)).await;
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains("100663296 bytes where the volume has 100663297"), "{error}");
    let encrypted = Expected { encrypted: Some(true), ..sized(96 * MIB + 33 * MIB) };
    refused(&bed, &disk, Stage { expected: encrypted, ..bed.stage(FsType::Ext4, &disk) }).await;
}

#[tokio::test]
async fn loop_a_disk_without_size_is_waited_for_and_then_refused() {
    let bed = Bed::new();
    let disk = bed.disk(0);
    let error = refused_at_the_deadline(&bed, &disk, bed.stage(FsType::Ext4, &disk)).await;
    assert!(error.to_string().contains("has no size yet"), "{error}");
}

#[tokio::test]
async fn loop_a_link_that_lies_leads_to_nothing_written() {
    let bed = Bed::new();
    let right = bed.disk(96 * MIB);
    let smaller = bed.unlinked("smaller", 64 * MIB, |_| {});
    let targets = [
        (smaller.device.clone(), "bytes where the volume has"),
        (right.file.clone(), "isn't a block device"),
        ("/dev/null".into(), "isn't a block device"),
        ("/tmp".into(), "isn't a block device"),
        (bed.path("nowhere"), "leads nowhere"),
    ];
    for (target, named) in targets {
        bed.link(&target);
        let before = smaller.checksum();
        let error = refused_at_the_deadline(&bed, &right, bed.stage(FsType::Ext4, &right)).await;
        assert_eq!(error.condition(), Condition::Precondition, "{error}");
        assert!(error.to_string().contains(named), "{}: {error}", target.display());
        assert_eq!(smaller.checksum(), before);
    }
}

#[tokio::test]
async fn loop_a_link_to_a_disk_in_use_elsewhere_is_refused() {
    let bed = Bed::new();
    let disk = bed.disk_with(96 * MIB, mkfs("mkfs.ext4"));
    let elsewhere = bed.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    run("mount", &["-o", "ro", disk.device.to_str().unwrap(), elsewhere.to_str().unwrap()]);
    let error = refused(&bed, &disk, bed.stage(FsType::Ext4, &disk)).await;
    assert!(error.to_string().contains("in use already at"), "{error}");
}

#[tokio::test]
async fn loop_a_disk_that_nothing_proves_is_refused() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let hint = Some(disk.device.display().to_string());
    for expected in [Expected::default(), Expected { device_path: hint, ..Expected::default() }] {
        for access in [mounted(FsType::Ext4), Access::Block] {
            let request = Stage { expected: expected.clone(), access, ..bed.stage(FsType::Ext4, &disk) };
            let error = refused(&bed, &disk, request).await;
            assert_eq!(error.condition(), Condition::Precondition, "{error}");
            assert!(error.to_string().contains("no serial"), "{error}");
        }
    }
}

#[tokio::test]
async fn loop_a_disk_that_is_not_there_is_unsettled() {
    let bed = Bed::new();
    let request = stage_in(bed.path("").as_path(), FsType::Ext4, MIB);
    let error = in_vain(bed.node().stage(request)).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Unsettled, "{error}");
}

/// As where a back end lost the first object of a volume. `blkid` knows nothing of what is left.
#[tokio::test]
async fn loop_a_file_system_without_its_beginning_is_not_formatted() {
    for (fs, size) in [(FsType::Ext4, 96), (FsType::Xfs, 320), (FsType::Btrfs, 128)] {
        let bed = Bed::new();
        let disk = bed.disk_with(size * MIB, |file| {
            run(&format!("mkfs.{fs}"), &[file.to_str().unwrap()]);
            write_at(file, 0, &[0; 4 << 20]);
        });
        let before = disk.checksum();
        let error = bed.node().stage(bed.stage(fs, &disk)).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition, "{fs}: {error}");
        assert!(error.to_string().contains("data that blkid doesn't recognise"), "{fs}: {error}");
        assert_eq!(disk.checksum(), before, "{fs}");
    }
}

//! Blocks that can't be read make a healthy disk look blank to blkid. It holds data all the same.

use tonic::Status;

use crate::disk::{Area, Bus, Disk, Fault, KIB, MIB};
use crate::driver::Guest;
use crate::extent::some;
use crate::figures::count;
use crate::kubelet::staging;

/// From here on mkfs.ext4 makes blocks of 4 KiB, as on every volume of Cinder's.
const SIZE: u64 = 512 * MIB;

/// Where file systems, partition tables and volume managers have what tells them, and what none of them needs. What tells
/// most comes first.
const AREAS: [(&str, Area); 11] = [
    ("a block at 64 KiB", Some(64 * KIB..68 * KIB)),
    ("the first block", Some(0..4 * KIB)),
    ("the last block", Some(SIZE - 4 * KIB..SIZE)),
    ("all", None),
    ("the first MiB", Some(0..MIB)),
    ("the last block of the first MiB", Some(MIB - 4 * KIB..MIB)),
    ("a block at 1 MiB", Some(MIB..MIB + 4 * KIB)),
    ("the last block of the first 4 MiB", Some(4 * MIB - 4 * KIB..4 * MIB)),
    ("a block at 64 MiB", Some(64 * MIB..64 * MIB + 4 * KIB)),
    ("a MiB in the middle", Some(SIZE / 2..SIZE / 2 + MIB)),
    ("a block 64 KiB from the end", Some(SIZE - 64 * KIB..SIZE - 60 * KIB)),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_block_in_a_healthy_ext4_is_refused_and_its_data_stays() {
    let guest = Guest::boot().await;
    let disk = filled(&guest, "ext4").await;
    let before = disk.copy();
    let refusal =
        stage_ill(&guest, &disk, "ext4", &Fault::unreadable(Some(64 * KIB..68 * KIB))).await.unwrap_err();
    assert!(
        refusal.message().contains("it may hold data") && refusal.message().contains("nothing was written"),
        "{refusal}"
    );
    assert!(disk.is_as(&before), "bytes were written");
    assert_eq!(read(&guest, &disk, "ext4").await, "precious\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ext4_outlives_unreadable_blocks_wherever_they_are() {
    a_file_system_outlives_them("ext4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_xfs_outlives_unreadable_blocks_wherever_they_are() {
    a_file_system_outlives_them("xfs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_btrfs_outlives_unreadable_blocks_wherever_they_are() {
    a_file_system_outlives_them("btrfs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_system_is_refused_wherever_unreadable_blocks_are() {
    let guest = Guest::boot().await;
    let options = "--batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000";
    is_always_refused(&guest, &format!("echo secret | cryptsetup luksFormat {options} /dev/$DISK -")).await;
    is_always_refused(&guest, "printf 'label: gpt\\n,,\\n' | sfdisk --quiet /dev/$DISK").await;
}

/// What can still be recognised may be used. What can't is refused, and not one byte changes. The file is there afterwards.
async fn a_file_system_outlives_them(fs: &str) {
    let guest = Guest::boot().await;
    let disk = filled(&guest, fs).await;
    for (name, area) in some(AREAS, 3) {
        let before = disk.copy();
        let answer = stage_ill(&guest, &disk, fs, &Fault::unreadable(area.clone())).await;
        let said = answer.as_ref().map_or_else(Status::message, |()| "used");
        println!("{fs}, {name} unreadable: {said}");
        let hides_it = area.is_none_or(|area| area.contains(&superblock(fs)));
        assert!(!hides_it || said.contains("nothing was written"), "{fs}, {name}: {said}");
        if !disk.is_as(&before) {
            assert!(!said.contains("nothing was written"), "{said}");
            assert_eq!(read(&guest, &disk, fs).await, "precious\n", "{fs}, {name}: {said}");
        }
        count("unreadable areas tried", 1);
    }
    assert_eq!(read(&guest, &disk, fs).await, "precious\n");
}

/// Where a file system says what it is.
fn superblock(fs: &str) -> u64 {
    match fs {
        "xfs" => 0,
        "btrfs" => 64 * KIB,
        _ => KIB,
    }
}

async fn is_always_refused(guest: &Guest, make: &str) {
    let disk = Disk::new(SIZE);
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    let name = guest.machine.device(&disk).await;
    guest.machine.shell(&format!("DISK={name}\n{make}")).await;
    guest.machine.unplug(&disk).await;
    let before = disk.copy();
    for (name, area) in some(AREAS, 3) {
        let refusal = stage_ill(guest, &disk, "ext4", &Fault::unreadable(area)).await.unwrap_err();
        assert!(refusal.message().contains("nothing was written"), "{refusal}");
        println!("{name} unreadable: {}", refusal.message());
        assert!(disk.is_as(&before), "{name}: {refusal}");
        count("unreadable areas tried", 1);
    }
}

/// Stages a disk with a fault, and lets go of it again.
async fn stage_ill(guest: &Guest, disk: &Disk, fs: &str, fault: &Fault) -> Result<(), Status> {
    guest.machine.plug(disk, Bus::VirtioBlk, fault).await;
    let answer = guest.stage(disk, fs).await;
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
    answer
}

/// A disk on which the driver has made `fs`, with something in it.
pub async fn filled(guest: &Guest, fs: &str) -> Disk {
    let disk = Disk::new(SIZE);
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.staged(&disk, fs).await;
    guest.machine.shell(&format!("echo precious > {}/file", staging(&disk))).await;
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    disk
}

/// What is in it once the disk is well.
pub async fn read(guest: &Guest, disk: &Disk, fs: &str) -> String {
    guest.machine.plug(disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.staged(disk, fs).await;
    let (_, text) = guest.machine.run(&format!("cat {}/file", staging(disk))).await;
    count("files read back", 1);
    count("files lost", usize::from(text != "precious\n"));
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
    text
}

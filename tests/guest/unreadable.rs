//! One block that can't be read makes a healthy disk look blank to blkid. It holds data all the same.

use crate::disk::{Bus, Disk, Fault, KIB, MIB};
use crate::driver::{Guest, staging};

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_block_in_a_healthy_ext4_is_refused_and_its_data_stays() {
    let guest = Guest::boot().await;
    let disk = filled(&guest, "ext4").await;
    let before = disk.copy();
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::unreadable(64 * KIB..68 * KIB)).await;
    let refusal = guest.stage(&disk, "ext4").await.unwrap_err();
    assert!(refusal.message().contains("it may hold data"), "{refusal}");
    guest.machine.unplug(&disk).await;
    assert!(disk.is_as(&before), "bytes were written");
    assert_eq!(read(&guest, &disk, "ext4").await, "precious\n");
}

/// A disk on which our driver has made `fs`, with something in it.
pub async fn filled(guest: &Guest, fs: &str) -> Disk {
    let disk = Disk::new(512 * MIB);
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.stage(&disk, fs).await.unwrap();
    guest.machine.shell(&format!("echo precious > {}/file", staging(&disk))).await;
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    disk
}

/// What is in it once the disk is well.
pub async fn read(guest: &Guest, disk: &Disk, fs: &str) -> String {
    guest.machine.plug(disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.stage(disk, fs).await.unwrap();
    let text = guest.machine.shell(&format!("cat {}/file", staging(disk))).await;
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
    text
}

//! Writes that fail. Nothing is made of them but an error, and what was there stays.

use tonic::Status;

use crate::disk::{Area, Bus, Disk, Fault, KIB, MIB};
use crate::driver::Guest;
use crate::extent::some;
use crate::figures::count;
use crate::kubelet::staging;
use crate::unreadable::{filled, read};

const SIZE: u64 = 320 * MIB;

const AREAS: [(&str, Area); 5] = [
    ("all", None),
    ("the first MiB", Some(0..MIB)),
    ("the first block", Some(0..4 * KIB)),
    ("a block at 64 KiB", Some(64 * KIB..68 * KIB)),
    ("4 MiB at 160 MiB", Some(160 * MIB..164 * MIB)),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_on_a_disk_that_takes_no_writes_is_there_when_it_does_again() {
    let guest = Guest::boot().await;
    for fs in ["ext4", "xfs", "btrfs"] {
        let disk = filled(&guest, fs).await;
        for (name, area) in some(AREAS, 1) {
            let answer = written_in_vain(&guest, &disk, fs, &Fault::unwritable(area)).await;
            let said = answer.as_ref().map_or_else(Status::message, |()| "used");
            println!("{fs}, {name} unwritable: {said}");
            assert_eq!(read(&guest, &disk, fs).await, "precious\n", "{fs}, {name}: {said}");
            count("unwritable areas tried", 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_disk_that_takes_no_writes_is_formatted_once_it_does() {
    let guest = Guest::boot().await;
    for fs in ["ext4", "xfs", "btrfs"] {
        for (name, area) in some(AREAS, 1) {
            let disk = Disk::new(SIZE);
            let answer = written_in_vain(&guest, &disk, fs, &Fault::unwritable(area)).await;
            let said = answer.as_ref().map_or_else(Status::message, |()| "used");
            println!("blank for {fs}, {name} unwritable: {said}");
            guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
            guest.stage(&disk, fs).await.unwrap_or_else(|error| panic!("{fs}, {name}: {said}, then {error}"));
            guest.machine.shell(&format!("echo precious > {}/file", staging(&disk))).await;
            guest.unstage(&disk).await.unwrap();
            guest.machine.unplug(&disk).await;
            assert_eq!(read(&guest, &disk, fs).await, "precious\n", "{fs}, {name}: {said}");
            count("unwritable areas tried", 1);
        }
    }
}

/// Stages it, and writes to it where that went well.
async fn written_in_vain(guest: &Guest, disk: &Disk, fs: &str, fault: &Fault) -> Result<(), Status> {
    guest.machine.plug(disk, Bus::VirtioBlk, fault).await;
    let answer = guest.stage(disk, fs).await;
    if answer.is_ok() {
        guest.machine.run(&format!("echo more > {}/more; sync", staging(disk))).await;
    }
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
    answer
}

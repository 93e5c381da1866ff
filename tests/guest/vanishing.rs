//! A disk that goes, or answers nothing any more, while it's mounted and in use.

use std::time::Duration;

use cinder_csi::csi::proto::VolumeHealthErrorType;
use tonic::Code;

use crate::calls::{staging, target};
use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::some;
use crate::figures::count;

const SIZE: u64 = 320 * MIB;
const SHORT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_vanishes_while_mounted_is_told_and_let_go_and_comes_back_with_its_data() {
    let guest = Guest::boot().await;
    let cases = [
        ("ext4", Bus::VirtioBlk),
        ("xfs", Bus::VirtioBlk),
        ("btrfs", Bus::VirtioBlk),
        ("ext4", Bus::VirtioScsi),
        ("ext4", Bus::Nvme),
    ];
    for (fs, bus) in some(cases, 3) {
        vanishes(&guest, fs, bus).await;
    }
}

async fn vanishes(guest: &Guest, fs: &str, bus: Bus) {
    let disk = in_use(guest, fs, bus).await;
    guest.machine.unplug(&disk).await;
    let found = guest.health(&disk).await;
    let gone = ("DeviceGone".to_owned(), VolumeHealthErrorType::Inaccessible);
    assert!(found.contains(&gone), "{fs} on {bus:?}: {found:?}");
    // A dead file system may still tell its size.
    let _ = guest.stats(SHORT, &disk).await;
    guest.unpublish(&disk).await;
    guest.unstage(&disk).await.unwrap();
    let mounts = guest.machine.shell("cat /proc/self/mountinfo").await;
    assert!(!mounts.contains(&disk.volume), "{fs} on {bus:?}: {mounts}");
    is_back(guest, fs, bus, &disk).await;
    guest.machine.shell("pkill -f 'tail -f' || true").await;
    count("disks gone while mounted", 1);
}

/// The kernel may still hold the dead file system for the program that has a file of it open.
async fn is_back(guest: &Guest, fs: &str, bus: Bus, disk: &Disk) {
    guest.machine.plug(disk, bus, &Fault::none()).await;
    guest.stage(disk, fs).await.unwrap();
    let text = guest.machine.shell(&format!("cat {}/file", staging(disk))).await;
    assert_eq!(text, "precious\n", "{fs} on {bus:?}");
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
}

/// Staged and published, with a file that a program holds open.
async fn in_use(guest: &Guest, fs: &str, bus: Bus) -> Disk {
    let disk = Disk::new(SIZE);
    guest.machine.plug(&disk, bus, &Fault::none()).await;
    guest.stage(&disk, fs).await.unwrap();
    guest.publish(&disk, fs).await;
    let at = target(&disk);
    guest
        .machine
        .shell(&format!("echo precious >{at}/file; sync; tail -f {at}/file >/dev/null 2>&1 &"))
        .await;
    assert_eq!(guest.health(&disk).await, []);
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_holds_up_no_call_past_its_deadline() {
    let guest = Guest::boot().await;
    let disk = in_use(&guest, "ext4", Bus::VirtioBlk).await;
    let other = Disk::new(SIZE);
    guest.machine.plug(&other, Bus::VirtioBlk, &Fault::none()).await;
    guest.machine.device(&other).await;
    guest.machine.stall(&disk, true).await;
    guest.machine.stall(&other, true).await;
    let silent = ("DeviceNotResponding".to_owned(), VolumeHealthErrorType::Inaccessible);
    assert_eq!(guest.health(&disk).await, [silent]);
    let late = guest.stage_within(SHORT, &other, "ext4").await.unwrap_err();
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Aborted | Code::Unavailable), "{late}");
    let busy = guest.stage_within(SHORT, &other, "ext4").await.unwrap_err();
    assert!(matches!(busy.code(), Code::DeadlineExceeded | Code::Aborted | Code::Unavailable), "{busy}");
    let _ = guest.stats(SHORT, &disk).await;
    guest.machine.stall(&disk, false).await;
    guest.machine.stall(&other, false).await;
    guest.staged_at_last(&other, "ext4").await;
    assert_eq!(guest.health(&disk).await, []);
    guest.machine.shell("pkill -f 'tail -f'").await;
    guest.unpublish(&disk).await;
    guest.unstage(&disk).await.unwrap();
    guest.unstage(&other).await.unwrap();
}

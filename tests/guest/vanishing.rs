//! A disk that goes, or answers nothing any more, while it's mounted and in use.

use std::time::Duration;

use cinder_csi::csi::proto::VolumeHealthErrorType;
use tonic::Code;

use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::some;
use crate::figures::count;
use crate::kubelet::{staging, target};

const SIZE: u64 = 320 * MIB;
/// Ends the program that holds a file open, once or again.
const END: &str = "kill $(cat /tmp/reader) 2>/dev/null; sleep 1";
const SHORT: Duration = Duration::from_secs(20);

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
    // Until a program lets go of it, the dead file system lives on in the kernel: of a btrfs no second one can be mounted
    // before Linux 6.7.
    if fs == "btrfs" {
        guest.machine.shell(END).await;
    }
    is_back(guest, fs, bus, &disk).await;
    guest.machine.shell(END).await;
    count("disks gone while mounted", 1);
}

async fn is_back(guest: &Guest, fs: &str, bus: Bus, disk: &Disk) {
    guest.machine.plug(disk, bus, &Fault::none()).await;
    guest.staged(disk, fs).await;
    let text = guest.machine.shell(&format!("cat {}/file", staging(disk))).await;
    assert_eq!(text, "precious\n", "{fs} on {bus:?}");
    guest.unstage(disk).await.unwrap();
    guest.machine.unplug(disk).await;
}

/// Staged and published, with a file that a program holds open.
async fn in_use(guest: &Guest, fs: &str, bus: Bus) -> Disk {
    let disk = Disk::new(SIZE);
    guest.machine.plug(&disk, bus, &Fault::none()).await;
    guest.staged(&disk, fs).await;
    guest.publish(&disk, fs).await;
    let at = target(&disk);
    guest
        .machine
        .shell(&format!(
            "echo precious >{at}/file; sync; tail -f {at}/file >/dev/null 2>&1 & echo $! >/tmp/reader"
        ))
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
    for silent in [&disk, &other] {
        guest.machine.silence(silent).await;
    }
    let silent = ("DeviceNotResponding".to_owned(), VolumeHealthErrorType::Inaccessible);
    assert_eq!(guest.health(&disk).await, [silent]);
    let late = guest.stage_within(SHORT, &other, "ext4").await.unwrap_err();
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Aborted | Code::Unavailable), "{late}");
    let busy = guest.stage_within(SHORT, &other, "ext4").await.unwrap_err();
    assert!(matches!(busy.code(), Code::DeadlineExceeded | Code::Aborted | Code::Unavailable), "{busy}");
    let _ = guest.stats(SHORT, &disk).await;
    guest.machine.unsilence(&disk).await;
    guest.machine.unsilence(&other).await;
    guest.staged_at_last(&other, "ext4").await;
    assert_eq!(guest.health(&disk).await, []);
    guest.machine.shell(END).await;
    guest.unpublish(&disk).await;
    guest.unstage(&disk).await.unwrap();
    guest.unstage(&other).await.unwrap();
}

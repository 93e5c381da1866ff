//! The right disk, as soon as the kernel shows it, whatever links there are.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Code;

use crate::calls::RAW;
use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::all;
use crate::figures::count;
use crate::kubelet::staging;
use crate::unreadable::{filled, read};

const SIZE: u64 = 320 * MIB;
/// The driver answers a twentieth of it before its end: enough for a guest on a busy machine.
const SHORT: Duration = Duration::from_secs(20);
const BUSES: [Bus; 3] = [Bus::VirtioBlk, Bus::VirtioScsi, Bus::Nvme];

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_found_at_the_kernels_event_where_there_is_no_udev() {
    let guest = Guest::boot().await;
    found_on_every_bus(&guest).await;
    guest.machine.shell("[ ! -e /dev/disk ]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_found_at_the_kernels_event_beside_udev() {
    let guest = Guest::boot_with_udev().await;
    found_on_every_bus(&guest).await;
}

/// The driver looks by itself, too, but only once in a second when it has waited for so long: were it not for the event, it
/// would find most disks more than 400 ms late.
async fn found_on_every_bus(guest: &Guest) {
    let mut late = Vec::new();
    for bus in BUSES.repeat(if all() { 4 } else { 1 }) {
        late.push(found_late(guest, bus).await);
        println!("{bus:?}: staged {:?} after the kernel showed it", late[late.len() - 1]);
    }
    late.sort();
    assert!(late[late.len() / 2] < Duration::from_millis(400), "{late:?}");
}

/// How long after the kernel shows it a disk is found by a call that waits for it.
async fn found_late(guest: &Guest, bus: Bus) -> Duration {
    let disk = Disk::new(SIZE);
    let plug = async {
        pace::sleep(Duration::from_secs(3)).await;
        guest.machine.plug(&disk, bus, &Fault::none()).await;
        guest.machine.device(&disk).await;
        Instant::now()
    };
    let stage = async {
        guest.staged(&disk, RAW).await;
        Instant::now()
    };
    let (shown, staged) = tokio::join!(plug, stage);
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    staged.saturating_duration_since(shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_elsewhere_touches_nothing_there_and_hides_nothing() {
    let guest = Guest::boot().await;
    let other = filled(&guest, "ext4").await;
    let disk = Disk::new(SIZE);
    guest.machine.plug(&other, Bus::VirtioBlk, &Fault::none()).await;
    let elsewhere = guest.machine.device(&other).await;
    link(&guest, &disk, &elsewhere).await;
    let before = other.copy();
    let refusal = guest.stage_within(SHORT, &disk, "ext4").await.unwrap_err();
    assert!(refusal.message().contains("another disk"), "{refusal}");
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.staged(&disk, "ext4").await;
    let source = guest.machine.shell(&format!("findmnt -no SOURCE {}", staging(&disk))).await;
    assert_ne!(source.trim(), format!("/dev/{elsewhere}"));
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&other).await;
    assert!(other.is_as(&before));
    assert_eq!(read(&guest, &other, "ext4").await, "precious\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_come_late_are_not_waited_for() {
    let guest = Guest::boot_with_udev().await;
    // Not by `udevadm control --stop-exec-queue`: the disk that comes first after it has once been given its link all the same.
    guest.machine.shell("kill -STOP $(pidof systemd-udevd)").await;
    for bus in BUSES {
        let disk = Disk::new(SIZE);
        guest.machine.plug(&disk, bus, &Fault::none()).await;
        guest.staged(&disk, "ext4").await;
        let links = guest.machine.shell("ls /dev/disk/by-id 2>/dev/null || true").await;
        assert!(!links.contains(&disk.volume[..20]), "{links}");
        guest.unstage(&disk).await.unwrap();
        guest.machine.unplug(&disk).await;
    }
}

/// The worst case: what comes in the place of the volume's disk is blank, and a link still says that it's the volume's.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_swapped_between_attach_and_stage_is_refused_and_stays_blank() {
    let guest = Guest::boot().await;
    let disk = Disk::new(SIZE);
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    let name = guest.machine.device(&disk).await;
    link(&guest, &disk, &name).await;
    guest.machine.unplug(&disk).await;
    let other = Disk::new(SIZE);
    guest.machine.plug(&other, Bus::VirtioBlk, &Fault::none()).await;
    assert_eq!(guest.machine.device(&other).await, name);
    let refusal = guest.stage_within(SHORT, &disk, "ext4").await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
    assert!(
        refusal.message().contains(&other.volume[..20]) && refusal.message().contains("nothing was written"),
        "{refusal}"
    );
    guest.machine.unplug(&other).await;
    assert!(other.is_as(Disk::new(SIZE).file().as_path()), "bytes were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_the_right_serial_and_the_wrong_size_is_refused_and_stays_blank() {
    let guest = Guest::boot().await;
    for bus in BUSES {
        let mut disk = Disk::new(SIZE);
        guest.machine.plug(&disk, bus, &Fault::none()).await;
        disk.size = 2 * SIZE;
        let refusal = guest.stage_within(SHORT, &disk, "ext4").await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
        assert!(refusal.message().contains("bytes where the volume has"), "{refusal}");
        guest.machine.unplug(&disk).await;
        assert!(disk.is_as(Disk::new(SIZE).file().as_path()), "bytes were written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_that_come_all_at_once_are_never_mixed_up() {
    let guest = Guest::boot_with_udev().await;
    let disks: Vec<_> = BUSES.repeat(2).into_iter().map(|bus| (bus, Disk::new(SIZE))).collect();
    let staged = async {
        futures_util::future::join_all(disks.iter().map(|(_, disk)| guest.stage(disk, "ext4"))).await
    };
    let plugged = async {
        for (bus, disk) in &disks {
            guest.machine.plug(disk, *bus, &Fault::none()).await;
        }
    };
    let (answers, ()) = tokio::join!(staged, plugged);
    for (answer, (bus, disk)) in answers.into_iter().zip(&disks) {
        answer.unwrap_or_else(|error| panic!("{bus:?}: {error}"));
        guest.machine.shell(&format!("echo {} > {}/file; sync", disk.volume, staging(disk))).await;
    }
    for (_, disk) in &disks {
        guest.unstage(disk).await.unwrap();
        guest.machine.unplug(disk).await;
    }
    for (_, disk) in &disks {
        let bytes = std::fs::read(disk.file()).unwrap();
        for (_, other) in &disks {
            let is_there = contains(&bytes, format!("{}\n", other.volume).as_bytes());
            assert_eq!(is_there, other.volume == disk.volume);
        }
    }
    count("disks plugged at once", disks.len());
}

/// As udev would, or would have.
async fn link(guest: &Guest, disk: &Disk, name: &str) {
    let link = format!("/dev/disk/by-id/virtio-{}", &disk.volume[..20]);
    guest.machine.shell(&format!("mkdir -p /dev/disk/by-id; ln -sf /dev/{name} {link}")).await;
}

/// mkfs.ext4 makes blocks of 1 KiB where a disk is as small as this.
fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.chunks(1024).any(|block| block.starts_with(what))
}

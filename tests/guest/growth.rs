//! The cloud has extended the volume, and its disk grows only later: NodeExpandVolume waits for it.

use std::time::Duration;

use cinder_csi::pace;

use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::some;
use crate::figures::count;
use crate::kubelet::staging;

const SMALL: u64 = 512 * MIB;
const LARGE: u64 = 1024 * MIB;
/// What a file system may need of a disk for itself.
const OVERHEAD: u64 = 96 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_file_system_grows_when_its_disk_does() {
    let guest = Guest::boot().await;
    let cases = [
        ("ext4", Bus::VirtioBlk),
        ("xfs", Bus::VirtioBlk),
        ("btrfs", Bus::VirtioBlk),
        ("ext4", Bus::VirtioScsi),
        ("xfs", Bus::VirtioScsi),
    ];
    for (fs, bus) in some(cases, 3) {
        grows(&guest, fs, bus).await;
    }
}

/// While a program writes to it.
async fn grows(guest: &Guest, fs: &str, bus: Bus) {
    let mut disk = Disk::new(SMALL);
    guest.machine.plug(&disk, bus, &Fault::none()).await;
    guest.staged(&disk, fs).await;
    let at = staging(&disk);
    let numbers = "i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); echo $i; usleep 1000; done";
    guest.machine.shell(&format!("rm -f /tmp/enough; ({numbers}) >{at}/numbers 2>/tmp/writer &")).await;
    assert!(room(guest, &disk).await <= SMALL);
    let later = async {
        pace::sleep(Duration::from_secs(3)).await;
        guest.machine.grow(&disk, LARGE).await;
    };
    let (grown, ()) = tokio::join!(guest.expand(&disk, LARGE), later);
    disk.size = LARGE;
    assert_eq!(u64::try_from(grown).unwrap(), LARGE, "{fs} on {bus:?}");
    let room = room(guest, &disk).await;
    assert!(room >= LARGE - OVERHEAD, "{fs} on {bus:?} has {room} bytes");
    let check = format!(
        "touch /tmp/enough; wait; sleep 1; n=$(tail -n 1 {at}/numbers); [ $n -gt 100 ] && seq $n | cmp - {at}/numbers"
    );
    guest.machine.shell(&check).await;
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    count("file systems grown while mounted", 1);
}

async fn room(guest: &Guest, disk: &Disk) -> u64 {
    let text = guest.machine.shell(&format!("stat -f -c '%b %S' {}", staging(disk))).await;
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    numbers[0] * numbers[1]
}

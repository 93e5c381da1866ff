//! The power goes while a program writes: what it was told is on the disk, is there.

use std::time::Duration;

use cinder_csi::pace;
use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::calls::staging;
use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::all;
use crate::figures::count;

const SIZE: u64 = 320 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ext4_has_synced_outlives_a_power_cut() {
    outlives_power_cuts("ext4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_xfs_has_synced_outlives_a_power_cut() {
    outlives_power_cuts("xfs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_btrfs_has_synced_outlives_a_power_cut() {
    outlives_power_cuts("btrfs").await;
}

/// Each time on the same disk.
async fn outlives_power_cuts(fs: &str) {
    let cuts = if all() { 7 } else { 1 };
    let mut random = Rng::new();
    let disk = Disk::with_cache(SIZE);
    let mut told = 0;
    let mut guest = Guest::boot().await;
    for _ in 0..cuts {
        guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
        guest.staged(&disk, fs).await;
        all_there(&guest, &disk, told).await;
        told = write(&guest, &disk, told, Duration::from_millis(random.u64(1000..4000))).await;
        guest.machine.cut_power();
        guest = Guest::boot().await;
    }
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    guest.staged(&disk, fs).await;
    all_there(&guest, &disk, told).await;
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    println!("{fs}: {told} files were synced");
    count("files synced before a power cut", told);
}

/// File after file, each told when it's synced: the last one told by the time the power goes.
async fn write(guest: &Guest, disk: &Disk, from: u64, time: Duration) -> u64 {
    let one = format!("seq $i $((i + 2000)) | dd of={}/$i conv=fsync 2>/dev/null", staging(disk));
    let script = format!("i={from}\nwhile :; do i=$((i + 1)); {one} || exit; echo $i; done\n");
    let mut lines = BufReader::new(guest.machine.follow(&script).await).lines();
    let mut told = from;
    let all = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            told = line.parse().unwrap();
        }
    };
    let enough = async {
        pace::sleep(time).await;
    };
    tokio::select! {
        () = all => panic!("the writer ended at {told}"),
        () = enough => {}
    }
    told
}

async fn all_there(guest: &Guest, disk: &Disk, told: u64) {
    let each = format!("seq $i $((i + 2000)) | cmp - {}/$i || echo lost", staging(disk));
    let seen = guest.machine.shell(&format!("for i in $(seq 1 {told}); do {each}; done")).await;
    let lost = seen.matches("lost\n").count();
    count("files read back", told);
    count("files lost", lost as u64);
    assert_eq!(lost, 0, "of {told}: {seen}");
}

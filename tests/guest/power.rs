//! The power goes while a program writes: what it was told is on the disk, is there.

use std::ops::Range;
use std::time::Duration;

use cinder_csi::pace;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::disk::{Bus, Disk, Fault, MIB};
use crate::driver::Guest;
use crate::extent::all;
use crate::figures::count;
use crate::kubelet::staging;

const SIZE: u64 = 320 * MIB;
const KINDS: [&str; 3] = ["ext4", "xfs", "btrfs"];

/// A volume, and which of its files were synced since the power went last.
struct Written {
    fs: &'static str,
    disk: Disk,
    synced: Range<u64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_synced_outlives_a_power_cut() {
    let new = |fs| Written { fs, disk: Disk::with_cache(SIZE), synced: 1..1 };
    let mut volumes = KINDS.map(new);
    for _ in 0..if all() { 10 } else { 1 } {
        let mut guest = Guest::boot().await;
        staged_again(&guest, &volumes).await;
        let time = Duration::from_millis(fastrand::u64(2000..6000));
        println!("the power goes {time:?} after the first file was synced");
        let [one, two, three] = &volumes;
        let (one, two, three) =
            tokio::join!(write(&guest, one, time), write(&guest, two, time), write(&guest, three, time));
        guest.machine.cut_power();
        for (volume, told) in volumes.iter_mut().zip([one, two, three]) {
            volume.synced = volume.synced.end..told + 1;
        }
    }
    staged_again(&Guest::boot().await, &volumes).await;
    for Written { fs, synced, .. } in &volumes {
        println!("{fs}: {} files were synced", synced.end - 1);
        count("files synced before a power cut", (synced.end - 1) as usize);
    }
}

/// With all that was synced before.
async fn staged_again(guest: &Guest, volumes: &[Written]) {
    for Written { fs, disk, synced } in volumes {
        guest.machine.plug(disk, Bus::VirtioBlk, &Fault::none()).await;
        guest.staged(disk, fs).await;
        all_there(guest, disk, synced.clone()).await;
    }
}

/// File after file, each told when it's synced: the last one told by the time the power goes, which is so long after the
/// first. In a directory of their own: in one from which files had been removed Linux 6.1 once couldn't replay a log of btrfs
/// (EEXIST in `btrfs_replay_log`).
async fn write(guest: &Guest, volume: &Written, time: Duration) -> u64 {
    let first = volume.synced.end;
    let (at, from) = (directory(&volume.disk, first), first - 1);
    guest.machine.shell(&format!("mkdir {at} && sync")).await;
    let one = format!("seq $i $((i + 2000)) | dd of={at}/$i conv=fsync 2>/dev/null");
    let script = format!("i={from}\nwhile :; do i=$((i + 1)); {one} || exit; echo $i; done\n");
    let mut lines = BufReader::new(guest.machine.follow(&script).await).lines();
    let mut told: u64 = lines.next_line().await.unwrap().unwrap_or_default().parse().unwrap();
    assert!(told > from, "the first file after {from} is {told}");
    let all = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            told = line.parse().unwrap();
        }
    };
    tokio::select! {
        () = all => panic!("the writer ended at {told}"),
        () = pace::sleep(time) => {}
    }
    told
}

async fn all_there(guest: &Guest, disk: &Disk, synced: Range<u64>) {
    let at = directory(disk, synced.start);
    let each = format!("seq $i $((i + 2000)) | cmp - {at}/$i || echo lost");
    let seen = format!("for i in $(seq {} {}); do {each}; done", synced.start, synced.end - 1);
    let seen = guest.machine.shell(&seen).await;
    let lost = seen.matches("lost\n").count();
    count("files read back", (synced.end - synced.start) as usize);
    count("files lost", lost);
    assert_eq!(lost, 0, "of {synced:?}: {seen}");
}

/// Of the files from that one on.
fn directory(disk: &Disk, first: u64) -> String {
    format!("{}/from-{first}", staging(disk))
}

use std::sync::Arc;

use tokio::time::Instant;

use super::super::error::Condition;
use super::super::fake::Fake;
use super::*;
use crate::pace::{Deadline, within};

const VOLUME: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
const SHORT: &[u8] = b"0f9c0b2e-6d53-4b6a-9";
const LINK: &str = "/dev/disk/by-id/virtio-0f9c0b2e-6d53-4b6a-9";
const GIB: u64 = 1 << 30;

fn search(fake: &Fake) -> Search {
    let expected = Expected { size_bytes: Some(GIB), ..Expected::default() };
    Search { host: Arc::new(fake.clone()), settings: Settings::default(), volume: VOLUME.into(), expected }
}

async fn wait(fake: &Fake, seconds: u64) -> Result<Disk> {
    within(Deadline::after(Duration::from_secs(seconds)), search(fake).wait()).await
}

#[tokio::test(start_paused = true)]
async fn without_any_link_the_serial_finds_the_disk_on_every_bus() {
    let nvme = [SHORT, b"   \n"].concat();
    let scsi = [b"\x00\x80\x00\x24".as_slice(), VOLUME.as_bytes()].concat();
    let naa = format!("naa.{}\n", VOLUME.replace('-', ""));
    let buses: [(&str, &str, &[u8]); 4] = [
        ("vdb", "serial", SHORT),
        ("sdb", "device/vpd_pg80", &scsi),
        ("nvme1n1", "device/serial", &nvme),
        ("sdc", "device/wwid", naa.as_bytes()),
    ];
    for (name, file, bytes) in buses {
        let fake = Fake::default();
        fake.plug(name, 16, GIB, &[(file, bytes)]);
        let disk = wait(&fake, 1).await.unwrap();
        assert_eq!(disk.path, Path::new("/dev").join(name));
        assert!(disk.by_serial);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_link_to_another_disk_is_passed_over() {
    let fake = Fake::default();
    fake.plug("vdb", 16, GIB, &[("serial", b"another-volume-entir")]);
    fake.link(LINK, "/dev/vdb");
    let error = wait(&fake, 1).await.err().unwrap();
    assert_eq!(error.condition(), Condition::Precondition);
    assert!(error.to_string().contains("has the serial another-volume-entir"), "{error}");
    fake.plug("vdc", 32, GIB, &[("serial", SHORT)]);
    assert_eq!(wait(&fake, 1).await.unwrap().path, Path::new("/dev/vdc"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_plugged_in_later_is_seen_at_the_event() {
    let fake = Fake::default();
    let start = Instant::now();
    let plug = async {
        pace::sleep(Duration::from_millis(5432)).await;
        fake.plug("vdb", 16, GIB, &[("serial", SHORT)]);
    };
    let (found, ()) = tokio::join!(wait(&fake, 60), plug);
    assert_eq!(found.unwrap().path, Path::new("/dev/vdb"));
    assert_eq!(start.elapsed(), Duration::from_millis(5432));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_never_comes_is_unsettled_at_the_deadline_and_the_buses_were_asked_once() {
    let fake = Fake::default();
    fake.world().files.insert("/sys/class/scsi_host/host0/scan".into(), Vec::new());
    let start = Instant::now();
    let error = wait(&fake, 60).await.err().unwrap();
    assert_eq!(error.condition(), Condition::Unsettled);
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    let done = fake.world().done.clone();
    assert_eq!(done, ["write /sys/class/scsi_host/host0/scan", "write /sys/bus/pci/rescan"]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_tell_its_serial_is_not_taken_by_its_link() {
    let fake = Fake::default();
    fake.plug("vdb", 16, GIB, &[("serial", b"another-volume-entir")]);
    fake.link(LINK, "/dev/vdb");
    fake.world().hung.push("/sys/dev/block/252:16/serial".into());
    let error = wait(&fake, 1).await.err().unwrap();
    assert!(error.to_string().contains("doesn't tell its serial"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn two_disks_with_one_serial_are_refused() {
    let fake = Fake::default();
    fake.plug("vdb", 16, GIB, &[("serial", SHORT)]);
    fake.plug("vdc", 32, GIB, &[("serial", SHORT)]);
    let error = wait(&fake, 1).await.err().unwrap();
    assert_eq!(error.condition(), Condition::Precondition);
    assert!(error.to_string().contains("/dev/vdb and /dev/vdc"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_serial_outweighs_a_link_to_a_disk_without_one() {
    let fake = Fake::default();
    fake.plug("loop0", 7, GIB, &[]);
    fake.link(LINK, "/dev/loop0");
    assert_eq!(wait(&fake, 1).await.unwrap().path, Path::new("/dev/loop0"));
    fake.plug("vdb", 16, GIB, &[("serial", SHORT)]);
    assert_eq!(wait(&fake, 1).await.unwrap().path, Path::new("/dev/vdb"));
}

#[tokio::test(start_paused = true)]
async fn a_link_to_a_partition_is_no_disk() {
    let fake = Fake::default();
    fake.plug("vda1", 1, GIB, &[("partition", b"1")]);
    fake.link(LINK, "/dev/vda1");
    let error = wait(&fake, 1).await.err().unwrap();
    assert!(error.to_string().contains("is a partition"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_in_use_is_refused_where_its_serial_is_anothers() {
    let fake = Fake::default();
    fake.plug("vdb", 16, GIB, &[("serial", b"another")]);
    let number = Number { major: 252, minor: 16 };
    let error = in_use(&fake, VOLUME, number).await.err().unwrap();
    assert!(error.to_string().contains("another volume's"), "{error}");
    let gone = in_use(&fake, VOLUME, Number { major: 252, minor: 99 }).await.err().unwrap();
    assert!(gone.to_string().contains("has vanished"), "{gone}");
}

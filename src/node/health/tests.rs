use super::super::fake::{Fake, World};
use super::super::{Node, Settings};
use super::*;
use crate::pace::within;

const VOLUME: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
const MOUNT: &str = "1 2 252:16 / /staging rw - ext4 /dev/vdb rw";

type Row = (Disk, Vec<Seen>, Vec<Reason>);

#[test]
fn every_state_has_its_reason() {
    let mounted = |made_read_only, shut_down, errors| Seen::Mounted {
        made_read_only,
        shut_down,
        errors,
        unreplayed: false,
    };
    let unreplayed = Seen::Mounted { made_read_only: false, shut_down: false, errors: 0, unreplayed: true };
    let unreadable = Disk::Unreadable("/dev/vdb: EIO".into());
    let table: [Row; 13] = [
        (Disk::Fine, vec![mounted(false, false, 0)], vec![]),
        (Disk::Fine, vec![], vec![]),
        (Disk::Fine, vec![unreplayed], vec![Reason::JournalNotReplayed]),
        (Disk::Fine, vec![Seen::Raw, Seen::Nothing], vec![]),
        (Disk::Fine, vec![Seen::Nothing, Seen::Nothing], vec![Reason::NotMounted]),
        (Disk::Fine, vec![Seen::Other("x".into())], vec![Reason::WrongDevice]),
        (Disk::Fine, vec![mounted(true, false, 3)], vec![Reason::FileSystemReadOnly]),
        (Disk::Fine, vec![mounted(false, true, 3)], vec![Reason::FileSystemShutDown]),
        (Disk::Fine, vec![mounted(false, false, 1)], vec![Reason::FileSystemErrors]),
        (Disk::Gone, vec![mounted(false, false, 0)], vec![Reason::DeviceGone]),
        (
            unreadable.clone(),
            vec![mounted(true, false, 0)],
            vec![Reason::DeviceUnreadable, Reason::FileSystemReadOnly],
        ),
        (unreadable, vec![Seen::Raw], vec![Reason::DeviceUnreadable]),
        (Disk::Unknown, vec![Seen::Nothing], vec![Reason::NotMounted]),
    ];
    for (disk, seen, want) in table {
        let places: Vec<_> = seen.iter().map(|seen| (PathBuf::from("/p"), seen.clone())).collect();
        let got: Vec<_> = judge(&disk, &places).iter().map(|found| found.reason).collect();
        assert_eq!(got, want, "{disk:?} {seen:?}");
    }
    let staged_raw = [(PathBuf::from("/x/volumeDevices/staging/pv"), Seen::Nothing)];
    assert!(judge(&Disk::Fine, &staged_raw).is_empty());
}

#[test]
fn all_disks_silent_is_worse_than_some() {
    let names = |n: usize| vec!["/dev/vdb".to_owned(); n];
    assert_eq!(of_storage(&names(0), 0), None);
    assert_eq!(of_storage(&names(0), 3), None);
    assert_eq!(of_storage(&names(1), 3).unwrap().reason, Reason::SomeDisksUnreadable);
    assert_eq!(of_storage(&names(3), 3).unwrap().reason, Reason::DisksUnreadable);
}

fn staged() -> (Fake, Node) {
    let fake = Fake::default();
    fake.plug("vdb", 16, 1 << 30, &[("serial", b"0f9c0b2e-6d53-4b6a-9")]);
    fake.world().mounts.push(MOUNT.into());
    fake.world().files.insert("/dev/vdb".into(), vec![0; 4096]);
    fake.world().files.insert("/staging/file".into(), Vec::new());
    let node = Node::new(Arc::new(fake.clone()), Settings::default());
    (fake, node)
}

async fn reasons(node: &Node) -> Vec<Reason> {
    let ask = node.health(VOLUME, None, Some(Path::new("/staging")));
    let found = within(Deadline::after(Duration::from_secs(60)), ask).await.unwrap();
    found.iter().map(|found| found.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_is_told_in_time_and_again() {
    let (fake, node) = staged();
    assert!(reasons(&node).await.is_empty());
    fake.world().hung.push("/dev/vdb".into());
    for _ in 0..2 {
        let start = tokio::time::Instant::now();
        assert_eq!(reasons(&node).await, [Reason::DeviceNotResponding]);
        assert!(start.elapsed() <= PATIENCE + Duration::from_secs(1), "{:?}", start.elapsed());
    }
    let found = node.storage_health().await.unwrap().unwrap();
    assert_eq!(found.reason, Reason::DisksUnreadable);
}

#[tokio::test(start_paused = true)]
async fn two_callers_at_once_hear_the_same() {
    let (_fake, node) = staged();
    let (one, two) = tokio::join!(reasons(&node), reasons(&node));
    assert!(one.is_empty() && two.is_empty());
}

fn unplug(world: &mut World) {
    world.files.insert("/sys/dev/block/252:0/size".into(), Vec::new());
    world
        .files
        .retain(|path, _| !path.starts_with("/sys/dev/block/252:16") && !path.starts_with("/sys/block/vdb"));
    world.links.remove(Path::new("/sys/dev/block/252:16"));
    world.disks.remove(Path::new("/dev/vdb"));
    world.files.remove(Path::new("/dev/vdb"));
}

#[tokio::test(start_paused = true)]
async fn errors_that_ext4_counted_and_a_disk_that_left_are_seen() {
    let (fake, node) = staged();
    fake.world().files.insert("/sys/fs/ext4/vdb/errors_count".into(), b"2\n".to_vec());
    assert_eq!(reasons(&node).await, [Reason::FileSystemErrors]);
    unplug(&mut fake.world());
    assert!(reasons(&node).await.contains(&Reason::DeviceGone));
}

/// mountinfo has no number of a btrfs' disk, and its name leads nowhere any more.
#[tokio::test(start_paused = true)]
async fn a_btrfs_whose_disk_left_is_told() {
    let (fake, node) = staged();
    fake.world().mounts = vec!["1 2 0:44 / /staging rw - btrfs /dev/vdb rw".into()];
    assert!(reasons(&node).await.is_empty());
    unplug(&mut fake.world());
    assert_eq!(reasons(&node).await, [Reason::DeviceGone]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_came_back_under_another_name_is_not_the_one_that_is_mounted() {
    let (fake, node) = staged();
    unplug(&mut fake.world());
    fake.plug("vdc", 32, 1 << 30, &[("serial", b"0f9c0b2e-6d53-4b6a-9")]);
    fake.world().files.insert("/dev/vdc".into(), vec![0; 4096]);
    assert_eq!(reasons(&node).await, [Reason::DeviceGone]);
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_which_nothing_is_known_is_not_found() {
    let (_fake, node) = staged();
    let other = "1f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
    assert_eq!(node.health(other, None, None).await.unwrap_err().condition(), Condition::NotFound);
    assert!(node.health(VOLUME, None, None).await.unwrap().is_empty());
}

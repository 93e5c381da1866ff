use super::super::fake::Fake;
use super::super::host::{FileKind, Hold, Number, Stat};
use super::super::mounts::Mounts;
use super::*;

fn request(format: FormatPolicy) -> Stage {
    Stage {
        volume: "v".into(),
        staging: "/s".into(),
        access: Access::Mount { fs: FsType::Ext4, flags: Vec::new() },
        expected: Expected::default(),
        format,
        mkfs_options: Vec::new(),
        read_only: false,
        untouched: false,
        own_uuid: false,
        resize: false,
    }
}

fn staging<'a>(host: &'a Fake, disk: &'a Disk, request: &'a Stage, read_only: bool) -> Staging<'a> {
    let flags = Flags { read_only, ..Flags::default() };
    Staging { host, disk, request, fs: FsType::Ext4, flags, data: String::new() }
}

fn disk(by_serial: bool) -> Disk {
    let number = Number { major: 252, minor: 16 };
    let hold = Hold::new(Stat { kind: FileKind::BlockDevice(number) }, ());
    Disk::held("/dev/vdb".into(), number, 1 << 30, by_serial, hold)
}

#[test]
fn only_an_empty_disk_is_formatted_and_only_where_it_may_be() {
    use FormatPolicy::{Allowed, Never};
    let found = |fs: &str| Probe::Found(fs.into());
    let table = [
        (Probe::Empty, false, Allowed, Some(Plan::Format { again: false })),
        (Probe::Unfinished, false, Allowed, Some(Plan::Format { again: true })),
        (Probe::Empty, false, Never, None),
        (Probe::Unfinished, false, Never, None),
        (Probe::Empty, true, Allowed, None),
        (Probe::Unfinished, true, Allowed, None),
        (found("ext4"), false, Allowed, Some(Plan::Use)),
        (found("ext4"), true, Never, Some(Plan::Use)),
        (found("xfs"), false, Allowed, None),
        (found("ext3"), false, Allowed, Some(Plan::Use)),
        (found("ext2"), true, Never, Some(Plan::Use)),
        (found("vfat"), true, Allowed, None),
        (Probe::Foreign("swap".into()), false, Allowed, None),
        (Probe::Foreign("swap".into()), true, Never, None),
    ];
    let (fake, disk) = (Fake::default(), disk(true));
    for (probe, read_only, format, want) in table {
        let got = staging(&fake, &disk, &request(format), read_only).plan(&probe);
        match (got, want) {
            (Ok(plan), want) => assert_eq!(Some(plan), want, "{probe:?}"),
            (Err(error), want) => {
                assert_eq!(want, None, "{probe:?}");
                assert_eq!(error.condition(), Condition::Precondition);
                assert!(error.to_string().contains("nothing was written"), "{error}");
            }
        }
    }
}

#[test]
fn a_staging_path_is_free_ours_or_refused() {
    let line =
        |root: &str, options: &str, fs: &str| format!("1 2 252:16 {root} /s {options} - {fs} /dev/vdb rw\n");
    let table = [
        (line("/", "rw", "ext4"), true, false, Ok(true)),
        (line("/", "ro", "ext4"), true, true, Ok(true)),
        (line("/", "rw", "ext4"), true, true, Err(Condition::Exists)),
        (line("/", "ro", "ext4"), true, false, Err(Condition::Exists)),
        (line("/", "rw", "xfs"), true, false, Err(Condition::Exists)),
        (line("/", "rw", "ext4"), false, false, Err(Condition::Precondition)),
        (line("/part", "rw", "ext4"), true, false, Err(Condition::Precondition)),
        (String::new(), false, false, Ok(false)),
    ];
    let (fake, disk, request) = (Fake::default(), disk(true), request(FormatPolicy::Allowed));
    for (text, is_this_disk, read_only, want) in table {
        let mounts = Mounts::parse(text.as_bytes()).unwrap();
        let staging = staging(&fake, &disk, &request, read_only);
        let got = staging.is_staged(mounts.at(Path::new("/s")), is_this_disk);
        let got = got.map_err(|error| error.condition());
        assert_eq!(got, want, "{text}");
    }
}

#[test]
fn a_disk_without_serial_that_is_in_use_may_be_any_disk() {
    let root = [PathBuf::from("/")];
    assert!(refuse_in_use_without_serial(&disk(false), &root).is_err());
    refuse_in_use_without_serial(&disk(true), &root).unwrap();
    refuse_in_use_without_serial(&disk(false), &[]).unwrap();
}

#[test]
fn a_disk_that_is_in_use_is_not_formatted_however_empty_it_is() {
    let error = refuse_in_use(&disk(true), &[PathBuf::from("/pods/raw")]).unwrap_err();
    assert!(error.to_string().contains("in use already at /pods/raw"), "{error}");
    refuse_in_use(&disk(true), &[]).unwrap();
}

#[tokio::test]
async fn a_staged_disk_that_was_pulled_out_makes_room_for_its_successor() {
    let fake = Fake::default();
    fake.world().mounts.push("1 2 252:16 / /staging rw - ext4 /dev/vdb rw".into());
    fake.world().busy.push("/staging".into());
    let place = without_dead_mount(&fake, Path::new("/staging")).await.unwrap();
    assert!(place.mount().is_none());
    assert_eq!(fake.world().done, ["unmount /staging lazily"]);
}

#[tokio::test]
async fn a_staged_disk_that_was_pulled_out_is_no_directory_any_more() {
    let fake = Fake::default();
    fake.world().mounts.push("1 2 252:32 / /staging rw - xfs /dev/vdc rw".into());
    fake.world().hung.push("/staging".into());
    let request = Stage { staging: "/staging".into(), ..request(FormatPolicy::Allowed) };
    let error = staging(&fake, &disk(true), &request, false).run().await.unwrap_err();
    assert!(error.to_string().contains("run blkid"), "{error}");
    assert_eq!(fake.world().done[0], "unmount /staging");
}

#[tokio::test]
async fn a_staged_file_system_that_has_shut_down_is_not_staged() {
    let fake = Fake::default();
    fake.plug("vdb", 16, 1 << 30, &[]);
    fake.world().mounts.push("1 2 252:16 / /staging rw - ext4 /dev/vdb rw".into());
    fake.world().hung.push("/staging".into());
    let request = Stage { staging: "/staging".into(), ..request(FormatPolicy::Allowed) };
    let error = staging(&fake, &disk(true), &request, false).run().await.unwrap_err();
    assert!(
        error.to_string().contains("has shut down after an error; see this node's kernel log"),
        "{error}"
    );
    assert!(fake.world().done.is_empty());
}

#[tokio::test]
async fn a_staged_disk_that_is_there_stays() {
    let fake = Fake::default();
    fake.plug("vdb", 16, 1 << 30, &[]);
    fake.world().mounts.push("1 2 252:16 / /staging rw - ext4 /dev/vdb rw".into());
    assert!(without_dead_mount(&fake, Path::new("/staging")).await.unwrap().mount().is_some());
    assert!(fake.world().done.is_empty());
}

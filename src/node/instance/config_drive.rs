//! The config drive: a small disk with the label `config-2`.
//! <https://docs.openstack.org/nova/latest/user/metadata.html#config-drives>

use std::path::{Path, PathBuf};

use super::super::host::{FileKind, Flags, Host, MountCall, MountKind};
use super::super::mounts::Mounts;
use super::iso9660;

const LABEL: &str = "config-2";

/// What a disk turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Iso9660,
    Vfat,
}

/// A config drive is at most this large (64 MiB for vfat), and no Cinder volume is this small: who writes `config-2` onto a
/// volume doesn't thereby name the server. A partition of a volume may be as small: a config drive is a whole disk.
const LARGEST: u64 = 512 << 20;

/// One file of the config drive.
pub async fn read(host: &dyn Host, path: &str) -> Result<Vec<u8>, String> {
    let mut seen = Vec::new();
    for disk in candidates(host).await {
        match format(host, &disk).await {
            Some(Format::Iso9660) => match iso9660::read(host, &disk, path).await {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => seen.push(format!("{}: {reason}", disk.display())),
            },
            Some(Format::Vfat) => match read_mounted(host, &disk, path).await {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => seen.push(format!("{}: {reason}", disk.display())),
            },
            None => {}
        }
    }
    if seen.is_empty() { Err(format!("no disk has the label {LABEL}")) } else { Err(seen.join("; ")) }
}

/// The disk that udev links, or else every small disk.
async fn candidates(host: &dyn Host) -> Vec<PathBuf> {
    let by_label = Path::new("/dev/disk/by-label");
    for label in [LABEL, "CONFIG-2"] {
        match host.canonical(&by_label.join(label)).await {
            Ok(disk) if is_whole(host, &disk).await => return vec![disk],
            _ => {}
        }
    }
    let mut disks = Vec::new();
    for name in host.list(Path::new("/sys/block")).await.unwrap_or_default() {
        let size = host.read(&Path::new("/sys/block").join(&name).join("size")).await.unwrap_or_default();
        let sectors = String::from_utf8_lossy(&size).trim().parse::<u64>().unwrap_or_default();
        if (1..=LARGEST / 512).contains(&sectors) {
            disks.push(Path::new("/dev").join(name));
        }
    }
    disks
}

async fn is_whole(host: &dyn Host, disk: &Path) -> bool {
    let Ok(FileKind::BlockDevice(number)) = host.stat(disk).await.map(|stat| stat.kind) else { return false };
    let partition = format!("/sys/dev/block/{number}/partition");
    host.disk_size(disk).await.is_ok_and(|size| size <= LARGEST)
        && host.read(Path::new(&partition)).await.is_err()
}

/// The label lies in the volume descriptor of an ISO 9660 file system, and in the boot sector of a vfat (at one place for
/// FAT12 and FAT16, at another for FAT32).
async fn format(host: &dyn Host, disk: &Path) -> Option<Format> {
    if host.disk_size(disk).await.ok()? > LARGEST {
        return None;
    }
    if iso9660::label(host, disk).await.is_some_and(|label| label.eq_ignore_ascii_case(LABEL)) {
        return Some(Format::Iso9660);
    }
    let boot = host.read_disk(disk, 0, 4096).await.ok()?;
    let is_label =
        |at: usize| boot.get(at..at + LABEL.len()).is_some_and(|l| l.eq_ignore_ascii_case(LABEL.as_bytes()));
    (is_label(43) || is_label(71)).then_some(Format::Vfat)
}

/// vfat is read where it's mounted already, or mounted for a moment, read-only.
async fn read_mounted(host: &dyn Host, disk: &Path, path: &str) -> Result<Vec<u8>, String> {
    let text = host.mountinfo().await.map_err(|error| error.to_string())?;
    let mounts = Mounts::parse(&text).ok_or("mountinfo isn't understood")?;
    if let Some(mount) = mounts.iter().find(|mount| mount.source == disk && mount.root == Path::new("/")) {
        return host.read(&mount.point.join(path)).await.map_err(|error| error.to_string());
    }
    let point = PathBuf::from(format!("/run/cinder-csi-config-drive-{}", std::process::id()));
    host.make_directory(&point).await.map_err(|error| format!("{}: {error}", point.display()))?;
    let kind = MountKind::New { fs: "vfat", data: String::new() };
    let flags = Flags { read_only: true, no_suid: true, no_dev: true, no_exec: true, ..Flags::default() };
    let call = MountCall { source: disk.to_owned(), target: point.clone(), kind, flags };
    let found = match host.mount(call).await {
        Ok(()) => {
            let found = host.read(&point.join(path)).await.map_err(|error| error.to_string());
            host.unmount(&point, true).await.map_err(|error| format!("can't unmount it: {error}"))?;
            found
        }
        Err(error) => Err(format!("can't mount it: {error}")),
    };
    let _ = host.remove(&point).await;
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    fn drive(fake: &Fake, name: &str, minor: u64, size: u64, sysfs: &[(&str, &[u8])]) {
        fake.plug(name, minor, size, sysfs);
        let mut boot = vec![0; 64 << 10];
        boot[43..51].copy_from_slice(b"config-2");
        let disk = Path::new("/dev").join(name);
        fake.world().mounts.push(format!("1 2 252:{minor} / /{name} rw - vfat {} ro", disk.display()));
        fake.world().files.insert(disk, boot);
        fake.world().files.insert(format!("/{name}/file").into(), name.into());
    }

    #[tokio::test]
    async fn a_partition_that_calls_itself_a_config_drive_names_no_server() {
        let fake = Fake::default();
        drive(&fake, "vdb1", 17, 64 << 20, &[("partition", b"1")]);
        fake.world().files.retain(|path, _| !path.starts_with("/sys/block/vdb1"));
        fake.link("/dev/disk/by-label/config-2", "/dev/vdb1");
        assert!(read(&fake, "file").await.is_err());
        drive(&fake, "vdc", 32, 64 << 20, &[]);
        assert_eq!(read(&fake, "file").await.unwrap(), b"vdc");
    }

    #[tokio::test]
    async fn a_disk_as_large_as_a_volume_is_no_config_drive() {
        let fake = Fake::default();
        drive(&fake, "vdb", 16, 1 << 30, &[]);
        fake.link("/dev/disk/by-label/config-2", "/dev/vdb");
        assert!(read(&fake, "file").await.is_err());
    }
}

//! What a disk says of itself in sysfs.

use std::io;
use std::path::{Path, PathBuf};

use super::super::host::Host;
use super::judge;

/// The names that the disk of `directory` (in sysfs) goes by. None for a loop device.
///
/// virtio-blk: `serial`, 20 characters. SCSI: VPD page 0x80, a header of 4 bytes and then the serial. NVMe: `serial` of
/// its controller, padded with blanks. VMware's SCSI disks have no serial, but an NAA id that is the volume's.
///
/// A disk that has a serial and can't tell it is not one without: that would be taken by its link.
pub async fn serials(host: &dyn Host, directory: &Path) -> io::Result<Vec<String>> {
    let mut serials = Vec::new();
    for (file, header) in [("serial", 0), ("device/vpd_pg80", 4), ("device/serial", 0)] {
        match host.read(&directory.join(file)).await {
            Ok(bytes) => serials.push(clean(bytes.get(header..).unwrap_or_default())),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if let Ok(bytes) = host.read(&directory.join("device/wwid")).await {
        serials.extend(clean(&bytes).strip_prefix("naa.").map(str::to_owned));
    }
    serials.retain(|serial| !serial.is_empty());
    Ok(serials)
}

/// No such attribute, or (EINVAL, of a SCSI disk) no such page.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput
    )
}

/// The disks whose own serial is that of `volume`: without udev there are no links at all.
pub async fn scan(host: &dyn Host, volume: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in host.list(Path::new("/sys/block")).await.unwrap_or_default() {
        let serials = serials(host, &Path::new("/sys/block").join(&name)).await.unwrap_or_default();
        if serials.iter().any(|serial| judge::identifies(serial, volume)) {
            found.push(Path::new("/dev").join(name));
        }
    }
    found
}

fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_no_part_of_a_serial() {
        assert_eq!(clean(b"0f9c0b2e \0\0\n"), "0f9c0b2e");
    }
}

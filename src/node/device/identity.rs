//! What a disk says of itself in sysfs.

use std::io;
use std::path::{Path, PathBuf};

use super::super::host::Host;
use super::judge;

/// Where a disk tells its serial, in its directory in sysfs, and how long a header comes before it.
///
/// virtio-blk: `serial`, 20 characters. SCSI: VPD page 0x80, a header of 4 bytes and then the serial. NVMe: `serial` of
/// its controller, padded with blanks.
const SERIALS: [(&str, usize); 3] = [("serial", 0), ("device/vpd_pg80", 4), ("device/serial", 0)];
/// VMware's SCSI disks have no serial, but an NAA id that is the volume's.
const WORLD_WIDE: &str = "device/wwid";

/// The names that the disk of `directory` (in sysfs) goes by. None for a loop device.
///
/// A disk that has a serial and can't tell it is not one without: that would be taken by its link.
pub async fn serials(host: &dyn Host, directory: &Path) -> io::Result<Vec<String>> {
    told(&host.read_each(files(directory).collect()).await?)
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    SERIALS.into_iter().map(|(file, _)| file).chain([WORLD_WIDE]).map(|file| directory.join(file))
}

/// From what was read of the files of one disk.
fn told(answers: &[io::Result<Vec<u8>>]) -> io::Result<Vec<String>> {
    let mut serials = Vec::new();
    for ((_, header), answer) in SERIALS.into_iter().zip(answers) {
        match answer {
            Ok(bytes) => serials.push(clean(bytes.get(header..).unwrap_or_default())),
            Err(error) if is_absent(error) => {}
            Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
    if let Some(Ok(bytes)) = answers.get(SERIALS.len()) {
        serials.extend(clean(bytes).strip_prefix("naa.").map(str::to_owned));
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
    let disks = Path::new("/sys/block");
    let names = host.list(disks).await.unwrap_or_default();
    let paths = names.iter().flat_map(|name| files(&disks.join(name)).collect::<Vec<_>>()).collect();
    let answers = host.read_each(paths).await.unwrap_or_default();
    let is_it = |answers: &[io::Result<Vec<u8>>]| {
        told(answers).unwrap_or_default().iter().any(|serial| judge::identifies(serial, volume))
    };
    let found = names.iter().zip(answers.chunks(SERIALS.len() + 1)).filter(|(_, answers)| is_it(answers));
    found.map(|(name, _)| Path::new("/dev").join(name)).collect()
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

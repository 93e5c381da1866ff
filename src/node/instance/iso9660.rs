//! Reads one file of an ISO 9660 image on a disk, without mounting it. ECMA-119:
//! <https://ecma-international.org/publications-and-standards/standards/ecma-119/>

use std::path::Path;

use super::super::host::Host;

const SECTOR: u64 = 2048;

/// The primary volume descriptor.
const DESCRIPTOR: u64 = 16 * SECTOR;

/// No metadata and no directory of a config drive is larger.
const LARGEST: u32 = 16 << 20;

/// Where a file or a directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    sector: u32,
    length: u32,
}

/// The volume's label, where the disk holds an ISO 9660 file system.
pub async fn label(host: &dyn Host, disk: &Path) -> Option<String> {
    let descriptor = host.read_disk(disk, DESCRIPTOR, SECTOR as usize).await.ok()?;
    is_primary(&descriptor).then(|| String::from_utf8_lossy(&descriptor[40..72]).trim().to_owned())
}

pub async fn read(host: &dyn Host, disk: &Path, path: &str) -> Result<Vec<u8>, String> {
    let descriptor =
        host.read_disk(disk, DESCRIPTOR, SECTOR as usize).await.map_err(|error| error.to_string())?;
    let root = is_primary(&descriptor).then(|| parse_record(&descriptor[156..190])).flatten();
    let mut found = root.ok_or("no ISO 9660 volume descriptor")?.0;
    for name in path.split('/') {
        let directory = read_extent(host, disk, found).await?;
        found = find(&directory, name).ok_or_else(|| format!("no {name} of {path}"))?;
    }
    read_extent(host, disk, found).await
}

async fn read_extent(host: &dyn Host, disk: &Path, extent: Extent) -> Result<Vec<u8>, String> {
    if extent.length > LARGEST {
        return Err(format!("a file of {} bytes", extent.length));
    }
    // Whole sectors: the disk is read past the page cache.
    let whole = u64::from(extent.length).next_multiple_of(SECTOR) as usize;
    let offset = u64::from(extent.sector) * SECTOR;
    let mut bytes = host.read_disk(disk, offset, whole).await.map_err(|error| error.to_string())?;
    bytes.truncate(extent.length as usize);
    Ok(bytes)
}

fn is_primary(descriptor: &[u8]) -> bool {
    descriptor.len() == SECTOR as usize && descriptor.starts_with(b"\x01CD001")
}

/// The entry `name` of a directory. No record crosses a sector: the rest of one is zeros.
fn find(directory: &[u8], name: &str) -> Option<Extent> {
    directory.chunks(SECTOR as usize).find_map(|mut sector| {
        while let Some(length) =
            sector.first().map(|length| usize::from(*length)).filter(|length| *length > 0)
        {
            let (extent, entry) = parse_record(sector.get(..length)?)?;
            if is_name(entry, name) {
                return Some(extent);
            }
            sector = &sector[length..];
        }
        None
    })
}

/// Names are in capitals with a version, unless the image was made to be lenient: `META_DATA.JSON;1`.
fn is_name(entry: &[u8], name: &str) -> bool {
    let plain = entry.split(|byte| *byte == b';').next().unwrap_or(entry);
    plain.strip_suffix(b".").unwrap_or(plain).eq_ignore_ascii_case(name.as_bytes())
}

/// ECMA-119, 9.1: numbers stand there in both byte orders, the little end first.
fn parse_record(record: &[u8]) -> Option<(Extent, &[u8])> {
    let number = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let name_length = usize::from(*record.get(32)?);
    let extent = Extent { sector: number(2)?, length: number(10)? };
    Some((extent, record.get(33..33 + name_length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &[u8], sector: u32, length: u32) -> Vec<u8> {
        let mut record = vec![0; 33 + name.len() + (name.len() + 1) % 2];
        record[0] = record.len() as u8;
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&length.to_le_bytes());
        record[32] = name.len() as u8;
        record[33..33 + name.len()].copy_from_slice(name);
        record
    }

    #[test]
    fn an_entry_is_found_by_name_in_any_spelling_and_any_sector() {
        let mut directory = [record(b"\0", 1, 2048), record(b"OTHER.TXT;1", 5, 6)].concat();
        directory.resize(2048, 0);
        directory.extend(record(b"META_DATA.JSON;1", 30, 700));
        directory.extend(record(b"openstack", 31, 2048));
        let want = Extent { sector: 30, length: 700 };
        assert_eq!(find(&directory, "meta_data.json"), Some(want));
        assert_eq!(find(&directory, "openstack").map(|found| found.sector), Some(31));
        assert_eq!(find(&directory, "meta_data"), None);
    }

    #[test]
    fn a_broken_directory_holds_nothing_and_never_panics() {
        let whole = record(b"META_DATA.JSON;1", 30, 700);
        for cut in 0..whole.len() {
            assert_eq!(find(&whole[..cut], "meta_data.json"), None, "{cut}");
        }
        for byte in 0..=255 {
            let mut broken = whole.clone();
            broken[0] = byte;
            let _ = find(&broken, "meta_data.json");
            let _ = find(&[byte; 300], "x");
        }
    }
}

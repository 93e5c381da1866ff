//! Whether a disk is a volume's, decided from facts alone.

use super::super::Expected;

/// What is known of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub partition: bool,
    pub serials: Vec<String>,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right {
        by_serial: bool,
    },
    /// Another disk, or not ready: the right one may still come.
    Wrong(String),
    /// Waiting doesn't make it right.
    Refused(String),
}

/// virtio-blk carries no more of a serial: QEMU cuts it without a word.
const SHORT: usize = 20;

/// What the header of an encrypted volume takes at most from the size that Cinder knows.
const HEADER: u64 = 32 << 20;

/// The names that udev gives to the disk of `volume`, by hypervisor and bus.
pub fn link_names(volume: &str) -> Vec<String> {
    let short = volume.get(..SHORT).unwrap_or(volume);
    let mut names = vec![
        format!("virtio-{short}"),
        format!("virtio-{volume}"),
        format!("scsi-0QEMU_QEMU_HARDDISK_{short}"),
        format!("scsi-0QEMU_QEMU_HARDDISK_{volume}"),
        format!("wwn-0x{}", volume.replace('-', "")),
    ];
    names.dedup();
    names
}

/// Whether a disk with this serial is the volume's.
pub fn identifies(serial: &str, volume: &str) -> bool {
    let plain = volume.replace('-', "");
    serial == volume || volume.get(..SHORT) == Some(serial) || serial.eq_ignore_ascii_case(&plain)
}

/// Whether a serial is one that some Cinder volume has: its id is a random UUID (version 4), whole, without dashes, or cut.
pub fn claims_to_be_a_volume(serial: &str) -> bool {
    let plain: String = serial.chars().filter(|c| *c != '-').collect();
    let dashes = |at: usize| serial.len() <= at || serial.as_bytes()[at] == b'-';
    let shaped = match serial.len() {
        36 | SHORT => [8, 13, 18, 23].into_iter().all(dashes),
        32 => plain.len() == 32,
        _ => false,
    };
    shaped && plain.bytes().all(|byte| byte.is_ascii_hexdigit()) && plain.as_bytes().get(12) == Some(&b'4')
}

pub fn judge(volume: &str, expected: &Expected, facts: &Facts) -> Verdict {
    if facts.partition {
        return Verdict::Wrong("is a partition, not a disk".into());
    }
    let by_serial = facts.serials.iter().any(|serial| identifies(serial, volume));
    if !facts.serials.is_empty() && !by_serial {
        return Verdict::Wrong(format!("has the serial {}: another disk", facts.serials.join(", ")));
    }
    if facts.size == 0 {
        return Verdict::Wrong("has no size yet".into());
    }
    match expected.size_bytes {
        None if by_serial => Verdict::Right { by_serial },
        None => Verdict::Refused("has no serial, and the attachment doesn't say how large it must be".into()),
        Some(size) if facts.size + tolerance(expected) >= size => Verdict::Right { by_serial },
        Some(size) => Verdict::Refused(format!("has {} bytes where the volume has {size}", facts.size)),
    }
}

fn tolerance(expected: &Expected) -> u64 {
    if expected.encrypted == Some(true) { HEADER } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
    const GIB: u64 = 1 << 30;

    fn disk(serials: &[&str], size: u64) -> Facts {
        Facts { partition: false, serials: serials.iter().map(ToString::to_string).collect(), size }
    }

    fn expected(size: Option<u64>, encrypted: bool) -> Expected {
        Expected { size_bytes: size, encrypted: Some(encrypted), device_path: None }
    }

    #[test]
    fn the_serial_decides_in_every_form_that_hypervisors_give_it() {
        for serial in
            [VOLUME, &VOLUME[..20], &VOLUME.replace('-', ""), &VOLUME.replace('-', "").to_uppercase()]
        {
            assert!(identifies(serial, VOLUME), "{serial}");
        }
        for serial in ["", "0f9c", &VOLUME[..19], "0f9c0b2e-6d53-4b6a-9", "1f9c0b2e-6d53-4b6a-9d"] {
            assert!(!identifies(serial, VOLUME) || serial == &VOLUME[..20], "{serial}");
        }
        assert!(identifies("short", "short"));
    }

    #[test]
    fn a_volume_is_told_from_other_disks_by_the_shape_of_its_serial() {
        for serial in [VOLUME, &VOLUME[..20], &VOLUME.replace('-', "")] {
            assert!(claims_to_be_a_volume(serial), "{serial}");
        }
        // VMware's own disks, a drive's, a UUID of version 1.
        for serial in [
            "",
            "6000c29f6c2e6d534b6a9d5e1c2f3a4b",
            "WD-WCC4N0123456",
            "0f9c0b2e-6d53-1b6a-9d5e-1c2f3a4b5c6d",
            "é",
        ] {
            assert!(!claims_to_be_a_volume(serial), "{serial}");
        }
    }

    #[test]
    fn a_disk_is_right_wrong_or_refused() {
        let right = |by_serial| Verdict::Right { by_serial };
        let table: [(&str, Expected, Facts, Result<Verdict, &str>); 12] = [
            ("serial and size", expected(Some(GIB), false), disk(&[VOLUME], GIB), Ok(right(true))),
            ("serial alone", expected(None, false), disk(&[&VOLUME[..20]], GIB), Ok(right(true))),
            (
                "one of two serials",
                expected(Some(GIB), false),
                disk(&["drive", VOLUME], GIB),
                Ok(right(true)),
            ),
            ("size alone", expected(Some(GIB), false), disk(&[], GIB), Ok(right(false))),
            ("expanded since", expected(Some(GIB), false), disk(&[VOLUME], 2 * GIB), Ok(right(true))),
            ("nothing known", expected(None, false), disk(&[], GIB), Err("no serial")),
            ("another serial", expected(Some(GIB), false), disk(&["other"], GIB), Err("another disk")),
            ("a byte short", expected(Some(GIB), false), disk(&[VOLUME], GIB - 1), Err("bytes where")),
            ("a header short", expected(Some(GIB), true), disk(&[VOLUME], GIB - HEADER), Ok(right(true))),
            (
                "more than a header short",
                expected(Some(GIB), true),
                disk(&[], GIB - HEADER - 1),
                Err("bytes where"),
            ),
            ("empty", expected(None, false), disk(&[VOLUME], 0), Err("no size yet")),
            ("a part", expected(None, false), Facts { partition: true, ..disk(&[], GIB) }, Err("partition")),
        ];
        for (name, expected, facts, want) in table {
            match (judge(VOLUME, &expected, &facts), want) {
                (Verdict::Wrong(reason) | Verdict::Refused(reason), Err(part)) => {
                    assert!(reason.contains(part), "{name}: {reason}");
                }
                (verdict, want) => assert_eq!(Ok(verdict), want, "{name}"),
            }
        }
    }

    #[test]
    fn waiting_helps_where_the_right_disk_may_still_come() {
        let wrong = judge(VOLUME, &expected(Some(GIB), false), &disk(&["other"], GIB));
        assert!(matches!(wrong, Verdict::Wrong(_)));
        let small = judge(VOLUME, &expected(Some(GIB), false), &disk(&[VOLUME], 1));
        assert!(matches!(small, Verdict::Refused(_)));
    }

    #[test]
    fn a_short_volume_id_has_links_too() {
        assert_eq!(link_names("short")[0], "virtio-short");
        assert_eq!(link_names(VOLUME)[0], "virtio-0f9c0b2e-6d53-4b6a-9");
        assert_eq!(link_names(VOLUME)[4], "wwn-0x0f9c0b2e6d534b6a9d5e1c2f3a4b5c6d");
    }
}

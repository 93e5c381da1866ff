//! Bytes become GiB, Cinder's unit.

use tonic::Status;

use crate::csi::proto::CapacityRange;
use crate::csi::status::{invalid, out_of_range};
use crate::volume::GIB;

/// The size for a caller that names none, as the existing driver has it.
const DEFAULT: u64 = 1;
/// Cinder keeps a size in a signed 32-bit integer of GiB (`MAX_INT` in cinder/db/constants.py).
const LARGEST: u64 = i32::MAX as u64;

/// Whole GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub required: u64,
    /// Nobody said what is required.
    pub is_free: bool,
    pub limit: Option<u64>,
}

impl Size {
    /// Whether a volume that has `gib` is within the limit: Cinder can't shrink one.
    pub fn admits(&self, gib: u64) -> Result<(), Status> {
        match self.limit {
            Some(limit) if gib > limit => Err(out_of_range(
                "capacity_range.limit_bytes",
                format!("the volume has {gib} GiB already, and the limit allows {limit}"),
            )),
            _ => Ok(()),
        }
    }
}

pub fn size(range: Option<CapacityRange>) -> Result<Size, Status> {
    let range = range.unwrap_or_default();
    let required = bytes("capacity_range.required_bytes", range.required_bytes)?;
    let limit = bytes("capacity_range.limit_bytes", range.limit_bytes)?;
    if let (Some(required), Some(limit)) = (required, limit)
        && limit < required
    {
        return Err(invalid(
            "capacity_range.limit_bytes",
            format!("{limit} is below required_bytes {required}"),
        ));
    }
    let limit = limit.map(|limit| limit / GIB);
    let is_free = required.is_none();
    let required = required.map_or(DEFAULT, |required| required.div_ceil(GIB));
    if required > LARGEST {
        return Err(out_of_range(
            "capacity_range.required_bytes",
            format!("{required} GiB is more than Cinder's {LARGEST} GiB"),
        ));
    }
    if let Some(limit) = limit.filter(|limit| *limit < required) {
        return Err(out_of_range(
            "capacity_range.limit_bytes",
            format!("Cinder has whole GiB: {required} are needed and the limit allows {limit}"),
        ));
    }
    Ok(Size { required, is_free, limit })
}

fn bytes(field: &str, value: i64) -> Result<Option<u64>, Status> {
    match u64::try_from(value) {
        Ok(0) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(invalid(field, format!("{value} is negative"))),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const G: i64 = 1 << 30;

    fn range(required_bytes: i64, limit_bytes: i64) -> Option<CapacityRange> {
        Some(CapacityRange { required_bytes, limit_bytes })
    }

    #[test]
    fn a_size_is_whole_gibibytes_within_the_limit() {
        let table = [
            (None, Ok((1, None))),
            (range(0, 0), Ok((1, None))),
            (range(G, 0), Ok((1, None))),
            (range(G + 1, 0), Ok((2, None))),
            (range(G, 5 * G), Ok((1, Some(5)))),
            (range(0, 5 * G), Ok((1, Some(5)))),
            (range(G + 1, 2 * G - 1), Err(Code::OutOfRange)),
            (range(0, G - 1), Err(Code::OutOfRange)),
            (range(2 * G, G), Err(Code::InvalidArgument)),
            (range(-1, 0), Err(Code::InvalidArgument)),
            (range(0, -1), Err(Code::InvalidArgument)),
            (range(i64::MAX, 0), Err(Code::OutOfRange)),
        ];
        for (given, expected) in table {
            let got = size(given).map(|size| (size.required, size.limit)).map_err(|status| status.code());
            assert_eq!(got, expected, "{given:?}");
        }
    }
}

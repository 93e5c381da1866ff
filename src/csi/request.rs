//! Requests become types: the only source of INVALID_ARGUMENT and OUT_OF_RANGE for what a caller wrote.

pub mod access;
pub mod capacity;
pub mod cloud;
pub mod create;
pub mod group;
pub mod metadata;
pub mod mutable;
pub mod node;
pub mod parameters;
pub mod size;
pub mod snapshot;

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use tonic::Status;

use super::status::{invalid, nothing_at};
use crate::csi::proto::CapacityRange;

/// The CSI specification's limit for a string without one of its own.
/// <https://github.com/container-storage-interface/spec/blob/master/spec.md#size-limits>
const LONGEST_TEXT: usize = 128;
/// A path's, by Linux: PATH_MAX.
const LONGEST_PATH: usize = 4096;
/// A StorageClass parameter of the existing driver's, which reaches the node in the volume's context under the same name.
const MKFS_OPTIONS: &str = "mkfs-options";
/// The existing driver's mark on volumes that were made from data, in their context: nobody formats them, and a file system
/// smaller than its volume is grown.
const MADE_FROM_DATA: &str = "cinder.csi.openstack.org/resizeRequired";

/// A required text within the specification's limits.
pub fn text<'a>(field: &str, value: &'a str) -> Result<&'a str, Status> {
    if value.is_empty() {
        return Err(invalid(field, "is required"));
    }
    if value.len() > LONGEST_TEXT {
        return Err(invalid(field, format!("has {} bytes, at most {LONGEST_TEXT} are allowed", value.len())));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "has a control character"));
    }
    Ok(value)
}

/// A required id; `None` where it has no form that a cloud gives, so that no cloud has to be asked.
pub fn id<T: FromStr>(field: &str, value: &str) -> Result<Option<T>, Status> {
    Ok(text(field, value)?.parse().ok())
}

/// A required path at which something is looked for: nothing is at a relative one, as csi-sanity has it.
pub fn place(field: &str, value: &str) -> Result<PathBuf, Status> {
    let path = plain_path(field, value)?;
    if !path.is_absolute() {
        return Err(nothing_at(field, value));
    }
    Ok(path)
}

/// A required absolute path that stays where it says.
pub fn path(field: &str, value: &str) -> Result<PathBuf, Status> {
    let path = plain_path(field, value)?;
    if !path.is_absolute() {
        return Err(invalid(field, "must be an absolute path"));
    }
    if path == Path::new("/") {
        return Err(invalid(field, "must not be the root directory"));
    }
    Ok(path)
}

fn plain_path(field: &str, value: &str) -> Result<PathBuf, Status> {
    if value.is_empty() {
        return Err(invalid(field, "is required"));
    }
    if value.len() > LONGEST_PATH {
        return Err(invalid(field, format!("has {} bytes, at most {LONGEST_PATH} are allowed", value.len())));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "has a control character"));
    }
    let path = Path::new(value);
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(invalid(field, "must not go through .."));
    }
    Ok(path.components().collect())
}

/// The page size of a list.
pub fn max_entries(value: i32) -> Result<Option<u32>, Status> {
    match u32::try_from(value) {
        Ok(0) => Ok(None),
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(invalid("max_entries", "must not be negative")),
    }
}

/// A capacity range that is required to be there.
pub fn capacity(range: Option<CapacityRange>) -> Result<CapacityRange, Status> {
    // https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#controllerexpandvolume
    let given = range.filter(|range| *range != CapacityRange::default());
    given.ok_or_else(|| invalid("capacity_range", "is required, with required_bytes or limit_bytes"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::volume::VolumeId;

    #[test]
    fn a_bad_text_names_its_field() {
        let long = "x".repeat(129);
        for bad in ["", &long, "a\nb", "a\0b"] {
            let status = text("volume_id", bad).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().starts_with("volume_id: "), "{}", status.message());
        }
        assert_eq!(text("name", &"x".repeat(128)).unwrap().len(), 128);
    }

    #[test]
    fn an_id_that_no_cloud_gives_is_none() {
        assert_eq!(id::<VolumeId>("volume_id", "reallyfakevolumeid").unwrap(), None);
        assert!(id::<VolumeId>("volume_id", "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f").unwrap().is_some());
    }

    #[test]
    fn a_path_is_absolute_and_stays() {
        for bad in ["", "relative/path", "/a/../b", "/", "//", "/a\nb"] {
            assert_eq!(path("target_path", bad).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
        }
        assert_eq!(path("target_path", "/a/./b/").unwrap(), PathBuf::from("/a/b"));
        assert_eq!(place("volume_path", "some/path").unwrap_err().code(), Code::NotFound);
        assert_eq!(place("volume_path", "a/../b").unwrap_err().code(), Code::InvalidArgument);
    }
}

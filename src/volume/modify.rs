//! A volume changes its type and its metadata.

use std::collections::BTreeMap;

use crate::openstack::Migration;

/// What a VolumeAttributesClass asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By name or by id.
    pub volume_type: Option<String>,
    pub migration: Migration,
    /// Merged into what is there.
    pub metadata: BTreeMap<String, String>,
}

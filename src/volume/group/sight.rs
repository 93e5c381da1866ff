//! What there is of one name.

use crate::openstack::{Cinder, Group, GroupSnapshot, Result};

/// What one look showed of the name.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub groups: Vec<Group>,
    pub cuts: Vec<GroupSnapshot>,
}

impl Sight {
    pub async fn of(cinder: &Cinder, name: &str) -> Result<Self> {
        // The cuts last: who sees none sees no group that has been emptied after one.
        let groups = cinder.list_groups_named(name).await?;
        let cuts = cinder.list_group_snapshots_named(name).await?;
        Ok(Self { groups, cuts })
    }
}

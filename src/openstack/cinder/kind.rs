//! Volume types.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#volume-types-types>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{Kind, Result};
use super::{Cinder, get};

/// A volume type as a tenant sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VolumeType {
    pub id: String,
    pub name: String,
    /// Of them, tenants see those of `USER_VISIBLE_EXTRA_SPECS` (`cinder/api/extensions.py`, `multiattach` is one), and
    /// none at all before Xena.
    pub extra_specs: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct One {
    volume_type: VolumeType,
}

impl VolumeType {
    /// Whether several servers can have a volume of it; `None` where that can't be seen.
    pub fn is_multiattach(&self) -> Option<bool> {
        let value = self.extra_specs.as_ref()?.get("multiattach").map_or("", String::as_str);
        let words: Vec<_> = value.split_whitespace().map(str::to_lowercase).collect();
        Some(words == ["<is>", "true"])
    }
}

impl Cinder {
    /// GET /types, all pages.
    pub async fn list_volume_types(&self) -> Result<Vec<VolumeType>> {
        self.all(get("list the volume types", &["types"])).await
    }

    /// GET /types/default, with a 404 as `None`.
    pub async fn find_default_volume_type(&self) -> Result<Option<VolumeType>> {
        match self.call(get("show the default volume type", &["types", "default"])).await {
            Ok(answer) => Ok(Some(answer.json::<One>()?.volume_type)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiattach_type_says_so_in_its_extra_specs() {
        for (specs, expected) in [
            (Some(vec![("multiattach", "<is> True")]), Some(true)),
            (Some(vec![("multiattach", "<is> False")]), Some(false)),
            (Some(vec![("volume_backend_name", "ceph")]), Some(false)),
            (None, None),
        ] {
            let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            let extra_specs = specs.map(|specs| specs.into_iter().map(owned).collect());
            let kind = VolumeType { id: "t".to_owned(), name: "fast".to_owned(), extra_specs };
            assert_eq!(kind.is_multiattach(), expected, "{kind:?}");
        }
    }
}

//! Volume types, as a tenant sees them.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#volume-types-types>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::super::{Kind, Result, VolumeId};
use super::volume::or_default;
use super::{Cinder, get, post};

/// A volume type that the project may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VolumeType {
    pub id: String,
    pub name: String,
    /// The ones that a tenant may read: `multiattach`, `replication_enabled` and `RESKEY:availability_zones`
    /// (`USER_VISIBLE_EXTRA_SPECS` of <https://opendev.org/openstack/cinder/src/branch/master/cinder/policies/type_extra_specs.py>).
    /// A cloud may hide even those.
    #[serde(default, deserialize_with = "or_default")]
    pub extra_specs: BTreeMap<String, String>,
}

/// Whether a retype may copy the volume to another backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migration {
    #[default]
    Never,
    OnDemand,
}

impl VolumeType {
    /// Cinder takes a type by its name or its id.
    pub fn is(&self, name_or_id: &str) -> bool {
        self.name == name_or_id || self.id == name_or_id
    }

    /// Volumes of it may be attached to several servers.
    pub fn is_multiattach(&self) -> bool {
        self.extra_specs.get("multiattach").is_some_and(|value| is_true(value))
    }

    /// The zones that volumes of it must be in; `None` where it says nothing.
    /// <https://docs.openstack.org/cinder/latest/admin/availability-zone-type.html>
    pub fn zones(&self) -> Option<Vec<&str>> {
        let zones = self.extra_specs.get("RESKEY:availability_zones")?;
        Some(zones.split(',').map(str::trim).filter(|zone| !zone.is_empty()).collect())
    }
}

/// `<is> True`, and nothing else, to Cinder: <https://docs.openstack.org/cinder/latest/admin/volume-multiattach.html>.
fn is_true(value: &str) -> bool {
    value.strip_prefix("<is>").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

#[derive(Deserialize)]
struct One {
    volume_type: VolumeType,
}

impl Cinder {
    /// GET /types, all pages: the public ones and those that the project was given.
    pub async fn list_volume_types(&self) -> Result<Vec<VolumeType>> {
        self.all(get("list the volume types", &["types"])).await
    }

    /// The type that has this name, or else this id, as Cinder itself looks one up. `None`: the project has no such type.
    pub async fn find_volume_type(&self, name_or_id: &str) -> Result<Option<VolumeType>> {
        let types = self.list_volume_types().await?;
        let named = types.iter().find(|kind| kind.name == name_or_id);
        Ok(named.or_else(|| types.iter().find(|kind| kind.id == name_or_id)).cloned())
    }

    /// GET /types/default: what a volume gets that names none. `None` where the cloud has no default.
    pub async fn find_default_volume_type(&self) -> Result<Option<VolumeType>> {
        let request = get("show the default volume type", &["types", "default"]);
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer.json::<One>()?.volume_type)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// POST /volumes/ID/action os-retype. The answer comes before the change.
    pub async fn retype_volume(&self, id: VolumeId, to: &str, migration: Migration) -> Result<()> {
        let policy = match migration {
            Migration::Never => "never",
            Migration::OnDemand => "on-demand",
        };
        let request = post("retype the volume", &["volumes", &id.to_string(), "action"])
            .json(&json!({ "os-retype": { "new_type": to, "migration_policy": policy } }));
        self.call(request).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::openstack::recorded::{Recorded, Reply, VOLUME_ID};

    const TYPES: &str = "GET /volume/v3/p/types";

    /// Recorded from Cinder 29 at 3.71, as a member sees it.
    fn types() -> Value {
        json!({"volume_types": [
            {"id": "b40b7e59-3c35-4bc9-939e-d4876aeaaf47", "name": "lab", "is_public": true, "description": null,
             "extra_specs": {}, "os-volume-type-access:is_public": true},
            {"id": "2d7665b5-2232-4a73-93d2-7d6c3b5ca6d9", "name": "lab-multiattach", "is_public": true,
             "description": null, "extra_specs": {"multiattach": "<is> True"}}
        ]})
    }

    #[tokio::test(start_paused = true)]
    async fn a_type_is_found_by_its_name_and_by_its_id() {
        let cloud = Recorded::default();
        cloud.on(TYPES, [Reply::json(200, types())]);
        let cinder = cloud.cloud().cinder;
        let shared = cinder.find_volume_type("lab-multiattach").await.unwrap().unwrap();
        assert!(shared.is_multiattach() && shared.is("lab-multiattach") && shared.is(&shared.id));
        assert_eq!(cinder.find_volume_type(&shared.id).await.unwrap(), Some(shared));
        assert!(!cinder.find_volume_type("lab").await.unwrap().unwrap().is_multiattach());
        assert_eq!(cinder.find_volume_type("nobody's").await.unwrap(), None);
    }

    #[test]
    fn extra_specs_mean_what_cinder_takes_them_for() {
        let of = |key: &str, value: &str| VolumeType {
            id: String::new(),
            name: String::new(),
            extra_specs: [(key.to_owned(), value.to_owned())].into(),
        };
        for (value, means) in
            [("<is> True", true), ("<is>true", true), ("<is> False", false), ("True", false), ("", false)]
        {
            assert_eq!(of("multiattach", value).is_multiattach(), means, "{value}");
        }
        assert_eq!(of("RESKEY:availability_zones", "az1, az2").zones(), Some(vec!["az1", "az2"]));
        assert_eq!(of("multiattach", "<is> True").zones(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retype_says_whether_it_may_migrate() {
        let call = format!("POST /volume/v3/p/volumes/{VOLUME_ID}/action");
        let cloud = Recorded::default();
        cloud.on(&call, [Reply::new(202, "")]);
        let cinder = cloud.cloud().cinder;
        cinder.retype_volume(VOLUME_ID.parse().unwrap(), "fast", Migration::Never).await.unwrap();
        cinder.retype_volume(VOLUME_ID.parse().unwrap(), "fast", Migration::OnDemand).await.unwrap();
        let sent: Vec<Value> =
            cloud.seen(&call).iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect();
        let body = |policy: &str| json!({"os-retype": {"new_type": "fast", "migration_policy": policy}});
        assert_eq!(sent, [body("never"), body("on-demand")]);
    }
}

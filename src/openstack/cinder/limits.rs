//! What the project may have, and what it has: quotas and volume types, kept for some seconds.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#limits-limits>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join3;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::super::flight::Age;
use super::super::{Kind, Result};
use super::{Cinder, VolumeType, get};
use crate::pace::{self, Deadline};

/// The external-provisioner asks for each StorageClass and segment, every minute and right after one another.
const KEPT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);

/// One resource of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// `None`: as much as there is.
    pub limit: Option<u64>,
    /// With what is reserved for requests under way.
    pub used: u64,
}

/// A project's quotas for volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    pub volumes: Quota,
    /// GiB.
    pub gigabytes: Quota,
    /// GiB; `None` where there is none, or a tenant may not read it.
    pub largest_volume: Option<u64>,
    /// `volumes_TYPE` and `gigabytes_TYPE`; empty where a tenant may not read them.
    pub of_types: BTreeMap<String, Quota>,
}

/// What GetCapacity is answered from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supply {
    known: Arc<Known>,
    when: Instant,
}

#[derive(Debug)]
struct Known {
    quotas: Quotas,
    types: Vec<VolumeType>,
    default: Option<VolumeType>,
}

#[derive(Deserialize)]
struct Limits {
    limits: Absolute,
}

#[derive(Deserialize)]
struct Absolute {
    absolute: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct QuotaSet {
    quota_set: BTreeMap<String, Entry>,
}

/// Among the quotas is the project's id.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Quota {
        limit: i64,
        in_use: i64,
        #[serde(default)]
        reserved: i64,
    },
    Other(IgnoredAny),
}

impl Quota {
    /// -1 is no limit.
    fn new(limit: i64, used: i64) -> Self {
        Self { limit: u64::try_from(limit).ok(), used: u64::try_from(used).unwrap_or(0) }
    }

    /// `None`: as much as there is. A limit may be below what is used.
    pub fn left(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }
}

impl Quotas {
    /// The quotas of one type, volumes and GiB; without a limit where a tenant may not read them.
    pub fn of_type(&self, name: &str) -> (Quota, Quota) {
        let of =
            |resource: &str| self.of_types.get(&format!("{resource}_{name}")).copied().unwrap_or_default();
        (of("volumes"), of("gigabytes"))
    }

    fn of_set(set: BTreeMap<String, Entry>) -> Self {
        let quotas = set.into_iter().filter_map(|(name, entry)| match entry {
            Entry::Quota { limit, in_use, reserved } => {
                Some((name, Quota::new(limit, in_use.saturating_add(reserved))))
            }
            Entry::Other(_) => None,
        });
        let mut quotas: BTreeMap<_, _> = quotas.collect();
        let mut take = |name| quotas.remove(name).unwrap_or_default();
        let (volumes, gigabytes, largest) =
            (take("volumes"), take("gigabytes"), take("per_volume_gigabytes"));
        Self { volumes, gigabytes, largest_volume: largest.limit, of_types: quotas }
    }

    fn of_limits(limits: &BTreeMap<String, i64>) -> Self {
        let quota = |limit, used| {
            Quota::new(limits.get(limit).copied().unwrap_or(-1), limits.get(used).copied().unwrap_or(0))
        };
        Self {
            volumes: quota("maxTotalVolumes", "totalVolumesUsed"),
            gigabytes: quota("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
            ..Self::default()
        }
    }
}

impl Supply {
    pub fn quotas(&self) -> &Quotas {
        &self.known.quotas
    }

    /// The type of this name or id, or the default one where none is named.
    pub fn volume_type(&self, name_or_id: Option<&str>) -> Option<&VolumeType> {
        match name_or_id {
            None => self.known.default.as_ref(),
            Some(name) => {
                let named = self.known.types.iter().find(|kind| kind.name == name);
                named.or_else(|| self.known.types.iter().find(|kind| kind.id == name))
            }
        }
    }

    #[cfg(test)]
    pub fn of(quotas: Quotas, types: Vec<VolumeType>, default: Option<VolumeType>) -> Self {
        Self { known: Arc::new(Known { quotas, types, default }), when: Instant::now() }
    }

    fn age(&self) -> Age {
        if self.when.elapsed() < KEPT { Age::Fresh } else { Age::Stale }
    }
}

impl Cinder {
    /// The quotas and types, asked for once, however many want them, and kept for some seconds.
    pub async fn supply(&self) -> Result<Supply> {
        self.supply.get(Supply::age, || self.clone().supplied()).await
    }

    pub(in crate::openstack) fn forget_supply(&self) {
        self.supply.forget(|_| true);
    }

    async fn supplied(self) -> Result<Supply> {
        let asked = try_join3(self.get_quotas(), self.list_volume_types(), self.find_default_volume_type());
        let (quotas, types, default) = pace::within(Deadline::after(PATIENCE), asked).await?;
        Ok(Supply { known: Arc::new(Known { quotas, types, default }), when: Instant::now() })
    }

    /// The quota set, or the limits where only an administrator may read that.
    pub async fn get_quotas(&self) -> Result<Quotas> {
        match self.get_quota_set().await {
            Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NotFound) => self.get_limits().await,
            quotas => quotas,
        }
    }

    /// GET /os-quota-sets/PROJECT?usage=true. By Cinder's default policy the project's reader may.
    async fn get_quota_set(&self) -> Result<Quotas> {
        let request = get("show the project's quotas", &["os-quota-sets"]).of_project().query("usage", true);
        Ok(Quotas::of_set(self.call(request).await?.json::<QuotaSet>()?.quota_set))
    }

    /// GET /limits
    async fn get_limits(&self) -> Result<Quotas> {
        let answer = self.call(get("show the project's limits", &["limits"])).await?;
        Ok(Quotas::of_limits(&answer.json::<Limits>()?.limits.absolute))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openstack::recorded::{Recorded, Reply};

    const SET: &str = "GET /volume/v3/p/os-quota-sets/p";
    const LIMITS: &str = "GET /volume/v3/p/limits";

    /// Recorded from Cinder 29.
    fn set() -> Reply {
        Reply::json(
            200,
            json!({"quota_set": {
                "volumes": {"limit": 1000, "in_use": 3, "reserved": 0},
                "per_volume_gigabytes": {"limit": -1, "in_use": 0, "reserved": 0},
                "gigabytes": {"limit": 20000, "in_use": 3, "reserved": 2},
                "volumes_lab": {"limit": -1, "in_use": 3, "reserved": 0},
                "gigabytes_lab": {"limit": 10, "in_use": 3, "reserved": 0},
                "id": "b01cbdb2d2da4c54a82bbd6210328b6e"
            }}),
        )
    }

    fn limits() -> Reply {
        let absolute = json!({
            "maxTotalVolumes": 1000, "maxTotalVolumeGigabytes": -1, "totalVolumesUsed": 3, "totalGigabytesUsed": 3
        });
        Reply::json(200, json!({"limits": {"rate": [], "absolute": absolute}}))
    }

    fn cloud(set: Reply) -> Recorded {
        let cloud = Recorded::default();
        cloud.on(SET, [set]);
        cloud.on(LIMITS, [limits()]);
        let kind = json!({"id": "1", "name": "lab", "extra_specs": {}});
        cloud.on("GET /volume/v3/p/types", [Reply::json(200, json!({"volume_types": [kind]}))]);
        cloud.on("GET /volume/v3/p/types/default", [Reply::json(200, json!({"volume_type": kind}))]);
        cloud
    }

    #[tokio::test(start_paused = true)]
    async fn the_quota_set_tells_more_than_the_limits() {
        let cloud = cloud(set());
        let supply = cloud.cloud().cinder.supply().await.unwrap();
        let quotas = supply.quotas();
        assert_eq!((quotas.volumes.left(), quotas.gigabytes.left()), (Some(997), Some(19995)));
        assert_eq!(quotas.largest_volume, None);
        let (volumes, gigabytes) = quotas.of_type("lab");
        assert_eq!((volumes.left(), gigabytes.left()), (None, Some(7)));
        assert_eq!(quotas.of_type("other"), Default::default());
        assert_eq!(cloud.seen(SET)[0].query, "usage=true");
        assert!(cloud.seen(LIMITS).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_of_the_largest_numbers_has_nothing_left() {
        let set = json!({"quota_set": {"gigabytes": {"limit": 9, "in_use": i64::MAX, "reserved": i64::MAX}}});
        let cloud = cloud(Reply::json(200, set));
        assert_eq!(cloud.cloud().cinder.supply().await.unwrap().quotas().gigabytes.left(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_that_may_not_read_quotas_has_its_limits() {
        let cloud = cloud(Reply::json(403, json!({"forbidden": {"message": "Policy doesn't allow it"}})));
        let supply = cloud.cloud().cinder.supply().await.unwrap();
        let quotas = supply.quotas();
        assert_eq!((quotas.volumes.left(), quotas.gigabytes.left()), (Some(997), None));
        assert_eq!(quotas.of_type("lab"), Default::default());
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_are_answered_from_one_look() {
        let cloud = cloud(set());
        let cinder = cloud.cloud().cinder;
        let asks = futures_util::future::join_all((0..20).map(|_| cinder.supply())).await;
        assert!(asks.iter().all(Result::is_ok));
        cinder.supply().await.unwrap();
        assert_eq!(cloud.seen(SET).len(), 1);
        pace::sleep(KEPT).await;
        cinder.supply().await.unwrap();
        assert_eq!(cloud.seen(SET).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_is_an_error_and_not_an_empty_cloud() {
        let cloud = cloud(Reply::new(500, ""));
        assert_eq!(cloud.cloud().cinder.supply().await.unwrap_err().kind, Kind::Unavailable);
    }
}

//! What kind of cloud is played.

use std::time::Duration;

use super::Quota;
use crate::sandbox::latency::Latency;

/// A microversion: major, minor.
pub type Microversion = (u32, u32);

/// What kind of cloud to play. The default is the cloud of `tests/openstack`, without its latency.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The same seed gives the same ids: clouds side by side need different ones.
    pub seed: u64,
    pub latency: Latency,
    pub zones: Vec<String>,
    /// Nova's zones, where their names aren't those of Cinder's.
    pub compute_zones: Option<Vec<String>>,
    /// Cinder's `allow_availability_zone_fallback`: the first zone takes the place of one that isn't there.
    pub zone_fallback: bool,
    /// Name and zone of each server.
    pub servers: Vec<(String, String)>,
    pub region: String,
    /// The newest microversion that Cinder knows: 3.59 has no `updated_at=gte:`.
    pub block_storage: Microversion,
    /// The newest microversion that Nova knows: 2.59 has no multiattach.
    pub compute: Microversion,
    /// How far the cloud's clock is ahead of ours, in seconds.
    pub clock_skew: i64,
    pub token_lifetime: Duration,
    /// Nova's `max_disk_devices_to_attach`, without the root disk.
    pub max_disks: usize,
    pub cross_az_attach: bool,
    /// Each volume type has a backend of its own: a retype moves the data, or fails where it may not.
    pub types_are_apart: bool,
    /// The zones that have a backup service; `None`: all have one. Where there is none, a backup fails after its 202.
    pub backup_zones: Option<Vec<String>>,
    /// Volume types beside those of `tests/openstack`: name, and whether its volumes may be on several servers.
    pub more_types: Vec<(String, bool)>,
    /// The group types that a tenant may use; empty where the administrator made none.
    pub group_types: Vec<String>,
    /// Those of them that are cut at one moment, where the cloud's policy shows a tenant which; `None`, Cinder's default:
    /// it shows none.
    pub consistent_group_types: Option<Vec<String>>,
    pub quota: Quota,
    /// What a proxy before the services lets through; `None`: everything.
    pub api_limit: Option<ApiLimit>,
}

/// How often a cloud may be asked before it answers 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimit {
    pub per_second: u32,
    /// How many more may come at once after a quiet time.
    pub burst: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let server = |name: &str, zone: &str| (name.to_owned(), zone.to_owned());
        Self {
            seed: 0,
            latency: Latency::zero(),
            zones: vec!["az1".to_owned(), "az2".to_owned()],
            compute_zones: None,
            zone_fallback: false,
            servers: vec![server("node-1", "az1"), server("node-2", "az1"), server("node-3", "az2")],
            region: "RegionOne".to_owned(),
            block_storage: (3, 71),
            compute: (2, 104),
            clock_skew: 0,
            token_lifetime: Duration::from_secs(4 * 3600),
            max_disks: 26,
            cross_az_attach: true,
            types_are_apart: false,
            backup_zones: None,
            more_types: Vec::new(),
            group_types: vec!["lab-consistent".to_owned()],
            consistent_group_types: Some(vec!["lab-consistent".to_owned()]),
            quota: Quota::default(),
            api_limit: None,
        }
    }
}

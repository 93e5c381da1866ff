//! The availability zones of a service: Cinder's answer has the shape of Nova's, from which it came.
//!
//! <https://docs.openstack.org/api-ref/compute/#availability-zones-os-availability-zone>

use serde::Deserialize;

use super::Result;
use super::answer::Answer;

#[derive(Deserialize)]
struct Zones {
    #[serde(rename = "availabilityZoneInfo")]
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
struct Zone {
    #[serde(rename = "zoneName")]
    name: String,
}

pub fn names<T: FromIterator<String>>(answer: &Answer) -> Result<T> {
    Ok(answer.json::<Zones>()?.zones.into_iter().map(|zone| zone.name).collect())
}

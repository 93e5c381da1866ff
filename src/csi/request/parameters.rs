//! The parameters of a StorageClass.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use tonic::Status;
use tracing::warn;

use super::{MKFS_OPTIONS, metadata};
use crate::csi::status::invalid;
use crate::csi::topology::ZoneMap;
use crate::text;
use crate::volume::Hints;

const TYPE: &str = "type";
const AVAILABILITY: &str = "availability";
const APPEND_METADATA: &str = "appendVolumeMetadata";
/// Read in `request/cloud.rs`.
const CLOUD: &str = "cloud";
const AZ_MAP: &str = "az-map";
/// Reaches the node in the volume's context under the same name.
pub const REGENERATE_UUID: &str = "regenerate-uuid";
const SAME_HOST: &str = "scheduler-hint-same-host";
const DIFFERENT_HOST: &str = "scheduler-hint-different-host";
const QUERY: &str = "scheduler-hint-query";
const LOCAL_TO_INSTANCE: &str = "scheduler-hint-local-to-instance";
const KNOWN: [&str; 11] = [
    TYPE,
    AVAILABILITY,
    MKFS_OPTIONS,
    APPEND_METADATA,
    CLOUD,
    AZ_MAP,
    REGENERATE_UUID,
    SAME_HOST,
    DIFFERENT_HOST,
    QUERY,
    LOCAL_TO_INSTANCE,
];
/// The sidecars' own: secrets, the file system's type, names of PVC and PV.
const SIDECARS: &str = "csi.storage.k8s.io/";
/// The claim that a volume is for.
pub const CLAIM: &str = "csi.storage.k8s.io/pvc/name";
pub const CLAIM_NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";
/// What the external-provisioner adds (`--extra-create-metadata`), kept as metadata of the volume.
const PROVISIONERS: [&str; 3] = [CLAIM, CLAIM_NAMESPACE, "csi.storage.k8s.io/pv/name"];

/// What a StorageClass says, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pub volume_type: Option<String>,
    pub availability: Option<String>,
    pub zone_map: ZoneMap,
    pub hints: Hints,
    pub metadata: BTreeMap<String, String>,
    /// What the node has to know.
    pub context: HashMap<String, String>,
}

/// `strict`: a parameter that nobody knows is an error.
pub fn parameters(given: &HashMap<String, String>, strict: bool) -> Result<Parameters, Status> {
    check_names("StorageClass", given, &KNOWN, strict)?;
    let value = |key: &str| given.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let hints = Hints {
        same_host: ids(SAME_HOST, value(SAME_HOST))?,
        different_host: ids(DIFFERENT_HOST, value(DIFFERENT_HOST))?,
        query: query(value(QUERY))?,
        local_to_instance: ids(LOCAL_TO_INSTANCE, value(LOCAL_TO_INSTANCE))?.pop(),
    };
    let mut context = HashMap::new();
    if let Some(options) = value(MKFS_OPTIONS) {
        mkfs_options(&field(MKFS_OPTIONS), options)?;
        context.insert(MKFS_OPTIONS.to_owned(), options.to_owned());
    }
    match value(REGENERATE_UUID) {
        None | Some("false") => {}
        Some("true") => _ = context.insert(REGENERATE_UUID.to_owned(), "true".to_owned()),
        Some(_) => return Err(invalid(&field(REGENERATE_UUID), "must be \"true\" or \"false\"")),
    }
    Ok(Parameters {
        volume_type: value(TYPE).map(str::to_owned),
        availability: value(AVAILABILITY).map(str::to_owned),
        zone_map: zone_map(given)?,
        hints,
        metadata: appended(given)?,
        context,
    })
}

/// A StorageClass's own map of zones.
pub fn zone_map(given: &HashMap<String, String>) -> Result<ZoneMap, Status> {
    let text = given.get(AZ_MAP).map(String::as_str).unwrap_or_default();
    let pairs = text::pairs(text).ok_or_else(|| {
        let why = "must be pairs of zones, of servers and of volumes: nova1=cinder1,nova2=cinder1";
        invalid(&field(AZ_MAP), why)
    })?;
    Ok(ZoneMap::new(pairs))
}

/// The existing driver ignores what it doesn't know, and its classes must carry over.
pub fn check_names(
    class: &'static str,
    given: &HashMap<String, String>,
    known: &[&str],
    strict: bool,
) -> Result<(), Status> {
    let is_known = |name: &str| known.contains(&name) || name.starts_with(SIDECARS);
    let mut unknown: Vec<_> = given.keys().filter(|name| !is_known(name)).collect();
    unknown.sort();
    for name in unknown {
        let hint = text::hint(name, known.iter().copied());
        if strict {
            return Err(invalid(&field(name), format!("is unknown{hint}")));
        }
        metrics::counter!("cinder_csi_unknown_parameters_total", "class" => class).increment(1);
        warn!("the {class}'s parameter {name:?} is unknown and ignored{hint}");
    }
    Ok(())
}

/// As the existing driver has it: commas part options, blanks their arguments. An option that names a device (an external
/// journal, a second disk of a btrfs) would have it overwritten, whoever's it is.
pub fn mkfs_options(field: &str, text: &str) -> Result<Vec<String>, Status> {
    let options: Vec<_> = text.split(',').flat_map(str::split_whitespace).map(str::to_owned).collect();
    match options.iter().find(|option| option.contains("/dev/")) {
        Some(option) => Err(invalid(field, format!("{option:?} names a device of the node"))),
        None => Ok(options),
    }
}

/// Cinder takes any text, and its scheduler then fails the volume.
fn query(text: Option<&str>) -> Result<Option<String>, Status> {
    if let Some(text) = text {
        serde_json::from_str::<serde_json::Value>(text).map_err(|error| {
            invalid(&field(QUERY), format!("must be JSON, as JsonFilter has it: {error}"))
        })?;
    }
    Ok(text.map(str::to_owned))
}

fn ids<T: FromStr>(name: &str, value: Option<&str>) -> Result<Vec<T>, Status> {
    let words = value.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    let ids: Result<Vec<T>, _> = words.map(str::parse).collect();
    let ids = ids.map_err(|_| invalid(&field(name), "has something that isn't a lower-case UUID"))?;
    if name == LOCAL_TO_INSTANCE && ids.len() > 1 {
        return Err(invalid(&field(name), "must be one server"));
    }
    Ok(ids)
}

fn appended(given: &HashMap<String, String>) -> Result<BTreeMap<String, String>, Status> {
    let field = field(APPEND_METADATA);
    let mut appended: BTreeMap<String, String> = match given.get(APPEND_METADATA).map(String::as_str) {
        None | Some("") => BTreeMap::new(),
        Some(json) => serde_json::from_str(json)
            .map_err(|error| invalid(&field, format!("must be a JSON object of strings: {error}")))?,
    };
    for (key, value) in &appended {
        metadata::check(&field, key, value)?;
    }
    for key in PROVISIONERS {
        if let Some(value) = given.get(key) {
            appended.insert(key.to_owned(), value.clone());
        }
    }
    Ok(appended)
}

fn field(name: &str) -> String {
    format!("parameters.{name}")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    fn given(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_known_is_read() {
        let given = given(&[
            ("type", "fast"),
            ("availability", ""),
            ("appendVolumeMetadata", r#"{"iops":"100"}"#),
            ("csi.storage.k8s.io/pvc/name", "data"),
            ("csi.storage.k8s.io/fstype", "xfs"),
            ("mkfs-options", "-E nodiscard"),
            ("regenerate-uuid", "true"),
            ("az-map", "nova1=cinder1, nova2=cinder1"),
            ("scheduler-hint-same-host", ID),
            ("scheduler-hint-local-to-instance", ID),
        ]);
        let parameters = parameters(&given, true).unwrap();
        assert_eq!((parameters.volume_type.as_deref(), parameters.availability), (Some("fast"), None));
        assert_eq!(parameters.metadata["iops"], "100");
        assert_eq!(parameters.metadata["csi.storage.k8s.io/pvc/name"], "data");
        assert_eq!(parameters.context["mkfs-options"], "-E nodiscard");
        assert_eq!(parameters.context["regenerate-uuid"], "true");
        assert_eq!(parameters.zone_map.of_server("nova2"), "cinder1");
        assert_eq!(parameters.hints.same_host, [ID.parse().unwrap()]);
        assert_eq!(parameters.hints.local_to_instance, Some(ID.parse().unwrap()));
    }

    #[test]
    fn a_bad_value_names_its_parameter() {
        for (name, value) in [
            ("appendVolumeMetadata", "[1]"),
            ("appendVolumeMetadata", r#"{"a":1}"#),
            ("appendVolumeMetadata", r#"{"cinder.csi.openstack.org/settled":"true"}"#),
            ("appendVolumeMetadata", r#"{"a=b":"x"}"#),
            ("az-map", "nova1"),
            ("az-map", "nova1=a,nova1=b"),
            ("regenerate-uuid", "yes"),
            ("mkfs-options", "-J device=/dev/vda"),
            ("scheduler-hint-query", "[bad"),
            ("scheduler-hint-same-host", "pvc-1"),
            ("scheduler-hint-different-host", &ID.to_uppercase()),
            ("scheduler-hint-local-to-instance", &format!("{ID},{ID}")),
        ] {
            let status = parameters(&given(&[(name, value)]), false).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{name}={value}");
            assert!(status.message().starts_with(&format!("parameters.{name}: ")), "{status}");
        }
    }

    #[test]
    fn mkfs_options_are_parted_by_commas_and_blanks() {
        let parsed = |text| mkfs_options("f", text);
        assert_eq!(
            parsed("-E nodiscard,-O ^metadata_csum").unwrap(),
            ["-E", "nodiscard", "-O", "^metadata_csum"]
        );
        assert!(parsed("").unwrap().is_empty());
        for second in ["/dev/vda", "-d single,/dev/vda", "-J device=/dev/vda", "-llogdev=/dev/vda"] {
            assert_eq!(parsed(second).unwrap_err().code(), Code::InvalidArgument, "{second}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_ignored_or_named_with_what_was_meant() {
        let misspelt = given(&[("availabilty", "az1")]);
        assert_eq!(parameters(&misspelt, false).unwrap(), Parameters::default());
        let status = parameters(&misspelt, true).unwrap_err();
        assert_eq!(status.message(), "parameters.availabilty: is unknown; did you mean \"availability\"?");
        let theirs = given(&[("csi.storage.k8s.io/provisioner-secret-name", "s")]);
        assert!(parameters(&theirs, true).is_ok());
    }
}

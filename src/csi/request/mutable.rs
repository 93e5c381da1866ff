//! The parameters of a VolumeAttributesClass: what of a volume may change.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::metadata;
use crate::csi::status::invalid;
use crate::text::hint;
use crate::volume::{Change, Migration};

const TYPE: &str = "type";
const MIGRATION: &str = "migration-policy";
/// `metadata.KEY`: one key of the volume's metadata.
const METADATA: &str = "metadata.";
/// What the external-resizer adds with `--extra-modify-metadata`, as the provisioner does at creation.
/// <https://github.com/kubernetes-csi/external-resizer/blob/master/pkg/modifycontroller/modify_volume.go>
const SIDECARS: &str = "csi.storage.k8s.io/";

/// The change that `mutable_parameters` ask for.
pub fn mutable(parameters: &HashMap<String, String>) -> Result<Change, Status> {
    let mut change = Change::default();
    // In order, so that of several mistakes the same one is named every time.
    for (key, value) in parameters.iter().collect::<BTreeMap<_, _>>() {
        match key.as_str() {
            TYPE if value.is_empty() => return Err(invalid(&field(TYPE), "is empty: name a volume type")),
            TYPE => change.volume_type = Some(value.clone()),
            MIGRATION => change.migration = migration(value)?,
            key if key.starts_with(SIDECARS) => {
                change.metadata.insert(key.to_owned(), value.clone());
            }
            key => {
                let name = metadata_key(key)?;
                metadata::check(&field(key), name, value)?;
                change.metadata.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(change)
}

fn field(key: &str) -> String {
    format!("mutable_parameters.{key}")
}

fn migration(value: &str) -> Result<Migration, Status> {
    match value {
        "never" => Ok(Migration::Never),
        "on-demand" => Ok(Migration::OnDemand),
        _ => Err(invalid(
            &field(MIGRATION),
            format!("{value:?} is neither \"never\" nor \"on-demand\", Cinder's migration policies"),
        )),
    }
}

fn metadata_key(parameter: &str) -> Result<&str, Status> {
    parameter.strip_prefix(METADATA).ok_or_else(|| {
        let hint = hint(parameter, [TYPE, MIGRATION]);
        let why = format!("isn't known: \"type\", \"migration-policy\" and \"metadata.KEY\" are{hint}");
        invalid(&field(parameter), why)
    })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn parsed(parameters: &[(&str, &str)]) -> Result<Change, Status> {
        let owned = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        mutable(&owned.collect())
    }

    #[test]
    fn a_class_becomes_a_change() {
        let change = parsed(&[
            ("type", "fast"),
            ("migration-policy", "on-demand"),
            ("metadata.iops-tier", "gold"),
            ("csi.storage.k8s.io/pvc/name", "data"),
        ]);
        let metadata = [("csi.storage.k8s.io/pvc/name", "data"), ("iops-tier", "gold")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let expected =
            Change { volume_type: Some("fast".to_owned()), migration: Migration::OnDemand, metadata };
        assert_eq!(change.unwrap(), expected);
        assert_eq!(parsed(&[("type", "fast")]).unwrap().migration, Migration::Never);
        assert_eq!(parsed(&[]).unwrap(), Change::default());
    }

    #[test]
    fn what_no_volume_can_become_is_named() {
        let long = "x".repeat(256);
        for (key, value, words) in [
            ("XXX_FakeKey", "XXX_FakeValue", "isn't known"),
            ("Type", "fast", "did you mean \"type\"?"),
            ("migration_policy", "never", "did you mean \"migration-policy\"?"),
            ("type", "", "is empty"),
            ("migration-policy", "always", "never"),
            ("metadata.", "x", "Cinder's keys"),
            ("metadata.a=b", "x", "Cinder's keys"),
            ("metadata.a", &long, "is longer"),
            ("metadata.cinder.csi.openstack.org/settled", "true", "the driver's own"),
        ] {
            let status = parsed(&[(key, value)]).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            let message = status.message();
            assert!(message.starts_with(&format!("mutable_parameters.{key}: ")), "{message}");
            assert!(message.contains(words), "{message}");
        }
    }
}

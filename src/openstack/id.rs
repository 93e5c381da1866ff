//! Ids as OpenStack has them: UUIDs. An id that is none can't reach the cloud.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use uuid::Uuid;

/// A text that isn't an id as OpenStack writes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it isn't a lower-case UUID with hyphens")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Takes the hyphenated form only: other spellings of one UUID would be other names for one lock.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
                if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(NotAnId) }
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id!(
    /// A Cinder volume.
    VolumeId
);
id!(
    /// A Nova server: a Kubernetes node.
    ServerId
);
id!(
    /// A Cinder snapshot.
    SnapshotId
);
id!(
    /// A Cinder backup.
    BackupId
);
id!(
    /// A Cinder group of volumes.
    GroupId
);
id!(
    /// A Cinder snapshot of a group.
    GroupSnapshotId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_lower_case_hyphenated_uuid() {
        let text = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
        assert_eq!(text.parse::<VolumeId>().unwrap().to_string(), text);
        for bad in ["", "vol", "6F1F0C66-4C3E-4B7E-9D51-0A1B2C3D4E5F", "6f1f0c664c3e4b7e9d510a1b2c3d4e5f"] {
            assert!(bad.parse::<VolumeId>().is_err(), "{bad}");
        }
    }
}

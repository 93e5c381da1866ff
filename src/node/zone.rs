//! The zone that Kubernetes was told first. A server can move to another one, and the labels of its node don't follow.
//!
//! The kubelet refuses another value than the label has ("detected topology value collision" in
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/csi/nodeinfomanager/nodeinfomanager.go>), so that the
//! driver isn't registered on the node.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::host::Host;
use super::instance::Identity;

/// Where the zone is kept, and whether it is told for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneMemory {
    /// In a directory that outlives the process; `None`: nothing is kept.
    pub file: Option<PathBuf>,
    /// `--pin-zone`
    pub pinned: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    server: String,
    zone: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Tell what the cloud says.
    Tell,
    /// As `Tell`, and keep it.
    Keep(Told),
    /// Nova gives every server a zone: that there is none is a question without an answer.
    Remember {
        zone: String,
    },
    Moved {
        from: String,
        to: String,
    },
}

impl ZoneMemory {
    /// As the cloud says, or with the zone that was told first.
    pub async fn settle(&self, host: &dyn Host, found: Identity) -> Identity {
        let Some(file) = &self.file else { return found };
        let told = match told(host, file).await {
            Ok(told) => told,
            Err(error) => {
                warn!(file = %file.display(), %error, "the zone that was told first can't be read");
                return found;
            }
        };
        match plan(told, &found) {
            Plan::Tell => found,
            Plan::Keep(told) => {
                let text = serde_json::to_vec(&told).unwrap_or_default();
                if let Err(error) = host.replace(file, &text).await {
                    warn!(file = %file.display(), %error, "the zone of this node can't be kept");
                }
                found
            }
            Plan::Remember { zone } => {
                warn!(%zone, "neither config drive nor metadata service tells the zone of this server: the one from before is told");
                Identity { zone: Some(zone), is_remembered: true, ..found }
            }
            Plan::Moved { from, to } => self.moved(file, &from, &to, found),
        }
    }

    fn moved(&self, file: &Path, from: &str, now: &str, found: Identity) -> Identity {
        let file = file.display();
        if self.pinned {
            warn!(
                "the server was in zone {from} when Kubernetes was told, and is in {now}: --pin-zone keeps {from}, so that its PVs stay \
                 usable here. New volumes are made in {from}, which Nova must allow this server to attach ([cinder]cross_az_attach). \
                 To go on with {now}, drain the node, delete {file} and the node's topology label, and restart this Pod"
            );
            return Identity { zone: Some(from.to_owned()), ..found };
        }
        warn!(
            "the server was in zone {from} when Kubernetes was told, and is in {now}: PVs of {from} can't be used on this node any more, and \
             the kubelet refuses the new zone while the node's topology label says {from}. Drain the node, delete {file} and that label, and \
             restart this Pod; or set --pin-zone to keep {from}"
        );
        found
    }
}

async fn told(host: &dyn Host, file: &Path) -> io::Result<Option<Told>> {
    match host.read(file).await {
        Ok(text) => {
            let told = serde_json::from_slice(&text).inspect_err(|error| {
                warn!(file = %file.display(), %error, "what was told first can't be understood, and is written anew");
            });
            Ok(told.ok())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn plan(told: Option<Told>, found: &Identity) -> Plan {
    match (told, &found.zone) {
        (Some(told), zone) if told.server == found.server => match zone {
            None => Plan::Remember { zone: told.zone },
            Some(zone) if *zone == told.zone => Plan::Tell,
            Some(zone) => Plan::Moved { from: told.zone, to: zone.clone() },
        },
        (_, Some(zone)) => Plan::Keep(Told { server: found.server.clone(), zone: zone.clone() }),
        (_, None) => Plan::Tell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::linux::Linux;

    fn found(server: &str, zone: Option<&str>) -> Identity {
        Identity::new(server, zone.map(str::to_owned))
    }

    fn told(server: &str, zone: &str) -> Told {
        Told { server: server.to_owned(), zone: zone.to_owned() }
    }

    #[test]
    fn another_zone_of_the_same_server_is_a_move() {
        for (before, now, expected) in [
            (None, found("s", Some("az1")), Plan::Keep(told("s", "az1"))),
            (None, found("s", None), Plan::Tell),
            (Some(told("s", "az1")), found("s", Some("az1")), Plan::Tell),
            (
                Some(told("s", "az1")),
                found("s", Some("az2")),
                Plan::Moved { from: "az1".to_owned(), to: "az2".to_owned() },
            ),
            // The metadata service is silent, and DMI knows no zone.
            (Some(told("s", "az1")), found("s", None), Plan::Remember { zone: "az1".to_owned() }),
            (Some(told("other", "az1")), found("s", None), Plan::Tell),
            // The disk of another server, copied with all that was on it.
            (Some(told("other", "az1")), found("s", Some("az2")), Plan::Keep(told("s", "az2"))),
        ] {
            assert_eq!(plan(before, &now), expected, "{now:?}");
        }
    }

    #[tokio::test]
    async fn a_pinned_zone_stays_and_another_one_is_told_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = Some(directory.path().join("zone"));
        let host = Linux::default();
        let (pinned, free) =
            (ZoneMemory { file: file.clone(), pinned: true }, ZoneMemory { file, pinned: false });
        let zone = async |memory: &ZoneMemory, zone| memory.settle(&host, found("s", Some(zone))).await.zone;
        assert_eq!(zone(&pinned, "az1").await.as_deref(), Some("az1"));
        assert_eq!(zone(&pinned, "az2").await.as_deref(), Some("az1"));
        assert_eq!(zone(&free, "az2").await.as_deref(), Some("az2"));
        // What was told first is not forgotten by that.
        assert_eq!(zone(&pinned, "az3").await.as_deref(), Some("az1"));
        for memory in [&pinned, &free] {
            let silent = memory.settle(&host, found("s", None)).await;
            assert_eq!((silent.zone.as_deref(), silent.is_remembered), (Some("az1"), true));
        }
        std::fs::write(directory.path().join("zone"), "{").unwrap();
        assert_eq!(zone(&pinned, "az3").await.as_deref(), Some("az3"));
        assert_eq!(zone(&pinned, "az1").await.as_deref(), Some("az3"));
    }
}

//! Looks at this machine: who it is, and what it brings along. It needs no credentials.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join4;

use super::{About, Row, Section, tools};
use crate::config::{ATTACH_LIMIT, NodeSettings};
use crate::node::{self, Host, IDENTITY_REMEDY, Identity, Node, Origin, Whoami, attach_limit};
use crate::pace;

/// A disk that doesn't answer holds up who looks for the config drive.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    pub host: &'a dyn Host,
    pub node: &'a Node,
    pub whoami: &'a Whoami,
    pub device_dir: &'a Path,
    pub settings: &'a NodeSettings,
    /// `--with-topology`
    pub topology: bool,
}

pub async fn node(machine: Machine<'_>) -> Section {
    let Machine { host, node, whoami, device_dir, settings, topology } = machine;
    let (identity, room, tools, links) = join4(
        identified(node, whoami),
        within(node.room()),
        tools::rows(host),
        within(host.list(device_dir)),
    )
    .await;
    let (room, links) = (room.flatten(), links.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())));
    let mut rows = vec![
        who(&identity, whoami.server.is_some()),
        zone(&identity, topology, &settings.block_storage.zone_map),
        limit(settings.block_storage.node_volume_attach_limit, room),
    ];
    rows.extend(tools);
    rows.push(devices(device_dir, links.map(|links| links.len())));
    Section { about: About::Node, rows }
}

/// A disk that doesn't answer holds up whoever looks at it.
async fn within<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, look).await.ok()
}

type Told = Result<(Identity, Option<Origin>), node::Error>;

async fn identified(node: &Node, whoami: &Whoami) -> Told {
    let deadline = pace::sleep(PATIENCE);
    tokio::select! {
        told = node.identify_by(whoami) => told,
        () = deadline => Err(node::Error::new(
            node::Condition::Unavailable,
            "this node",
            format!("config drive and metadata service didn't answer within {} s", PATIENCE.as_secs()),
        )
        .next(IDENTITY_REMEDY)),
    }
}

/// `given`: `--node-id`.
fn who(told: &Told, given: bool) -> Row {
    const CHECK: &str = "identity";
    match told {
        Ok((identity, by)) => {
            let by = match (given, by) {
                (true, _) => "--node-id".to_owned(),
                (false, Some(origin)) => origin.to_string(),
                (false, None) => "DMI".to_owned(),
            };
            Row::ok(CHECK, format!("server {}, by {by}", identity.server))
        }
        Err(error) => {
            let (cause, next, details) = error.parts();
            let details = details.map(|details| format!("; {details}")).unwrap_or_default();
            Row::failed(CHECK, format!("{cause}{details}"), next.unwrap_or(IDENTITY_REMEDY))
        }
    }
}

fn zone(told: &Told, topology: bool, map: &[(String, String)]) -> Row {
    const CHECK: &str = "zone";
    let Ok((identity, by)) = told else {
        return Row::unknown(CHECK, "not asked", "find out the server first");
    };
    let zone = identity.zone.as_ref().zip(*by);
    match (zone, topology) {
        (Some((zone, by)), _) => {
            let volumes = map.iter().find(|(from, _)| from == zone);
            let volumes = volumes.map(|(_, to)| format!(", volumes in {to} by az-map")).unwrap_or_default();
            Row::ok(CHECK, format!("{zone}, by {by}{volumes}"))
        }
        (None, false) => Row::ok(CHECK, "not known, and not needed with --with-topology=false"),
        (None, true) => Row::failed(
            CHECK,
            "neither config drive nor metadata service tells it: the kubelet won't register this node",
            format!("{IDENTITY_REMEDY}; only where zones don't matter set --with-topology=false"),
        ),
    }
}

fn limit(configured: Option<u16>, room: Option<usize>) -> Row {
    const CHECK: &str = "limit";
    let told = attach_limit(configured.unwrap_or(ATTACH_LIMIT), room);
    let setting = match configured {
        Some(limit) => format!("node-volume-attach-limit is {limit}"),
        None => format!("node-volume-attach-limit isn't set, so {ATTACH_LIMIT}"),
    };
    match (configured, room) {
        (_, Some(room)) => {
            let found = format!("{told} volumes: {setting}, and the server's bus has room for {room}");
            Row::ok(CHECK, found)
        }
        (Some(_), None) => Row::ok(CHECK, format!("{told} volumes: {setting}")),
        (None, None) => Row::unknown(
            CHECK,
            format!("{told} volumes: {setting}, and what the server's bus has room for can't be seen"),
            "set \"node-volume-attach-limit\" in [BlockStorage] to what a server of this kind takes",
        ),
    }
}

fn devices(directory: &Path, links: io::Result<usize>) -> Row {
    const CHECK: &str = "device-dir";
    let directory = directory.display();
    match links {
        Ok(links) => Row::ok(CHECK, format!("{directory} has {links} links")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Row::warning(
            CHECK,
            format!("{directory} isn't there"),
            "mount the host's /dev into the Pod, or name the right --device-dir; before the first disk that udev links there may \
             be none",
        ),
        Err(error) => {
            Row::failed(CHECK, format!("{directory} can't be read: {error}"), "see its mount and its rights")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    const SERVER: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";

    fn told(zone: Option<&str>, by: Option<Origin>) -> Told {
        Ok((Identity::new(SERVER, zone.map(str::to_owned)), by))
    }

    fn nobody() -> Told {
        Err(node::Error::new(node::Condition::Unavailable, "this node", "can't tell")
            .next("look")
            .details("asked"))
    }

    #[test]
    fn the_server_is_told_with_who_told_it() {
        let drive = Some(Origin::ConfigDrive);
        for (told, given, expected) in [
            (told(Some("az1"), drive), false, "by config drive"),
            (told(None, None), false, "by DMI"),
            (told(Some("az1"), drive), true, "by --node-id"),
        ] {
            let row = who(&told, given);
            assert_eq!((row.verdict, row.found), (Verdict::Ok, format!("server {SERVER}, {expected}")));
        }
        let row = who(&nobody(), false);
        let expected = Row::failed("identity", "this node: can't tell; asked", "look");
        assert_eq!(row, expected);
    }

    #[test]
    fn a_zone_is_needed_where_zones_are_told() {
        let map = [("az1".to_owned(), "c1".to_owned())];
        let drive = Some(Origin::ConfigDrive);
        for (told, topology, verdict, words) in [
            (told(Some("az1"), drive), true, Verdict::Ok, "az1, by config drive, volumes in c1 by az-map"),
            (told(Some("az2"), drive), false, Verdict::Ok, "az2, by config drive"),
            (told(None, None), true, Verdict::Failed, "won't register"),
            (told(None, None), false, Verdict::Ok, "not needed"),
            (nobody(), true, Verdict::Unknown, "not asked"),
        ] {
            let row = zone(&told, topology, &map);
            assert!(row.verdict == verdict && row.found.contains(words), "{row:?}");
        }
    }

    #[test]
    fn the_limit_says_where_it_comes_from() {
        for (configured, room, verdict, words) in [
            (Some(25), Some(26), Verdict::Ok, "25 volumes: node-volume-attach-limit is 25, and"),
            (None, Some(26), Verdict::Ok, "26 volumes: node-volume-attach-limit isn't set, so 256, and"),
            (Some(25), None, Verdict::Ok, "25 volumes: node-volume-attach-limit is 25"),
            (None, None, Verdict::Unknown, "256 volumes"),
        ] {
            let row = limit(configured, room);
            assert!(row.verdict == verdict && row.found.contains(words), "{row:?}");
        }
    }

    #[test]
    fn a_device_directory_that_is_not_there_may_come_with_the_first_disk() {
        let of = |links| devices(Path::new("/dev/disk/by-id"), links).verdict;
        assert_eq!(of(Ok(0)), Verdict::Ok);
        assert_eq!(of(Err(io::ErrorKind::NotFound.into())), Verdict::Warning);
        assert_eq!(of(Err(io::ErrorKind::PermissionDenied.into())), Verdict::Failed);
    }
}

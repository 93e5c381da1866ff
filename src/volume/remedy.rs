//! What a person can do where nothing ends by itself.

use std::fmt::Display;

use super::{Condition, Error};
use crate::openstack::{self, Status, Volume};

/// Where nothing but another try is left to the caller.
pub(super) const ASK: &str = "if it fails again, ask the cloud's operator";

/// Cinder knows no such thing; `show` is the command that looks for it, and `error` Cinder's 404, where there was one.
pub(super) fn unknown(what: impl Display, show: impl Display, error: Option<&openstack::Error>) -> Error {
    let request = error.and_then(|error| error.request_id.as_ref());
    let request = request.map(|id| format!(" (request {id})")).unwrap_or_default();
    Error::new(
        Condition::NotFound,
        format!(
            "{what} is unknown to Cinder in this project; see whether it was deleted or belongs to another project \
             (openstack {show}){request}"
        ),
    )
}

/// The status, why it is in the way, and the way out. `verdict` follows "which".
pub(super) fn told(volume: &Volume, verdict: &str) -> String {
    format!("the volume is in status {}, which {verdict}; {}", volume.status, way_out(volume))
}

fn way_out(volume: &Volume) -> String {
    match &volume.status {
        Status::Maintenance => "the cloud's operator must end that first".to_owned(),
        Status::AwaitingTransfer => {
            "accept the transfer or delete it first (openstack volume transfer request list)".to_owned()
        }
        Status::Deleting => "nothing brings it back".to_owned(),
        Status::ErrorDeleting => {
            format!("an administrator can delete it (openstack volume delete --force {})", volume.id)
        }
        _ => {
            let state = if volume.attachments.is_empty() { "available" } else { "in-use" };
            format!(
                "once the cause is gone (openstack volume message list), an administrator can reset it (openstack volume set --state {state} {})",
                volume.id
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::volume;

    #[test]
    fn every_status_that_stays_has_a_way_out() {
        for (volume, way) in [
            (volume(Status::Maintenance), "the cloud's operator must end that first"),
            (volume(Status::AwaitingTransfer), "openstack volume transfer request list"),
            (volume(Status::ErrorDeleting), "openstack volume delete --force"),
            (volume(Status::Error), "openstack volume set --state available"),
            (volume(Status::ErrorExtending).on(&[1]), "openstack volume set --state in-use"),
            (volume(None::<String>.into()), "openstack volume set --state available"),
        ] {
            let told = told(&volume, "Nova doesn't attach");
            let begin = format!("the volume is in status {}, which Nova doesn't attach; ", volume.status);
            assert!(told.starts_with(&begin) && told.contains(way), "{told}");
        }
    }
}

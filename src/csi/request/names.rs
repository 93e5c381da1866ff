//! The names of a class's parameters: one that nobody knows is most likely misspelt.

use std::collections::HashMap;

use tonic::Status;
use tracing::warn;

use crate::csi::status::invalid;

/// The sidecars' own.
const SIDECARS: &str = "csi.storage.k8s.io/";
/// Of two names, how alike they must be for one to be meant by the other.
const ALIKE: f64 = 0.8;

/// The existing driver ignores what it doesn't know, and its classes must carry over: an error only where `strict`.
pub fn check(
    class: &str,
    given: &HashMap<String, String>,
    known: &[&str],
    strict: bool,
) -> Result<(), Status> {
    let is_known = |name: &str| known.contains(&name) || name.starts_with(SIDECARS);
    let mut unknown: Vec<_> = given.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
    unknown.sort();
    for name in unknown {
        metrics::counter!("cinder_csi_unknown_parameters_total").increment(1);
        let meant =
            nearest(name, known).map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        if strict {
            return Err(invalid(&format!("parameters.{name}"), format!("is unknown{meant}")));
        }
        warn!("the {class}'s parameter {name:?} is unknown and ignored{meant}");
    }
    Ok(())
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let near = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&near) >= ALIKE).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_an_error_only_where_that_is_asked_for() {
        let known = ["type", "force-create"];
        let given = |name: &str| HashMap::from([(name.to_owned(), "x".to_owned())]);
        for name in ["type", "csi.storage.k8s.io/snapshotter-secret-name"] {
            check("VolumeSnapshotClass", &given(name), &known, true).unwrap();
        }
        check("VolumeSnapshotClass", &given("forceCreate"), &known, false).unwrap();
        let status = check("VolumeSnapshotClass", &given("forceCreate"), &known, true).unwrap_err();
        assert_eq!(status.message(), "parameters.forceCreate: is unknown; did you mean \"force-create\"?");
        let status = check("VolumeSnapshotClass", &given("zzz"), &known, true).unwrap_err();
        assert_eq!(status.message(), "parameters.zzz: is unknown");
    }
}

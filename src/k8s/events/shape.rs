//! An Event as the API takes it: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Object, Report};
use crate::pace;

const COMPONENT: &str = "cinder.csi.openstack.org";

/// `kubectl` finds an Event by the uid of its object.
pub fn event(report: &Report, name: &str, uid: &str) -> Value {
    let now = time(now());
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": report.namespace },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": kind(&report.object),
            "namespace": report.namespace,
            "name": report.object.name(),
            "uid": uid,
        },
        "type": format!("{:?}", report.severity),
        "reason": cut(&report.reason, 128),
        "message": cut(&report.message, 1024),
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": { "component": COMPONENT },
        "reportingComponent": COMPONENT,
    })
}

/// The object's name and the time, as client-go names them: at most 253 characters.
pub fn name(report: &Report) -> String {
    named(report.object.name(), now())
}

fn kind(object: &Object) -> &'static str {
    match object {
        Object::Claim(_) => "PersistentVolumeClaim",
        Object::Pod(..) => "Pod",
    }
}

/// Once more.
pub fn counted(count: i32) -> Value {
    json!({ "count": count, "lastTimestamp": time(now()) })
}

fn named(object: &str, now: Timestamp) -> String {
    let object = cut(object, 220);
    format!("{}.{:x}", object.trim_end_matches(['.', '-']), now.as_nanosecond())
}

/// The API has whole seconds: <https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/time.go>.
fn time(now: Timestamp) -> String {
    now.strftime("%FT%TZ").to_string()
}

fn now() -> Timestamp {
    Timestamp::try_from(pace::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The limits of the API are in bytes (`ValidateEventCreate` in Kubernetes' pkg/apis/core/validation/events.go).
fn cut(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((cut("äöü", 3), cut("abc", 3), cut("", 3)), ("ä".into(), "abc".into(), String::new()));
        let name = named(&format!("{}-{}", "a".repeat(219), "b".repeat(30)), Timestamp::MAX);
        assert!(name.len() <= 253 && !name.contains("-."), "{name}");
    }
}

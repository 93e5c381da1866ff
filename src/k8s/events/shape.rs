//! An Event as the API takes it: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Object, Report};
use crate::pace;

const COMPONENT: &str = "cinder.csi.openstack.org";

/// `kubectl` finds an Event by the uid of its object.
pub fn event(report: &Report, uid: &str) -> Event {
    let now = now();
    Event {
        metadata: ObjectMeta {
            name: Some(name(report.object.name(), now)),
            namespace: Some(report.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some(kind(&report.object).into()),
            namespace: Some(report.namespace.clone()),
            name: Some(report.object.name().to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        },
        type_: Some(format!("{:?}", report.severity)),
        reason: Some(cut(&report.reason, 128)),
        message: Some(cut(&report.message, 1024)),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(COMPONENT.into()), host: None }),
        reporting_component: Some(COMPONENT.into()),
        ..Event::default()
    }
}

fn kind(object: &Object) -> &'static str {
    match object {
        Object::Claim(_) => "PersistentVolumeClaim",
        Object::Pod(..) => "Pod",
    }
}

/// Once more.
pub fn counted(count: i32) -> Value {
    json!({ "count": count, "lastTimestamp": Time(now()) })
}

/// The object's name and the time, as client-go names them: at most 253 characters.
fn name(object: &str, now: Timestamp) -> String {
    let object = cut(object, 220);
    format!("{}.{:x}", object.trim_end_matches(['.', '-']), now.as_nanosecond())
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
        let name = name(&format!("{}-{}", "a".repeat(219), "b".repeat(30)), Timestamp::MAX);
        assert!(name.len() <= 253 && !name.contains("-."), "{name}");
    }
}

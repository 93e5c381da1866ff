//! The Kubernetes API: what a PVC is annotated with, and Events about PVCs. The API is simulated, over HTTP.

#![cfg(all(feature = "sandbox", feature = "k8s"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "kubernetes_api/server.rs"]
mod server;

use std::collections::HashMap;
use std::time::Duration;

use bed::{Bed, rpc, wanted};
use cinder_csi::csi::proto::controller_server::Controller as _;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::{CreateVolumeRequest, Volume, VolumeCapability};
use cinder_csi::csi::{Annotations, Clouds, Controller, ControllerSettings, Topology};
use cinder_csi::k8s::{Absent, Events, Kubernetes, Object, Report, Settings, Severity};
use cinder_csi::sandbox::{self, Fault, Trouble};
use http::Method;
use serde_json::{Value, json};
use server::{Api, Mishap, TOKEN};
use tonic::{Code, Request, Status};

const NEAR: &str = "cinder.csi.openstack.org/affinity";
const APART: &str = "cinder.csi.openstack.org/anti-affinity";
const NOWHERE: &str = "1b4e28ba-2fa1-11ec-8d3d-0242ac130003";

/// A controller between a simulated cloud and a simulated Kubernetes.
struct Stand {
    bed: Bed,
    api: Api,
    controller: Controller,
}

fn connected(api: &Api) -> Kubernetes {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), api.kubeconfig()).unwrap();
    let settings = Settings { kubeconfig: Some(file.path().to_owned()), qps: -1.0, ..Settings::default() };
    Kubernetes::connect(&settings).unwrap()
}

impl Stand {
    async fn new() -> Self {
        let bed = Bed::new(sandbox::Settings::default());
        let api = Api::start().await;
        let clouds = Clouds::new([(String::new(), bed.volumes.clone())].into());
        let settings = ControllerSettings {
            cluster: "kubernetes".to_owned(),
            topology: Topology::default(),
            list_only_cluster: false,
            strict_parameters: false,
        };
        let annotations = Annotations::new(connected(&api));
        let controller = Controller::new(clouds, settings).with_annotations(annotations);
        Self { bed, api, controller }
    }

    async fn volume(&self, name: &str) -> String {
        self.bed.volumes.ensure_created(&wanted(name)).await.unwrap().id.to_string()
    }

    /// Creates for the PVC `data` of `shop`.
    async fn create(&self) -> Result<Volume, Status> {
        self.create_for(&[
            ("csi.storage.k8s.io/pvc/name", "data"),
            ("csi.storage.k8s.io/pvc/namespace", "shop"),
        ])
        .await
    }

    async fn create_for(&self, parameters: &[(&str, &str)]) -> Result<Volume, Status> {
        let parameters: HashMap<_, _> =
            parameters.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let capability = VolumeCapability {
            access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
            access_type: Some(AccessType::Block(BlockVolume {})),
        };
        let request = CreateVolumeRequest {
            name: "pvc-data".to_owned(),
            volume_capabilities: vec![capability],
            parameters,
            ..CreateVolumeRequest::default()
        };
        let answered =
            rpc(Duration::from_secs(20), self.controller.create_volume(Request::new(request))).await;
        answered.map(|response| response.into_inner().volume.unwrap())
    }

    async fn refusal(&self, annotations: Value) -> Status {
        self.api.claim("data", None, annotations);
        let before = self.bed.all().await.len();
        let status = self.create().await.unwrap_err();
        assert_eq!(self.bed.all().await.len(), before, "nothing is made: {status}");
        assert!(!status.message().contains(TOKEN), "{status}");
        status
    }
}

#[tokio::test]
async fn a_volume_is_placed_by_ids_by_names_and_by_pvcs_of_its_namespace() {
    let stand = Stand::new().await;
    let (by_id, by_name, by_claim) =
        (stand.volume("one").await, stand.volume("two").await, stand.volume("pvc-3").await);
    let in_tree = stand.volume("four").await;
    stand.api.claim("third", Some("pv-3"), json!({}));
    stand
        .api
        .persistent("pv-3", json!({"csi": {"driver": "cinder.csi.openstack.org", "volumeHandle": by_claim}}));
    stand.api.claim("fourth", Some("pv-4"), json!({}));
    stand.api.persistent("pv-4", json!({"cinder": {"volumeID": in_tree, "fsType": "ext4"}}));
    let apart = format!(" {by_id},two ,, third,{by_claim}");
    stand.api.claim("data", None, json!({APART: apart, NEAR: "fourth"}));
    let created = stand.create().await.unwrap();
    let hints = json!({"same_host": [in_tree], "different_host": [by_id, by_name, by_claim]});
    assert_eq!(stand.bed.cloud.hints_of(&created.volume_id), hints);
    let context = created.volume_context;
    assert_eq!(context["anti-affinity"], format!("{by_id},{by_name},{by_claim}"));
    assert_eq!(context["affinity"], in_tree);
    let again = stand.create().await.unwrap().volume_context;
    assert_eq!(again, context, "the same answer to the same request");
}

#[tokio::test]
async fn a_pvc_without_annotations_costs_one_request_and_changes_nothing() {
    let stand = Stand::new().await;
    stand.api.claim("data", None, json!({"other": "x", APART: " , "}));
    assert!(stand.create().await.unwrap().volume_context.is_empty());
    assert_eq!(stand.api.requests(), ["GET /api/v1/namespaces/shop/persistentvolumeclaims/data"]);
}

#[tokio::test]
async fn without_the_provisioners_names_nobody_is_asked() {
    let stand = Stand::new().await;
    stand.create_for(&[]).await.unwrap();
    assert!(stand.api.requests().is_empty());
}

#[tokio::test]
async fn what_the_user_can_mend_is_told_and_nothing_is_made() {
    let stand = Stand::new().await;
    let (one, _) = (stand.volume("one").await, stand.volume("twice").await);
    stand.bed.post_to_cinder("/volumes", json!({"volume": {"name": "twice", "size": 1}})).await;
    stand.api.claim("pending", None, json!({}));
    stand.api.claim("foreign", Some("pv-nfs"), json!({}));
    stand.api.persistent("pv-nfs", json!({"csi": {"driver": "nfs.csi.k8s.io", "volumeHandle": "x"}}));
    let many = (0..65).map(|number| format!("v{number}")).collect::<Vec<_>>().join(",");
    let table = [
        (APART, "misspelt", Code::InvalidArgument, "\"misspelt\" is neither the id nor the name"),
        (NEAR, "../../secrets/x", Code::InvalidArgument, "is neither the id nor the name"),
        (APART, NOWHERE, Code::InvalidArgument, "is neither the id nor the name"),
        (NEAR, "twice", Code::InvalidArgument, "\"twice\" means several volumes"),
        (NEAR, "foreign", Code::InvalidArgument, "PVC \"foreign\" is bound to no volume of Cinder"),
        (APART, "data", Code::InvalidArgument, "\"data\" is this PVC itself"),
        (NEAR, "pending", Code::FailedPrecondition, "PVC \"pending\" isn't bound yet"),
        (NEAR, &many, Code::InvalidArgument, "names more than 64 volumes"),
    ];
    for (annotation, value, code, expected) in table {
        let status = stand.refusal(json!({annotation: value})).await;
        assert_eq!(status.code(), code, "{value}: {status}");
        assert!(status.message().contains(expected), "{value}: {status}");
        let place = format!("annotation {annotation} of PVC shop/data");
        assert!(status.message().contains(&place), "{status}");
    }
    let status = stand.refusal(json!({NEAR: one, APART: "one"})).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(&format!("volume {one} is in {NEAR}, too")), "{status}");
    assert!(
        stand.api.requests().iter().all(|request| !request.contains("secrets")),
        "no path is made of a word"
    );
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_unavailable_and_nothing_is_made() {
    let stand = Stand::new().await;
    for (mishap, code, expected) in [
        (Mishap::Status(500), Code::Unavailable, "couldn't get PVC shop/data: the server met a mishap (500)"),
        (Mishap::Status(403), Code::FailedPrecondition, "needs a rule for get on persistentvolumeclaims"),
        (Mishap::Silent, Code::Unavailable, "didn't get PVC shop/data within"),
    ] {
        stand.api.meet(mishap);
        let status = stand.refusal(json!({})).await;
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(expected), "{status}");
    }
}

#[tokio::test]
async fn an_api_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let master = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = Settings { master: Some(master), ..Settings::default() };
    let error = Kubernetes::connect(&settings).unwrap().find_claim("shop", "data").await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_volume_that_is_there_is_answered_whatever_became_of_its_pvc() {
    let stand = Stand::new().await;
    stand.api.claim("data", None, json!({}));
    let made = stand.create().await.unwrap().volume_id;
    stand.api.remove_claim("data");
    assert_eq!(stand.create().await.unwrap().volume_id, made);
    stand.api.meet(Mishap::Status(500));
    assert_eq!(stand.create().await.unwrap().volume_id, made);
}

#[tokio::test]
async fn while_a_volume_may_still_appear_no_error_of_its_pvc_is_final() {
    let stand = Stand::new().await;
    stand.api.claim("data", None, json!({}));
    stand.bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::ResetBefore));
    let gave_up = tokio::time::timeout(Duration::from_secs(1), stand.create()).await;
    assert!(!matches!(gave_up, Ok(Ok(_))), "{gave_up:?}");
    stand.api.remove_claim("data");
    let status = stand.create().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("an earlier call may still make volume pvc-data"), "{status}");
}

#[tokio::test]
async fn hints_of_the_storage_class_and_of_the_pvc_are_both_kept() {
    let stand = Stand::new().await;
    let (one, two) = (stand.volume("one").await, stand.volume("two").await);
    stand.api.claim("data", None, json!({APART: "two,one"}));
    let volume = stand
        .create_for(&[
            ("csi.storage.k8s.io/pvc/name", "data"),
            ("csi.storage.k8s.io/pvc/namespace", "shop"),
            ("scheduler-hint-different-host", &one),
        ])
        .await
        .unwrap();
    assert_eq!(stand.bed.cloud.hints_of(&volume.volume_id), json!({"different_host": [one, two]}));
}

#[tokio::test]
async fn a_pvc_that_is_gone_before_its_volume_is_made_ends_the_making() {
    let stand = Stand::new().await;
    let status = stand.create().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().contains("PVC shop/data, whose annotations place the volume, is gone"),
        "{status}"
    );
}

#[test]
fn without_a_configuration_there_is_no_api_and_a_broken_one_is_told() {
    let connect = |settings: &Settings| Kubernetes::connect(settings).unwrap_err();
    let absent = connect(&Settings::default());
    assert!(matches!(&absent, Absent::NotConfigured(why) if why.contains("no --kubeconfig")), "{absent}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "clusters: [").unwrap();
    for settings in [
        Settings { kubeconfig: Some("/nonexistent".into()), ..Settings::default() },
        Settings { kubeconfig: Some(file.path().to_owned()), ..Settings::default() },
        Settings { master: Some("localhost".to_owned()), ..Settings::default() },
    ] {
        assert!(matches!(connect(&settings), Absent::Unusable(_)), "{settings:?}");
    }
}

#[tokio::test]
async fn taints_that_have_changed_since_they_were_read_stay_and_no_other_is_lost() {
    const NODE: &str = "/api/v1/nodes/node-1";
    let api = Api::start().await;
    let put = |taints: &[&str]| {
        let taints: Vec<_> = taints.iter().map(|key| json!({"key": key, "effect": "NoSchedule"})).collect();
        api.put(NODE, json!({"metadata": {"name": "node-1"}, "spec": {"taints": taints}}));
    };
    let keys = || {
        let taints = api.object(NODE)["spec"]["taints"].as_array().unwrap().clone();
        taints.iter().map(|taint| taint["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let kubernetes = connected(&api);
    // As read: `ours` at 0 and 2.
    for (now, is_removed, left) in [
        (&["ours", "a", "ours"][..], true, &["a"][..]),
        (&["ours", "a", "ours", "new"], true, &["a", "new"]),
        (&["a", "ours", "ours"], false, &["a", "ours", "ours"]),
        (&["ours"], false, &["ours"]),
        (&["ours", "a", "b"], false, &["ours", "a", "b"]),
    ] {
        put(now);
        assert_eq!(kubernetes.remove_taints("node-1", "ours", &[0, 2]).await, Ok(is_removed), "{now:?}");
        assert_eq!(keys(), left, "{now:?}");
    }
    api.meet(Mishap::Status(409));
    assert_eq!(kubernetes.remove_taints("node-1", "ours", &[0]).await, Ok(false));
    assert_eq!(kubernetes.find_node("../secrets").await, Ok(None));
}

fn report(claim: &str, message: &str) -> Report {
    Report {
        namespace: "shop".to_owned(),
        object: Object::Claim(claim.to_owned()),
        severity: Severity::Warning,
        reason: "VolumeInErrorState".to_owned(),
        message: message.to_owned(),
    }
}

/// Once `done` says so of the Events, or after five seconds.
async fn events(api: &Api, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    for _ in 0..500 {
        if done(&api.events()) {
            break;
        }
        cinder_csi::pace::sleep(Duration::from_millis(10)).await;
    }
    api.events()
}

#[tokio::test]
async fn a_warning_is_an_event_on_the_pvc_once() {
    let api = Api::start().await;
    api.claim("data", Some("pv-1"), json!({}));
    let written = Events::new(connected(&api));
    for _ in 0..20 {
        written.tell(report("data", "the volume is in error"));
    }
    written.tell(report("gone", "a PVC that isn't there"));
    written.tell(report("data", "the last one"));
    let seen = events(&api, |events| events.len() >= 2).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    let event = seen.iter().find(|event| event["message"] == "the volume is in error").unwrap();
    assert_eq!(event["reason"], "VolumeInErrorState");
    assert_eq!(event["count"], 1);
    assert_eq!(event["source"]["component"], "cinder.csi.openstack.org");
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "data", "namespace": "shop", "uid": "uid-of-data",
    });
    assert_eq!(event["involvedObject"], object);
}

/// Lets time pass while nothing is on its way: tokio doesn't see bytes in a socket.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_warning_that_goes_on_is_counted_and_made_anew_once_it_is_forgotten() {
    let api = Api::start().await;
    api.claim("data", Some("pv-1"), json!({}));
    let written = Events::new(connected(&api));
    let first = || written.tell(report("data", "the volume is in error"));
    first();
    let made = events(&api, |events| events.len() == 1).await;
    later(Duration::from_secs(601)).await;
    first();
    let counted = events(&api, |events| events[0]["count"] == 2).await;
    assert_eq!(counted.len(), 1);
    assert_eq!((&counted[0]["count"], &counted[0]["message"]), (&json!(2), &made[0]["message"]));
    assert!(counted[0]["lastTimestamp"].as_str() > made[0]["lastTimestamp"].as_str());
    assert_eq!(counted[0]["firstTimestamp"], made[0]["firstTimestamp"]);
    api.forget_events();
    later(Duration::from_secs(601)).await;
    first();
    let anew = events(&api, |events| events.len() == 1).await;
    assert_eq!(anew[0]["count"], 1);
    assert_ne!(anew[0]["metadata"]["name"], made[0]["metadata"]["name"]);
}

#[tokio::test]
async fn events_that_cannot_be_written_stop_nothing() {
    let api = Api::start().await;
    api.claim("data", None, json!({}));
    let written = Events::new(connected(&api));
    api.meet(Mishap::Status(403));
    for number in 0..1000 {
        written.tell(report("data", &number.to_string()));
    }
    while api.requests().is_empty() {
        cinder_csi::pace::sleep(Duration::from_millis(10)).await;
    }
    assert!(api.events().is_empty());
}

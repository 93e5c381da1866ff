//! Groups, their volumes, and snapshots of them.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, Mishap, Operation, Settings, SimulatedCloud};
use http::Method;
use serde_json::{Value, json};

use super::bed::{SECOND, cloud_of};
use super::client::{Client, Reply};

const VERSION: &str = "3.64";

struct Bed {
    cloud: SimulatedCloud,
    client: Client,
}

impl Bed {
    async fn new() -> Self {
        let cloud = cloud_of(Settings { latency: Latency::fixed(SECOND), ..Settings::default() });
        let client = Client::of(&cloud).await;
        Self { cloud, client }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.client.cinder(method, path, VERSION, Some(body)).await
    }

    async fn show(&self, path: &str) -> Value {
        let reply = self.client.cinder(Method::GET, path, VERSION, None).await;
        reply.body.as_object().unwrap().values().next().unwrap().clone()
    }

    async fn group(&self) -> String {
        let fields = json!({ "name": "g", "group_type": "lab-consistent", "volume_types": ["lab"] });
        let reply = self.call(Method::POST, "/groups", json!({ "group": fields })).await;
        assert_eq!((reply.code, reply.gist().as_str()), (202, "group: id name"));
        wait(2 * SECOND).await;
        reply.body["group"]["id"].as_str().unwrap().to_owned()
    }

    async fn volume(&self) -> String {
        let volume = self.client.volume("one").await;
        wait(2 * SECOND).await;
        volume
    }

    async fn update(&self, group: &str, fields: Value) -> Reply {
        let reply = self.call(Method::PUT, &format!("/groups/{group}"), json!({ "group": fields })).await;
        wait(2 * SECOND).await;
        reply
    }

    async fn delete(&self, group: &str, with_volumes: bool) -> Reply {
        let body = json!({ "delete": { "delete-volumes": with_volumes } });
        self.call(Method::POST, &format!("/groups/{group}/action"), body).await
    }

    async fn cut(&self, group: &str) -> Reply {
        let fields = json!({ "group_id": group, "name": "gs" });
        self.call(Method::POST, "/group_snapshots", json!({ "group_snapshot": fields })).await
    }

    async fn members(&self) -> Vec<Value> {
        let reply = self.client.cinder(Method::GET, "/snapshots/detail", VERSION, None).await;
        reply.body["snapshots"].as_array().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_sees_group_types_and_one_that_nobody_may_use() {
    let bed = Bed::new().await;
    let types = bed.show("/group_types").await;
    let names: Vec<_> = types.as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lab-consistent", "default_cgsnapshot_type"]);
    let of_type = async |kind: &str, volumes: &str| {
        let fields = json!({ "group_type": kind, "volume_types": [volumes] });
        bed.call(Method::POST, "/groups", json!({ "group": fields })).await
    };
    assert!(of_type("default_cgsnapshot_type", "lab").await.gist().contains("is reserved for migrating"));
    let missing = of_type("nope", "lab").await.gist();
    assert_eq!(missing, "itemNotFound: Group type with name nope could not be found.");
    assert_eq!(of_type("lab-consistent", "nope").await.code, 404);
    let hopeless = of_type("lab-consistent", "lab-nowhere").await.body["group"]["id"].clone();
    wait(2 * SECOND).await;
    assert_eq!(bed.show(&format!("/groups/{}", hopeless.as_str().unwrap())).await["status"], "error");
    let bare = cloud_of(Settings { group_types: Vec::new(), ..Settings::default() });
    let reply = Client::of(&bare).await.cinder(Method::GET, "/group_types", VERSION, None).await;
    assert_eq!(reply.body["group_types"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_may_tell_which_group_types_are_consistent() {
    let specs = async |consistent: Option<&str>| {
        let group_types = vec!["one".to_owned(), "other".to_owned()];
        let consistent_group_types = consistent.map(|name| vec![name.to_owned()]);
        let cloud = cloud_of(Settings { group_types, consistent_group_types, ..Settings::default() });
        let client = Client::of(&cloud).await;
        let types =
            client.cinder(Method::GET, "/group_types", VERSION, None).await.body["group_types"].clone();
        let mut shown = Vec::new();
        for kind in &types.as_array().unwrap()[..2] {
            let path = format!("/group_types/{}/group_specs", kind["id"].as_str().unwrap());
            let reply = client.cinder(Method::GET, &path, VERSION, None).await;
            shown.push((reply.code, reply.body.get("group_specs").cloned()));
        }
        shown
    };
    let yes = json!({ "consistent_group_snapshot_enabled": "<is> True" });
    assert_eq!(specs(Some("other")).await, [(200, Some(json!({}))), (200, Some(yes))]);
    assert_eq!(specs(None).await, [(403, None), (403, None)]);
}

#[tokio::test(start_paused = true)]
async fn lists_may_show_a_group_and_its_snapshot_late() {
    let bed = Bed::new().await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Group, 10 * SECOND));
    bed.cloud.mishap(Mishap::Unlisted(Operation::GroupSnapshot, 10 * SECOND));
    let group = bed.group().await;
    let volume = bed.volume().await;
    bed.update(&group, json!({ "add_volumes": volume })).await;
    let id = bed.cut(&group).await.body["group_snapshot"]["id"].as_str().unwrap().to_owned();
    let listed = async || {
        let (groups, cuts) = (bed.show("/groups").await, bed.show("/group_snapshots").await);
        (groups.as_array().unwrap().len(), cuts.as_array().unwrap().len())
    };
    assert_eq!(
        (listed().await, &bed.show(&format!("/group_snapshots/{id}")).await["id"]),
        ((0, 0), &json!(id))
    );
    wait(11 * SECOND).await;
    assert_eq!(listed().await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_group_holds_its_volumes_and_they_leave_it_again() {
    let bed = Bed::new().await;
    let (group, volume) = (bed.group().await, bed.volume().await);
    let far = bed.client.volume_of(json!({ "size": 1, "availability_zone": "az2" })).await;
    wait(2 * SECOND).await;
    assert!(
        bed.update(&group, json!({ "add_volumes": far })).await.gist().contains("not local to this node")
    );
    assert_eq!(bed.update(&group, json!({ "add_volumes": volume })).await.code, 202);
    let shown = bed.show(&format!("/groups/{group}?list_volume=true")).await;
    assert_eq!((&shown["status"], &shown["volumes"]), (&json!("available"), &json!([volume])));
    assert_eq!(bed.client.show(&volume).await["group_id"], json!(group));
    assert_eq!(bed.client.delete(&volume).await.code, 400);
    let retype = bed.client.act(&volume, "3.60", json!({ "os-retype": { "new_type": "lab-fast" } })).await;
    assert_eq!(retype.code, 400);
    assert!(bed.delete(&group, false).await.gist().contains("still contains volumes"));
    let seven = vec![volume.clone(); 7].join(",");
    assert_eq!(bed.update(&group, json!({ "add_volumes": seven })).await.code, 400, "six ids are the most");
    assert_eq!(bed.update(&group, json!({ "remove_volumes": volume })).await.code, 202);
    assert!(
        bed.update(&group, json!({ "remove_volumes": volume })).await.gist().contains("not in the group")
    );
    assert_eq!(bed.client.show(&volume).await["group_id"], Value::Null);
    assert_eq!((bed.delete(&group, false).await.code, bed.client.delete(&volume).await.code), (202, 202));
    wait(2 * SECOND).await;
    assert_eq!(bed.client.cinder(Method::GET, &format!("/groups/{group}"), VERSION, None).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_group_snapshot_has_a_member_for_each_volume_and_goes_as_a_whole() {
    let bed = Bed::new().await;
    let (group, one, two) = (bed.group().await, bed.volume().await, bed.volume().await);
    bed.client.attach(&bed.cloud.server_id("node-1"), &two, "2.60").await;
    wait(2 * SECOND).await;
    bed.update(&group, json!({ "add_volumes": format!("{one},{two}") })).await;
    let reply = bed.cut(&group).await;
    assert_eq!((reply.code, reply.gist().as_str()), (202, "group_snapshot: group_type_id id name"));
    let id = reply.body["group_snapshot"]["id"].as_str().unwrap().to_owned();
    let path = format!("/group_snapshots/{id}");
    assert_eq!(bed.client.cinder(Method::DELETE, &path, VERSION, None).await.code, 400);
    wait(2 * SECOND).await;
    assert_eq!(bed.show(&path).await["status"], "available");
    let members = bed.members().await;
    let told: Vec<_> = members
        .iter()
        .map(|one| (one["name"].as_str(), one["status"].as_str(), one["group_snapshot_id"].as_str()))
        .collect();
    assert_eq!(told, vec![(Some("gs"), Some("available"), Some(id.as_str())); 2]);
    let member = format!("/snapshots/{}", members[0]["id"].as_str().unwrap());
    let refused = bed.client.cinder(Method::DELETE, &member, VERSION, None).await.gist();
    assert!(refused.contains("must not be part of a group"), "{refused}");
    assert!(bed.delete(&group, true).await.gist().contains("has existing snapshots"));
    assert_eq!(bed.update(&group, json!({ "remove_volumes": format!("{one},{two}") })).await.code, 202);
    assert!(bed.cloud.inventory().contains(&format!("group snapshot {id}")));
    assert_eq!(bed.client.cinder(Method::DELETE, &path, VERSION, None).await.code, 202);
    wait(2 * SECOND).await;
    assert_eq!(bed.members().await, Vec::<Value>::new());
    assert_eq!(bed.client.delete(&one).await.code, 202);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_takes_the_status_of_its_volumes_along() {
    let bed = Bed::new().await;
    let (group, volume) = (bed.group().await, bed.volume().await);
    bed.update(&group, json!({ "add_volumes": volume })).await;
    bed.cloud.mishap(Mishap::Fails(Operation::GroupSnapshot, "no".to_owned()));
    let id = bed.cut(&group).await.body["group_snapshot"]["id"].as_str().unwrap().to_owned();
    wait(2 * SECOND).await;
    let path = format!("/group_snapshots/{id}");
    assert_eq!(
        (&bed.show(&path).await["status"], &bed.members().await[0]["status"]),
        (&json!("error"), &json!("error"))
    );
    bed.client.cinder(Method::DELETE, &path, VERSION, None).await;
    wait(2 * SECOND).await;
    bed.cloud.mishap(Mishap::Fails(Operation::UpdateGroup, "no".to_owned()));
    bed.update(&group, json!({ "remove_volumes": volume })).await;
    assert_eq!(bed.show(&format!("/groups/{group}")).await["status"], "error");
    assert_eq!(bed.client.status(&volume).await, "error");
}

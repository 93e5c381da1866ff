//! Volume types, retypes, and the quotas of types.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, Mishap, Operation, Quota, Settings};
use http::Method;
use serde_json::{Value, json};

use super::bed::{SECOND, attached, cloud_of, slow_cloud};
use super::client::{Client, Reply};

async fn retype(client: &Client, volume: &str, kind: &str, policy: &str) -> Reply {
    let action = json!({ "os-retype": { "new_type": kind, "migration_policy": policy } });
    client.act(volume, "3.60", action).await
}

async fn kind_of(client: &Client, volume: &str) -> (String, String, bool) {
    let shown = client.show(volume).await;
    let text = |field: &str| shown[field].as_str().unwrap().to_owned();
    (text("volume_type"), text("status"), shown["multiattach"] == true)
}

fn is(kind: &str, status: &str, multiattach: bool) -> (String, String, bool) {
    (kind.to_owned(), status.to_owned(), multiattach)
}

#[tokio::test(start_paused = true)]
async fn types_show_a_tenant_only_what_is_meant_for_it_and_by_id_alone() {
    let client = Client::of(&cloud_of(Settings::default())).await;
    let reply = client.cinder(Method::GET, "/types", "", None).await;
    let types = reply.body["volume_types"].as_array().unwrap();
    let names: Vec<_> = types.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lab", "lab-fast", "lab-nowhere", "lab-multiattach", "__DEFAULT__"]);
    let specs: Vec<_> = types.iter().map(|kind| kind["extra_specs"].to_string()).collect();
    assert_eq!(specs, ["{}", "{}", "{}", r#"{"multiattach":"<is> True"}"#, "{}"]);
    let id = types[3]["id"].as_str().unwrap();
    let one = client.cinder(Method::GET, &format!("/types/{id}"), "", None).await;
    assert_eq!(one.body["volume_type"]["is_public"], true);
    assert_eq!(
        client.cinder(Method::GET, "/types/default", "", None).await.body["volume_type"]["name"],
        "lab"
    );
    let missing = client.cinder(Method::GET, "/types/lab", "", None).await;
    assert_eq!(
        (missing.code, missing.gist().as_str()),
        (404, "itemNotFound: Volume type lab could not be found.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_use_changes_its_type_and_stays_in_use() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    assert_eq!(retype(&client, &volume, "lab-fast", "never").await.code, 202);
    assert_eq!(kind_of(&client, &volume).await, is("lab", "retyping", false));
    assert_eq!(retype(&client, &volume, "lab-fast", "never").await.code, 400);
    assert_eq!(
        (client.detach(&server, &volume).await.code, client.extend(&volume, 2, "3.42").await.code),
        (400, 400)
    );
    wait(5 * SECOND).await;
    assert_eq!(kind_of(&client, &volume).await, is("lab-fast", "in-use", false));
    let refused = retype(&client, &volume, "lab-multiattach", "never").await;
    assert!(refused.gist().contains("only allowed on available volumes"), "{}", refused.gist());
}

#[tokio::test(start_paused = true)]
async fn a_retype_that_fails_ends_with_the_old_type_and_says_nothing() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    wait(5 * SECOND).await;
    cloud.mishap(Mishap::Fails(Operation::Retype, "no".to_owned()));
    for kind in ["lab-fast", "lab-nowhere"] {
        assert_eq!(retype(&client, &volume, kind, "on-demand").await.code, 202);
        wait(5 * SECOND).await;
        assert_eq!(kind_of(&client, &volume).await, is("lab", "available", false));
    }
    let messages = client.cinder(Method::GET, "/messages", "3.60", None).await;
    assert_eq!(messages.body["messages"], json!([]));
    cloud.mishap(Mishap::Fails(Operation::Retype, "no".to_owned()));
    retype(&client, &volume, "lab-multiattach", "never").await;
    wait(5 * SECOND).await;
    assert_eq!(kind_of(&client, &volume).await, is("lab", "available", true), "Cinder leaves it multiattach");
    for (kind, policy, code) in [("nope", "never", 404), ("lab", "never", 400), ("lab-fast", "maybe", 400)] {
        assert_eq!(retype(&client, &volume, kind, policy).await.code, code, "{kind} {policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_types_are_apart_a_retype_moves_the_data_or_fails() {
    let latency = Latency::fixed(SECOND);
    let cloud = cloud_of(Settings { types_are_apart: true, latency, ..Settings::default() });
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    wait(2 * SECOND).await;
    let after = async |policy: &str| {
        assert_eq!(retype(&client, &volume, "lab-fast", policy).await.code, 202);
        wait(2 * SECOND).await;
        kind_of(&client, &volume).await
    };
    assert_eq!(after("never").await, is("lab", "available", false));
    let snapshot = client.snapshot(&volume, "3.66", true).await.body["snapshot"]["id"].clone();
    wait(2 * SECOND).await;
    assert_eq!(after("on-demand").await, is("lab", "available", false), "a snapshot holds it");
    let path = format!("/snapshots/{}", snapshot.as_str().unwrap());
    client.cinder(Method::DELETE, &path, "", None).await;
    wait(2 * SECOND).await;
    assert_eq!(after("on-demand").await, is("lab-fast", "available", false));
}

#[tokio::test(start_paused = true)]
async fn a_type_has_its_own_quota_and_a_member_reads_it() {
    let of_types = [("volumes_lab-fast".to_owned(), 1), ("gigabytes_lab-fast".to_owned(), 3)].into();
    let quota = Quota { of_types, volumes: 5, ..Quota::default() };
    let cloud = cloud_of(Settings { quota, ..Settings::default() });
    let client = Client::of(&cloud).await;
    let create = async |size: u64| {
        let body = json!({ "volume": { "size": size, "volume_type": "lab-fast" } });
        client.cinder(Method::POST, "/volumes", "3.60", Some(body)).await
    };
    assert!(create(4).await.gist().contains("exceeds allowed gigabytes_lab-fast quota"));
    assert_eq!(create(2).await.code, 202);
    assert!(create(1).await.gist().contains("exceeded for quota 'volumes_lab-fast'"));
    let plain = client.volume("plain").await;
    assert_eq!(retype(&client, &plain, "lab-fast", "never").await.code, 413);
    let path = format!("/os-quota-sets/{}?usage=true", cloud.credentials().project_id);
    let set = client.cinder(Method::GET, &path, "", None).await.body["quota_set"].clone();
    assert_eq!(set["volumes"], json!({ "limit": 5, "in_use": 2, "reserved": 0 }));
    assert_eq!(set["gigabytes_lab-fast"], json!({ "limit": 3, "in_use": 2, "reserved": 0 }));
    assert_eq!((&set["per_volume_gigabytes"]["limit"], &set["groups"]["limit"]), (&json!(-1), &json!(10)));
    let other = client.cinder(Method::GET, &format!("/os-quota-sets/{}", "0".repeat(32)), "", None).await;
    assert_eq!((other.code, &other.body["quota_set"]), (403, &Value::Null));
}

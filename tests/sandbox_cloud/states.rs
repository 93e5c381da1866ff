//! What each call answers in the states that pass.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Mishap, Operation};
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::bed::{SECOND, attached, slow_cloud};
use super::client::Client;

/// What each call answers in each state that passes.
#[tokio::test(start_paused = true)]
async fn a_volume_between_states_refuses_with_400() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (first, second) = (cloud.server_id("node-1"), cloud.server_id("node-2"));
    let volume = client.volume("one").await;
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("creating".into(), [400, 400, 400, 400, 404])
    );
    wait(5 * SECOND).await;
    client.attach(&first, &volume, "2.60").await;
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("reserved".into(), [400, 400, 400, 400, 400])
    );
    wait(2 * SECOND).await;
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("attaching".into(), [400, 400, 400, 400, 400])
    );
    assert_eq!(client.row(&first, &volume, "").await.code, 200);
    assert_eq!(client.show(&volume).await["attachments"], json!([]));
    wait(3 * SECOND).await;
    assert_eq!(client.detach(&first, &volume).await.code, 202);
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("detaching".into(), [400, 400, 400, 400, 400])
    );
    wait(5 * SECOND).await;
    assert_eq!(client.extend(&volume, 2, "3.42").await.code, 202);
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("extending".into(), [400, 400, 400, 400, 404])
    );
    wait(5 * SECOND).await;
    assert_eq!(client.delete(&volume).await.code, 202);
    assert_eq!(
        codes(&client, &volume, &first, &second).await,
        ("deleting".into(), [400, 400, 400, 400, 404])
    );
    wait(5 * SECOND).await;
    assert_eq!(codes(&client, &volume, &first, &second).await, ("gone".into(), [404, 404, 404, 404, 404]));
}

/// The codes of delete, extend, and attach to the first and the second server, and detach from the first.
async fn codes(client: &Client, volume: &str, first: &str, second: &str) -> (String, [u16; 5]) {
    let codes = [
        client.delete(volume).await.code,
        client.extend(volume, 5, "3.42").await.code,
        client.attach(first, volume, "2.60").await.code,
        client.attach(second, volume, "2.60").await.code,
        client.detach(first, volume).await.code,
    ];
    (client.status(volume).await, codes)
}

async fn server_and_two_volumes() -> (Client, String, [String; 2]) {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let volumes = [client.volume("one").await, client.volume("two").await];
    wait(5 * SECOND).await;
    (client, cloud.server_id("node-1"), volumes)
}

#[tokio::test(start_paused = true)]
async fn a_server_gets_one_disk_after_the_other() {
    let (client, server, [one, two]) = server_and_two_volumes().await;
    let start = Instant::now();
    assert_eq!(client.attach(&server, &one, "2.60").await.code, 200);
    assert!(start.elapsed().is_zero());
    assert_eq!(client.attach(&server, &one, "2.60").await.code, 400, "at once");
    assert_eq!(client.attach(&server, &two, "2.60").await.code, 200);
    assert_eq!(start.elapsed(), 4 * SECOND, "nova-compute names the device when it is free");
    assert_eq!((client.status(&one).await, client.status(&two).await), ("in-use".into(), "reserved".into()));
    wait(4 * SECOND).await;
    assert_eq!(client.status(&two).await, "in-use");
}

#[tokio::test(start_paused = true)]
async fn from_2_101_on_an_attach_is_answered_before_the_server_is_free() {
    let (client, server, [one, two]) = server_and_two_volumes().await;
    let start = Instant::now();
    for volume in [&one, &two] {
        assert_eq!(client.attach(&server, volume, "2.101").await.code, 202);
    }
    assert!(start.elapsed().is_zero());
    wait(4 * SECOND).await;
    assert_eq!((client.status(&one).await, client.status(&two).await), ("in-use".into(), "reserved".into()));
}

#[tokio::test(start_paused = true)]
async fn novas_row_goes_just_after_cinders_entry() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    client.detach(&server, &volume).await;
    let mut seen = Vec::new();
    for _ in 0..60 {
        let shown = client.show(&volume).await;
        let (entries, row) =
            (shown["attachments"].as_array().unwrap().len(), client.row(&server, &volume, "").await);
        let state = (shown["status"].as_str().unwrap().to_owned(), entries, row.code);
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        wait(SECOND / 10).await;
    }
    let state = |status: &str, entries, code| (status.to_owned(), entries, code);
    let expected = [
        state("detaching", 1, 200),
        state("detaching", 0, 200),
        state("available", 0, 200),
        state("available", 0, 404),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_fails_late_ends_where_the_real_one_does() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = (cloud.server_id("node-1"), client.volume("one").await);
    wait(5 * SECOND).await;
    let fails = |operation| cloud.mishap(Mishap::Fails(operation, "the host said no".to_owned()));
    fails(Operation::Attach);
    let reply = client.attach(&server, &volume, "2.60").await;
    wait(5 * SECOND).await;
    assert_eq!(
        (client.status(&volume).await.as_str(), client.row(&server, &volume, "").await.code),
        ("available", 404)
    );
    let action = format!("/servers/{server}/os-instance-actions/{}", reply.header("x-openstack-request-id"));
    let action = client.nova(Method::GET, &action, "2.84", None).await.body["instanceAction"].clone();
    assert_eq!((&action["message"], &action["events"][0]["result"]), (&json!("Error"), &json!("Error")));
    client.attach(&server, &volume, "2.60").await;
    wait(5 * SECOND).await;
    fails(Operation::Detach);
    client.detach(&server, &volume).await;
    wait(5 * SECOND).await;
    assert_eq!(
        (client.status(&volume).await.as_str(), client.row(&server, &volume, "").await.code),
        ("in-use", 200)
    );
    client.detach(&server, &volume).await;
    wait(5 * SECOND).await;
    fails(Operation::Extend);
    client.extend(&volume, 2, "3.42").await;
    wait(5 * SECOND).await;
    assert_eq!(client.status(&volume).await, "error_extending");
    fails(Operation::Delete);
    assert_eq!(client.delete(&volume).await.code, 202);
    wait(5 * SECOND).await;
    assert_eq!(client.status(&volume).await, "error_deleting");
    assert_eq!(client.delete(&volume).await.code, 400);
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_stays() {
    for (operation, status) in [(Operation::Attach, "attaching"), (Operation::Create, "creating")] {
        let cloud = slow_cloud();
        let client = Client::of(&cloud).await;
        cloud.mishap(Mishap::Stuck(operation));
        let volume = client.volume("one").await;
        wait(5 * SECOND).await;
        client.attach(&cloud.server_id("node-1"), &volume, "2.60").await;
        wait(3600 * SECOND).await;
        assert_eq!(client.status(&volume).await, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_compute_host_that_is_down_holds_detaches_and_refuses_attaches_after_a_minute() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    let other = client.volume("two").await;
    wait(5 * SECOND).await;
    cloud.set_host_up(&server, false);
    assert_eq!(client.detach(&server, &volume).await.code, 202);
    let start = Instant::now();
    assert_eq!(client.attach(&server, &other, "2.60").await.code, 500);
    assert_eq!(start.elapsed(), 60 * SECOND);
    assert_eq!(
        (client.status(&volume).await.as_str(), client.status(&other).await.as_str()),
        ("detaching", "reserved")
    );
    cloud.set_host_up(&server, true);
    // One after the other.
    wait(10 * SECOND).await;
    assert_eq!(
        (client.status(&volume).await.as_str(), client.status(&other).await.as_str()),
        ("available", "in-use")
    );
}

#[tokio::test(start_paused = true)]
async fn servers_refuse_by_their_state_and_free_their_volumes_when_they_go() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    let order = async |what: &str| {
        let path = format!("/servers/{server}/action");
        client.nova(Method::POST, &path, "", Some(json!({ what: null }))).await.code
    };
    let other = client.volume("two").await;
    wait(5 * SECOND).await;
    assert_eq!(order("lock").await, 202);
    assert_eq!(client.detach(&server, &volume).await.code, 409);
    assert_eq!(client.attach(&server, &other, "2.60").await.code, 409);
    assert_eq!((order("unlock").await, order("suspend").await), (202, 202));
    assert_eq!(client.attach(&server, &other, "2.60").await.code, 409);
    assert_eq!((order("resume").await, order("os-stop").await), (202, 202));
    assert_eq!(client.attach(&server, &other, "2.60").await.code, 200);
    wait(5 * SECOND).await;
    let path = format!("/servers/{server}");
    assert_eq!(client.nova(Method::DELETE, &path, "", None).await.code, 204);
    assert_eq!(
        (client.status(&volume).await.as_str(), client.detach(&server, &volume).await.code),
        ("in-use", 409)
    );
    wait(5 * SECOND).await;
    assert_eq!(
        (client.status(&volume).await.as_str(), client.detach(&server, &volume).await.code),
        ("available", 404)
    );
}

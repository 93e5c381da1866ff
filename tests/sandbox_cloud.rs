//! The simulated cloud behaves as the real one: what it claims is asked of a real OpenStack by the same tests.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod sandbox_cloud {
    pub mod client;
    pub mod table;
}

use std::time::Duration;

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{
    Fault, Latency, LoopDevices, Mishap, Operation, Settings, SimulatedCloud, Trouble,
};
use http::Method;
use sandbox_cloud::client::Client;
use sandbox_cloud::table;
use serde_json::json;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn cloud_of(settings: Settings) -> SimulatedCloud {
    SimulatedCloud::new(settings)
}

/// Every operation takes four seconds, so that the states between can be looked at.
fn slow_cloud() -> SimulatedCloud {
    cloud_of(Settings { latency: Latency::fixed(4 * SECOND), ..Settings::default() })
}

async fn attached(cloud: &SimulatedCloud, client: &Client) -> (String, String) {
    let (server, volume) = (cloud.server_id("node-1"), client.volume("one").await);
    wait(5 * SECOND).await;
    assert_eq!(client.attach(&server, &volume, "2.60").await.code, 200);
    wait(5 * SECOND).await;
    assert_eq!(client.status(&volume).await, "in-use");
    (server, volume)
}

/// The clouds to ask: the simulated one, and the real one whose `openrc` the environment names.
async fn clouds() -> Vec<(&'static str, Client, Client)> {
    let simulated = cloud_of(Settings { latency: Latency::lab(), ..Settings::default() });
    let url = "http://sandbox.test/identity/v3";
    let small = Client::log_in(simulated.http(), url, "csi-small", "labsecret", "k8s-small").await;
    let mut clouds = vec![("simulated", Client::of(&simulated).await, small)];
    #[allow(clippy::disallowed_methods, reason = "the parameter of this test")]
    if let Ok(path) = std::env::var("OPENSTACK_LAB") {
        let openrc = std::fs::read_to_string(path).unwrap();
        let read = |name: &str| {
            let lines =
                openrc.lines().filter_map(|line| line.trim().trim_start_matches("export ").split_once('='));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
        };
        let (url, password) = (read("OS_AUTH_URL"), read("OS_PASSWORD"));
        let (user, project) = (read("OS_USERNAME"), read("OS_PROJECT_NAME"));
        let (small_user, small_project) = (format!("{user}-small"), format!("{project}-small"));
        let client = Client::log_in(Client::sockets(), &url, &user, &password, &project).await;
        let small = Client::log_in(Client::sockets(), &url, &small_user, &password, &small_project).await;
        clouds.push(("real", client, small));
    }
    clouds
}

#[tokio::test]
async fn every_cloud_given_answers_as_the_table_says() {
    let expected: Vec<_> = include_str!("sandbox_cloud/table.txt").lines().collect();
    for (name, client, small) in clouds().await {
        let seen = table::Walk::new(client, small).whole().await;
        let differences: Vec<_> = (0..expected.len().max(seen.len()))
            .map(|index| {
                (expected.get(index).copied().unwrap_or_default(), seen.get(index).map_or("", String::as_str))
            })
            .filter(|(expected, seen)| expected != seen)
            .map(|(expected, seen)| format!("table: {expected}\n seen: {seen}\n"))
            .collect();
        assert!(differences.is_empty(), "the {name} cloud:\n{}", differences.join("\n"));
    }
}

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
    wait(5 * SECOND).await;
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

/// The trouble with one POST of a volume, and whether the volume is there after it.
#[tokio::test(start_paused = true)]
async fn trouble_comes_before_or_after_the_effect_as_ordered() {
    let cases = [
        (Trouble::Refused(503), Ok(503), 0),
        (Trouble::FailedAfter(502), Ok(502), 1),
        (Trouble::ResetBefore, Err(Some(std::io::ErrorKind::ConnectionReset)), 0),
        (Trouble::ResetAfter, Err(Some(std::io::ErrorKind::ConnectionReset)), 1),
        (Trouble::ReplyLost, Err(None), 1),
        (Trouble::Throttled(7 * SECOND), Ok(429), 0),
        (Trouble::Slow(3 * SECOND), Ok(202), 1),
        (Trouble::TokenRevoked, Ok(401), 0),
    ];
    for (trouble, expected, made) in cases {
        let cloud = cloud_of(Settings::default());
        let client = Client::of(&cloud).await;
        cloud.fault(Fault::on(Method::POST, "/volumes", trouble.clone()));
        let body = Some(json!({ "volume": { "size": 1, "name": "one" } }));
        let start = Instant::now();
        let call = client.try_cinder(Method::POST, "/volumes", "3.60", body);
        let seen = match tokio::time::timeout(10 * SECOND, call).await {
            Err(_) => Err(None),
            Ok(Err(error)) => Err(Some(error.kind())),
            Ok(Ok(reply)) => {
                assert_eq!(reply.header("retry-after"), if reply.code == 429 { "7" } else { "" });
                Ok(reply.code)
            }
        };
        assert_eq!(seen, expected, "{trouble:?}");
        assert_eq!(start.elapsed() >= 3 * SECOND, matches!(trouble, Trouble::Slow(_) | Trouble::ReplyLost));
        let again = Client::of(&cloud).await.cinder(Method::GET, "/volumes", "", None).await;
        assert_eq!(again.body["volumes"].as_array().unwrap().len(), made, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_does_not_stop_what_was_sent() {
    let production = Settings { latency: Latency::production(), ..Settings::default() };
    let cloud = cloud_of(production);
    let client = Client::of(&cloud).await;
    tokio::time::timeout(Duration::from_millis(1), client.volume("one")).await.unwrap_err();
    wait(SECOND).await;
    let reply = client.cinder(Method::GET, "/volumes", "", None).await;
    assert_eq!(reply.body["volumes"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_credential_gives_a_token_for_the_project_and_bad_ones_give_401() {
    let cloud = cloud_of(Settings { token_lifetime: 60 * SECOND, ..Settings::default() });
    let (mut client, known) = (Client::of(&cloud).await, cloud.credentials());
    let password = |user: &str| json!({ "methods": ["password"], "password": { "user": { "id": user, "password": known.password } } });
    let app = |secret: &str| {
        json!({ "methods": ["application_credential"],
        "application_credential": { "id": known.app_credential_id, "secret": secret } })
    };
    let project = json!({ "project": { "id": known.project_id } });
    let trust = json!({ "OS-TRUST:trust": { "id": known.trust_id } });
    let cases = [
        (json!({ "identity": password(&known.user_id), "scope": project }), 201),
        (json!({ "identity": password(&known.user_id) }), 201),
        (json!({ "identity": password("nobody"), "scope": project }), 401),
        (json!({ "identity": app("appsecret") }), 201),
        (json!({ "identity": app("wrong") }), 401),
        (json!({ "identity": app("appsecret"), "scope": project }), 401),
        (json!({ "identity": password(&known.trustee_id), "scope": trust }), 201),
        (json!({ "identity": password(&known.user_id), "scope": trust }), 401),
    ];
    for (auth, code) in cases {
        let reply = client.authenticate(auth.clone()).await;
        assert_eq!(reply.code, code, "{auth}");
        let scoped = auth["scope"].is_object() || auth["identity"]["application_credential"].is_object();
        let project = &reply.body["token"]["project"]["id"];
        assert_eq!(project == known.project_id.as_str(), code == 201 && scoped, "{auth}");
    }
    let reply = client.authenticate(json!({ "identity": app("appsecret") })).await;
    client.take_token(&reply);
    assert_eq!(client.cinder(Method::GET, "/volumes", "", None).await.code, 200);
    wait(61 * SECOND).await;
    assert_eq!(client.cinder(Method::GET, "/volumes", "", None).await.code, 401);
}

#[tokio::test(start_paused = true)]
async fn pages_end_and_show_every_volume_once() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    for index in 0..7 {
        client.volume(&format!("volume-{index}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), Some("/volumes/detail?limit=3".to_owned()));
    while let Some(next) = path {
        let reply = client.cinder(Method::GET, &next, "", None).await;
        seen.extend(reply.body["volumes"].as_array().unwrap().iter().map(|one| one["id"].to_string()));
        let link = reply.body["volumes_links"][0]["href"].as_str();
        path = link.map(|link| link.strip_prefix(&client.volume_url).unwrap().to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn the_clouds_clock_may_differ_from_ours_and_the_date_tells() {
    let cloud = cloud_of(Settings { clock_skew: -300, ..Settings::default() });
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    let reply = client.cinder(Method::GET, &format!("/volumes/{volume}"), "3.60", None).await;
    let date = httpdate::parse_http_date(reply.header("date")).unwrap();
    let behind = cinder_csi::pace::now().duration_since(date).unwrap();
    assert!((300..302).contains(&behind.as_secs()), "{behind:?}");
    let updated = reply.body["volume"]["updated_at"].as_str().unwrap();
    assert!(updated.ends_with(".000000"), "{updated}");
    let found = async |when: &str| {
        let path = format!("/volumes/detail?updated_at=gte:{when}");
        client.cinder(Method::GET, &path, "3.60", None).await.body["volumes"].as_array().unwrap().len()
    };
    assert_eq!(
        (found(updated.trim_end_matches(".000000")).await, found("2099-01-01T00:00:00").await),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_volume_may_be_missing_from_lists_for_a_while() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    cloud.mishap(Mishap::Unlisted(10 * SECOND));
    let volume = client.volume("one").await;
    let listed = async || {
        client.cinder(Method::GET, "/volumes/detail?name=one", "", None).await.body["volumes"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((client.status(&volume).await.as_str(), listed().await), ("available", 0));
    wait(11 * SECOND).await;
    assert_eq!(listed().await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_cloud_refuses_new_microversions_and_new_filters() {
    let cloud = cloud_of(Settings { block_storage: (3, 59), compute: (2, 53), ..Settings::default() });
    let client = Client::of(&cloud).await;
    assert_eq!(client.cinder(Method::GET, "/volumes/detail", "3.60", None).await.code, 406);
    assert_eq!(client.nova(Method::GET, "/servers", "2.60", None).await.code, 406);
    let reply = client.nova(Method::GET, "/", "", None).await;
    assert_eq!(reply.body["version"]["version"], "2.53");
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_with_their_ids_left_out() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    cloud.reset_calls();
    let volume = client.volume("one").await;
    client.status(&volume).await;
    client.cinder(Method::GET, "/volumes/detail", "", None).await;
    client.attach(&cloud.server_id("node-1"), &volume, "2.60").await;
    let calls: Vec<_> = cloud.calls().iter().map(ToString::to_string).collect();
    let expected = [
        "Cinder POST /volumes",
        "Cinder GET /volumes/{id}",
        "Cinder GET /volumes/detail",
        "Nova POST /servers/{id}/os-volume_attachments",
    ];
    assert_eq!(calls, expected);
    assert_eq!(cloud.calls().iter().filter(|call| call.is_list_of_volumes()).count(), 1);
}

#[tokio::test]
async fn a_served_cloud_is_the_same_and_a_reset_closes_its_connection() {
    let cloud = cloud_of(Settings::default());
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = Client::log_in(Client::sockets(), &served.auth_url(), "csi", "labsecret", "k8s").await;
    assert!(client.volume_url.starts_with(&format!("http://127.0.0.1:{}/volume/v3/", served.port())));
    let volume = client.volume("one").await;
    assert_eq!(client.status(&volume).await, "available");
    cloud.fault(Fault::on(Method::GET, "/volumes/{id}", Trouble::ResetBefore).times(9));
    client.try_cinder(Method::GET, &format!("/volumes/{volume}"), "", None).await.unwrap_err();
}

/// Needs root.
#[tokio::test]
async fn loop_disks_come_grow_and_go_with_their_volumes() {
    assert!(LoopDevices::are_possible(), "this test needs root and /dev/loop-control");
    let root = tempfile::tempdir().unwrap();
    let cloud = cloud_of(Settings { latency: Latency::fixed(SECOND / 10), ..Settings::default() });
    cloud.plug_into(Box::new(LoopDevices::new(root.path()).unwrap()));
    let client = Client::of(&cloud).await;
    let wanted = json!({ "size": 1, "name": "one", "volume_type": "lab-multiattach" });
    let volume = client.volume_of(wanted).await;
    let path = format!("/volumes/{volume}");
    client.until(&path, "available").await;
    let mut disks = Vec::new();
    for name in ["node-1", "node-2"] {
        let server = cloud.server_id(name);
        assert_eq!(client.attach(&server, &volume, "2.60").await.code, 200);
        client.until(&path, "in-use").await;
        let link = LoopDevices::device_dir(root.path(), &server).join(format!("virtio-{}", &volume[..20]));
        assert_eq!(size_of(&link), 1 << 30);
        disks.push((server, link));
    }
    assert_ne!(disks[0].1.canonicalize().unwrap(), disks[1].1.canonicalize().unwrap());
    cloud.mishap(Mishap::GrowsLate(Some(SECOND / 2)));
    client.extend(&volume, 2, "3.42").await;
    client.until(&path, "in-use").await;
    assert_eq!(size_of(&disks[0].1), 1 << 30, "Cinder is done before the disk has grown");
    wait(SECOND).await;
    for (server, link) in disks {
        assert_eq!(size_of(&link), 2 << 30);
        client.detach(&server, &volume).await;
        while client.row(&server, &volume, "").await.code != 404 {
            wait(SECOND / 20).await;
        }
        assert!(!link.is_symlink());
    }
    client.delete(&volume).await;
    client.until(&path, "gone").await;
    assert!(!root.path().join("volumes").join(&volume).exists());
}

/// The size of a block device in bytes.
fn size_of(device: &std::path::Path) -> u64 {
    use std::io::Seek;
    std::fs::File::open(device).unwrap().seek(std::io::SeekFrom::End(0)).unwrap()
}

//! The exchange itself: trouble, credentials, microversions.

use std::time::Duration;

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Fault, Latency, Settings, Trouble};
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::bed::{SECOND, cloud_of};
use super::client::Client;

/// The trouble with one POST of a volume, and whether the volume is there after it.
#[tokio::test(start_paused = true)]
async fn trouble_comes_before_or_after_the_effect_as_ordered() {
    let cases = [
        (Trouble::Refused(503), Ok(503), 0),
        (Trouble::FailedAfter(502), Ok(502), 1),
        (Trouble::ResetBefore, Err(Some(std::io::ErrorKind::ConnectionReset)), 0),
        (Trouble::ResetAfter, Err(Some(std::io::ErrorKind::ConnectionReset)), 1),
        (Trouble::ReplyLost, Err(None), 1),
        (Trouble::GatewayTimeout(Duration::ZERO), Ok(504), 1),
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

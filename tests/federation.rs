//! Users of another identity provider: from the settings to a call, on the simulated cloud and its provider.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::time::Duration;

use cinder_csi::config::{Config, Fixed, Request, Watch};
use cinder_csi::openstack::{self, Cloud, Error, Kind};
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Settings, SimulatedCloud, Trouble};
use futures_util::future::join_all;
use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const FILE: &str = "clouds.yaml";
const TOKENS: &str = "/var/run/secrets/idp/token";
const VOLUME: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

fn clouds_yaml(auth_type: &str, auth: &str) -> Fixed {
    let yaml = format!(
        "clouds:\n  lab:\n    auth_type: {auth_type}\n    auth:\n      auth_url: http://cloud.test/identity/v3\n      \
         identity_provider: corp\n      protocol: openid\n      project_name: k8s\n      project_domain_name: Default\n{}",
        auth.lines().map(|line| format!("      {line}\n")).collect::<String>()
    );
    Fixed::default().with_file(FILE, yaml)
}

fn request() -> Request {
    Request { cloud: Some("lab".to_owned()), ..Request::default() }
}

/// Its tokens live for an hour.
fn simulated() -> SimulatedCloud {
    SimulatedCloud::new(Settings { token_lifetime: Duration::from_secs(3600), ..Settings::default() })
}

fn connect(simulated: &SimulatedCloud, source: &Fixed) -> Cloud {
    let config = Config::load(source, &request()).unwrap();
    Cloud::new(simulated.http(), config.clouds[""].clone())
}

/// A volume that isn't there: a call that needs a token of the project.
async fn ask(cloud: &Cloud) -> Result<(), Error> {
    let found = cloud.cinder.find_volume(VOLUME.parse().unwrap()).await?;
    assert!(found.is_none());
    Ok(())
}

fn count(simulated: &SimulatedCloud, path: &str) -> usize {
    simulated.calls().iter().filter(|call| call.path.ends_with(path)).count()
}

#[tokio::test(start_paused = true)]
async fn every_way_to_an_access_token_opens_the_project() {
    let client = "client_id: csi-client\nclient_secret: clientsecret\n";
    let at = "access_token_endpoint: http://cloud.test/identity/idp/token\n";
    let told = "discovery_endpoint: http://cloud.test/identity/idp/.well-known/openid-configuration\n";
    let user = "username: csi\npassword: labsecret\n";
    for (auth_type, auth) in [
        ("v3oidcclientcredentials", format!("{client}{at}")),
        ("v3oidcclientcredentials", format!("{client}{told}openid_scope: openid\n")),
        ("v3oidcpassword", format!("{client}{told}{user}")),
    ] {
        let simulated = simulated();
        let cloud = connect(&simulated, &clouds_yaml(auth_type, &auth));
        ask(&cloud).await.unwrap_or_else(|error| panic!("{auth_type} {auth}: {error}"));
    }
    let simulated = simulated();
    let auth = format!("access_token: {}", simulated.access_token());
    ask(&connect(&simulated, &clouds_yaml("v3oidcaccesstoken", &auth))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fifty_callers_share_one_way_through_the_provider() {
    let simulated = simulated();
    let auth = "client_id: csi-client\nclient_secret: clientsecret\n\
                access_token_endpoint: http://cloud.test/identity/idp/token";
    let cloud = connect(&simulated, &clouds_yaml("v3oidcclientcredentials", auth));
    let answers = join_all((0..50).map(|_| ask(&cloud))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((count(&simulated, "/token"), count(&simulated, "/auth/tokens")), (1, 1));
    pace::sleep(Duration::from_secs(7200)).await;
    join_all((0..50).map(|_| ask(&cloud))).await;
    assert_eq!((count(&simulated, "/token"), count(&simulated, "/auth/tokens")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_keystone_revoked_is_replaced_through_the_provider() {
    let simulated = simulated();
    let auth = "client_id: csi-client\nclient_secret: clientsecret\n\
                access_token_endpoint: http://cloud.test/identity/idp/token";
    let cloud = connect(&simulated, &clouds_yaml("v3oidcclientcredentials", auth));
    ask(&cloud).await.unwrap();
    simulated.fault(Fault::on(Method::GET, "/volumes/{id}", Trouble::TokenRevoked));
    ask(&cloud).await.unwrap();
    assert_eq!(count(&simulated, "/token"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_access_token_from_a_file_is_read_again_when_the_file_changes() {
    let simulated = simulated();
    let written = |token: String| {
        clouds_yaml("v3oidcaccesstoken", &format!("access_token_file: {TOKENS}"))
            .with_file(TOKENS, format!("{token}\n"))
    };
    let source = written(simulated.access_token());
    let (mut watch, config) = Watch::start(&source, request());
    let cloud = Cloud::new(simulated.http(), config.unwrap().clouds[""].clone());
    ask(&cloud).await.unwrap();
    // The access token lives for five minutes, and Keystone's for an hour.
    pace::sleep(Duration::from_secs(7200)).await;
    let error = ask(&cloud).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unauthenticated);
    assert!(error.message.contains("whether the access token has expired"), "{error}");
    let rotated = written(simulated.access_token());
    let config = watch.poll(&rotated).unwrap().unwrap();
    cloud.replace(simulated.http(), config.clouds[""].clone());
    ask(&cloud).await.unwrap();
    let emptied = written(String::new());
    let error = watch.poll(&emptied).unwrap().unwrap_err().to_string();
    assert!(error.contains("the file of \"access_token_file\" holds no access token"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_refuses_is_told_and_what_to_check() {
    let at = "access_token_endpoint: http://cloud.test/identity/idp/token\n";
    for (auth, expected) in [
        (
            format!("client_id: csi-client\nclient_secret: wrong\n{at}"),
            "invalid_client: Invalid client or Invalid client credentials; check the client id csi-client",
        ),
        (
            "client_id: csi-client\nclient_secret: clientsecret\naccess_token_endpoint: http://cloud.test/identity/idp/nothing"
                .to_owned(),
            "check the client id csi-client",
        ),
        (
            format!("client_id: csi-client\nclient_secret: clientsecret\nopenid_scope: email\n{at}"),
            "invalid_scope: the scope lacks openid",
        ),
        (
            "client_id: csi-client\nclient_secret: clientsecret\ndiscovery_endpoint: http://cloud.test/identity/v3"
                .to_owned(),
            "names no token_endpoint that may be used: set access_token_endpoint",
        ),
    ] {
        let simulated = simulated();
        let cloud = connect(&simulated, &clouds_yaml("v3oidcclientcredentials", &auth));
        let error = ask(&cloud).await.unwrap_err();
        assert!(error.message.contains(expected), "{auth}\n{error}");
        assert!(!format!("{error:?}").contains("clientsecret"), "{error:?}");
    }
    let simulated = simulated();
    simulated.fault(Fault::on(Method::POST, "/token", Trouble::ResetBefore).always());
    let auth = format!("client_id: csi-client\nclient_secret: clientsecret\n{at}");
    let error = ask(&connect(&simulated, &clouds_yaml("v3oidcclientcredentials", &auth))).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_with_the_line_of_keystones_address() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = server.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            held.push(stream);
        }
    });
    let yaml = clouds_yaml("v3oidcaccesstoken", "access_token: canary");
    let config = Config::load(&yaml, &request()).unwrap();
    let mut options = config.clouds[""].clone();
    options.auth_url = format!("https://{address}/v3").parse().unwrap();
    let http = openstack::http::client(&options.tls, &config.proxy).unwrap();
    let error = ask(&Cloud::new(http, options)).await.unwrap_err().to_string();
    let parts = ["doesn't speak TLS", "should \"auth_url\" in clouds.yaml:5, or the", "begin with http:// ?"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    assert!(!error.contains("canary"), "{error}");
}

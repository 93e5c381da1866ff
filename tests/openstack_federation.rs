//! Users of another identity provider on a real Keystone, Cinder and Nova: `tests/run openstack` starts them.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/others.rs"]
mod others;

use std::path::{Path, PathBuf};

use base64::Engine;
use bed::{Driver, Lab, create_request, within};
use bytes::Bytes;
use cinder_csi::csi::proto::*;
use client::Client;
use others::auth_url;
use serde_json::Value;
use tonic::{Code, Status};
use tower::ServiceExt;

const CLIENT: &str = "client_id: csi-client\nclient_secret: clientsecret\n";
const USER: &str = "username: kubernetes\npassword: usersecret\n";

/// The settings of a cloud whose users the lab's identity provider vouches for.
struct Settings {
    directory: tempfile::TempDir,
    conf: PathBuf,
}

impl Settings {
    fn new(lab: &Lab, auth_type: &str, auth: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (conf, clouds) = (directory.path().join("cloud.conf"), directory.path().join("clouds.yaml"));
        let own: String = auth.lines().map(|line| format!("      {line}\n")).collect();
        let yaml = format!(
            "clouds:\n  federated:\n    auth_type: {auth_type}\n    region_name: RegionOne\n    auth:\n      \
             auth_url: {}\n      identity_provider: lab-idp\n      protocol: mapped\n      project_name: k8s\n      \
             project_domain_name: Default\n{own}",
            auth_url(lab)
        );
        std::fs::write(&clouds, yaml).unwrap();
        let text =
            format!("[Global]\nuse-clouds = true\nclouds-file = {}\ncloud = federated\n", clouds.display());
        std::fs::write(&conf, text).unwrap();
        Self { directory, conf }
    }

    async fn driver(&self, lab: &Lab) -> Driver {
        lab.driver_with(&self.conf, "NODE_1", &["--cluster=openstack-driver-test"]).await
    }
}

/// Of the lab's identity provider.
fn provider(lab: &Lab, path: &str) -> String {
    auth_url(lab).replace("/v3", &format!("/idp/{path}"))
}

/// An access token, as whoever writes it into a file gets it.
async fn access_token(lab: &Lab) -> String {
    let basic = base64::engine::general_purpose::STANDARD.encode("csi-client:clientsecret");
    let request = http::Request::post(provider(lab, "token"))
        .header("Authorization", format!("Basic {basic}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(Bytes::from_static(b"grant_type=client_credentials&scope=openid"))
        .unwrap();
    let answer: Value =
        serde_json::from_slice(Client::sockets().oneshot(request).await.unwrap().body()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Everything that a token is for: Cinder takes the project's, whoever vouched for its user.
async fn use_cloud(driver: &Driver, name: &str) -> Result<(), Status> {
    let volume = driver.create(create_request(name)).await?;
    driver.delete(&volume).await;
    Ok(())
}

/// The smallest thing that a token is for.
async fn look(driver: &Driver) -> Result<(), Status> {
    let request = ListVolumesRequest { max_entries: 1, ..Default::default() };
    driver.controller.clone().list_volumes(within(10, request)).await.map(drop)
}

#[tokio::test]
async fn every_way_to_an_access_token_makes_and_deletes_a_volume() {
    let lab = Lab::take().await;
    let at = format!("access_token_endpoint: {}\n", provider(&lab, "token"));
    let told = format!("discovery_endpoint: {}\n", provider(&lab, ".well-known/openid-configuration"));
    let given = format!("access_token: {}\n", access_token(&lab).await);
    for (n, (auth_type, auth)) in [
        ("v3oidcclientcredentials", format!("{CLIENT}{at}")),
        ("v3oidcclientcredentials", format!("{CLIENT}{told}")),
        ("v3oidcpassword", format!("{CLIENT}{at}{USER}")),
        ("v3oidcpassword", format!("{CLIENT}{told}{USER}")),
        ("v3oidcaccesstoken", given),
    ]
    .into_iter()
    .enumerate()
    {
        let settings = Settings::new(&lab, auth_type, &auth);
        let used = use_cloud(&settings.driver(&lab).await, &format!("federation-{n}")).await;
        used.unwrap_or_else(|status| panic!("{auth_type} {auth}: {status}"));
    }
}

/// Written at once, as a kubelet does.
fn replace(file: &Path, text: &str) {
    let part = file.with_extension("part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, file).unwrap();
}

#[tokio::test]
async fn an_access_token_is_read_again_when_its_file_changes() {
    let lab = Lab::take().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    replace(&file, "0123456789abcdef");
    let settings =
        Settings::new(&lab, "v3oidcaccesstoken", &format!("access_token_file: {}\n", file.display()));
    let driver = settings.driver(&lab).await;
    let status = look(&driver).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(status.message().contains("whether the access token has expired"), "{status}");
    replace(&file, &format!("{}\n", access_token(&lab).await));
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while let Err(status) = look(&driver).await {
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(tokio::time::Instant::now() < end, "the file wasn't read again: {status}");
        cinder_csi::pace::sleep(std::time::Duration::from_millis(500)).await;
    }
    use_cloud(&driver, "federation-file").await.unwrap();
}

#[tokio::test]
async fn who_the_provider_does_not_know_is_told_what_to_check() {
    let lab = Lab::take().await;
    let at = format!("access_token_endpoint: {}\n", provider(&lab, "token"));
    for (auth_type, auth, words) in [
        (
            "v3oidcclientcredentials",
            format!("client_id: csi-client\nclient_secret: wrong\n{at}"),
            "invalid_client: who is this?; check the client id csi-client",
        ),
        (
            "v3oidcpassword",
            format!("{CLIENT}{at}username: kubernetes\npassword: wrong\n"),
            "invalid_grant: not for you",
        ),
        ("v3oidcclientcredentials", format!("{CLIENT}{at}openid_scope: email\n"), "invalid_scope: no openid"),
        ("v3oidcaccesstoken", "access_token: nobodys\n".to_owned(), "whether the access token has expired"),
    ] {
        let settings = Settings::new(&lab, auth_type, &auth);
        let status = look(&settings.driver(&lab).await).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{auth}: {status}");
        assert!(status.message().contains(words), "{auth}: {status}");
        assert!(!status.message().contains("clientsecret"), "{status}");
    }
}

//! A canary for a secret, through every path: it is sent to Keystone and shown to nobody.
//!
//! What a person may see is collected: the log at TRACE, every error, every `Debug`, every gRPC message.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use bed::options;
use bytes::Bytes;
use cinder_csi::config::{Config, Fixed, Request};
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{
    ApplicationCredential, Cloud, Credential, Federated, Grant, Http, OidcClient, Options, Proof, Proxy,
    Scope, Tls, TokenEndpoint, TokenType, User, UserDomain,
};
use cinder_csi::sandbox::{Settings, SimulatedCloud};
use cinder_csi::volume::Volumes;
use driver::Driver;
use secrecy::SecretString;
use tower::{ServiceExt, service_fn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

const CANARY: &str = "canary-s3cr3t";
const VOLUME: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
const SERVER: &str = "565a704c-1cc8-4653-af53-6e8bc1dc4022";

/// What `work` logs, ours at TRACE and the rest at INFO: h2 shows the bytes that pass at its own TRACE, and nobody can turn
/// that on without meaning it.
async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let shown = Targets::new().with_default(LevelFilter::INFO).with_target("cinder_csi", LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer().with_writer(log.reopen().unwrap()).with_filter(shown);
    let subscriber = tracing_subscriber::registry().with(lines);
    // With one subscriber only, tracing lets another test's thread decide for all what is logged:
    // https://github.com/tokio-rs/tracing/issues/3611. With two it asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    // The driver's tasks are of this thread, too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let output = work.await;
    (output, std::fs::read_to_string(log.path()).unwrap())
}

/// `csi:canary-s3cr3t`, as a client of an identity provider writes it.
const BASIC: &str = "Y3NpOmNhbmFyeS1zM2NyM3Q";

fn hidden(seen: &str) {
    for secret in [CANARY, "gAAAAA", BASIC] {
        assert!(!seen.contains(secret), "{seen}");
    }
}

fn secret() -> SecretString {
    SecretString::from(CANARY)
}

/// Every way to prove oneself.
fn credentials(secret: &str) -> Vec<Credential> {
    let secret = || SecretString::from(secret);
    let domain = || UserDomain::Name("Default".to_owned());
    let user = || User::Name { name: "csi".to_owned(), domain: domain() };
    let project = || Scope::ProjectName { name: "k8s".to_owned(), domain: domain() };
    let scopes =
        || [project(), Scope::ProjectId("p".to_owned()), Scope::Trust("t".to_owned()), Scope::Unscoped];
    let mut all = Vec::new();
    for scope in scopes() {
        all.push(Credential::Password { user: user(), password: secret(), scope });
    }
    for scope in scopes() {
        all.push(Credential::Token { token: secret(), scope });
    }
    for by in [
        ApplicationCredential::Id("a".to_owned()),
        ApplicationCredential::Name { name: "a".to_owned(), user: User::Id("u".to_owned()) },
    ] {
        all.push(Credential::ApplicationCredential { by, secret: secret() });
    }
    all.extend(federated(secret).map(|proof| {
        let who = Federated { identity_provider: "corp".to_owned(), protocol: "openid".to_owned(), proof };
        Credential::Federated { who, scope: project() }
    }));
    all
}

/// Every way to prove oneself to an identity provider, which is as talkative as the cloud.
fn federated(secret: impl Fn() -> SecretString) -> [Proof; 4] {
    let url: url::Url = "http://cloud.test/idp".parse().unwrap();
    let client = |endpoint, grant, secret| {
        let (id, scope) = ("csi".to_owned(), "openid".to_owned());
        Proof::Client(OidcClient { id, secret, endpoint, scope, token_type: TokenType::AccessToken, grant })
    };
    let user = Grant::Password { username: "csi".to_owned(), password: secret() };
    [
        Proof::AccessToken(secret()),
        client(TokenEndpoint::At(url.clone()), Grant::ClientCredentials, Some(secret())),
        client(TokenEndpoint::ToldBy(url.clone()), Grant::ClientCredentials, Some(secret())),
        client(TokenEndpoint::At(url), user, None),
    ]
}

/// A cloud that repeats what it was sent, in every answer.
fn echo(status: u16) -> Http {
    Http::new(service_fn(move |request: http::Request<Bytes>| async move {
        let token = request.headers().get("x-auth-token").map(|token| token.to_str().unwrap().to_owned());
        let header = request.headers().get("authorization").map(|value| value.to_str().unwrap_or_default());
        let sent = format!("{:?} {token:?} {header:?}", String::from_utf8_lossy(request.body()));
        let body = serde_json::json!({ "error": { "message": sent, "code": status } }).to_string();
        Ok(http::Response::builder().status(status).body(Bytes::from(body)).unwrap())
    }))
}

/// The simulated cloud, but Cinder and Nova fail and repeat the token and the body.
fn echo_behind_keystone(cloud: &SimulatedCloud, status: u16) -> Http {
    let keystone = cloud.http();
    let others = echo(status);
    Http::new(service_fn(move |request: http::Request<Bytes>| {
        let is_keystone = request.uri().path().starts_with("/identity");
        if is_keystone { keystone.clone() } else { others.clone() }.oneshot(request)
    }))
}

fn secrets() -> HashMap<String, String> {
    HashMap::from([("password".to_owned(), CANARY.to_owned()), (CANARY.to_owned(), CANARY.to_owned())])
}

fn mounted(flags: &[&str]) -> VolumeCapability {
    let mount = MountVolume {
        fs_type: "ext4".to_owned(),
        mount_flags: flags.iter().map(|flag| flag.to_string()).collect(),
        volume_mount_group: String::new(),
    };
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Mount(mount)),
    }
}

/// Every RPC of the Controller that takes secrets; what they answer.
async fn every_answer(driver: &Driver, capability: VolumeCapability) -> String {
    let mut seen = String::new();
    let mut controller = driver.controller();
    let (volume_id, node_id) = (|| VOLUME.to_owned(), || SERVER.to_owned());
    let volume_capability = || Some(capability.clone());
    let volume_capabilities = || vec![capability.clone()];
    let capacity_range = Some(CapacityRange { required_bytes: 1 << 30, limit_bytes: 0 });
    macro_rules! call {
        ($rpc:ident, $request:expr) => {{
            let mut request = tonic::Request::new($request);
            request.set_timeout(Duration::from_secs(2));
            write!(seen, "{:?}\n", controller.$rpc(request).await).unwrap();
        }};
    }
    call!(
        create_volume,
        CreateVolumeRequest {
            name: "pvc-1".to_owned(),
            volume_capabilities: volume_capabilities(),
            secrets: secrets(),
            ..Default::default()
        }
    );
    call!(delete_volume, DeleteVolumeRequest { volume_id: volume_id(), secrets: secrets() });
    call!(
        controller_publish_volume,
        ControllerPublishVolumeRequest {
            volume_id: volume_id(),
            node_id: node_id(),
            volume_capability: volume_capability(),
            secrets: secrets(),
            ..Default::default()
        }
    );
    call!(
        controller_unpublish_volume,
        ControllerUnpublishVolumeRequest { volume_id: volume_id(), node_id: node_id(), secrets: secrets() }
    );
    call!(
        controller_expand_volume,
        ControllerExpandVolumeRequest {
            volume_id: volume_id(),
            capacity_range,
            secrets: secrets(),
            ..Default::default()
        }
    );
    call!(
        validate_volume_capabilities,
        ValidateVolumeCapabilitiesRequest {
            volume_id: volume_id(),
            volume_capabilities: volume_capabilities(),
            secrets: secrets(),
            ..Default::default()
        }
    );
    seen
}

#[tokio::test(start_paused = true)]
async fn no_credential_is_shown_by_a_cloud_that_repeats_it() {
    // JSON writes the second one in another way, and JSON in JSON in a third.
    for (credential, status) in [CANARY, "\"\\é\ncanary-s3cr3t\"\\"]
        .into_iter()
        .flat_map(credentials)
        .flat_map(|credential| [400, 401, 403, 500].map(|status| (credential.clone(), status)))
    {
        {
            let options = Options { credential: credential.clone(), ..options("csi", "k8s") };
            let shown = format!("{options:?}");
            let (seen, log) = logged(async {
                let cloud = Cloud::new(echo(status), options);
                let volumes = Volumes::new(cloud.clone());
                let driver = Driver::in_memory(volumes.clone());
                let answers = every_answer(&driver, mounted(&[])).await;
                format!("{cloud:?} {volumes:?} {answers}")
            })
            .await;
            assert!(log.contains("rpc") && seen.contains("Keystone"), "{log}\n{seen}");
            hidden(&format!("{shown}\n{seen}\n{log}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_token_is_shown_by_a_cloud_that_repeats_it() {
    for status in [400, 401, 403, 404, 409, 413, 500, 503] {
        let cloud = SimulatedCloud::new(Settings::default());
        let http = echo_behind_keystone(&cloud, status);
        let (seen, log) = logged(async {
            let driver = Driver::in_memory(Volumes::new(Cloud::new(http, options("csi", "k8s"))));
            every_answer(&driver, mounted(&[])).await
        })
        .await;
        assert!(log.contains("/auth/tokens"), "{log}");
        hidden(&format!("{seen}\n{log}"));
        assert!(!format!("{seen}{log}").contains("labsecret"));
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_a_request_and_no_mount_flag_is_shown() {
    let flags = [
        format!("password={CANARY}"),
        format!("--{CANARY}"),
        format!("loop={CANARY}"),
        format!("a\n{CANARY}"),
        CANARY.repeat(400),
    ];
    for flag in &flags {
        let cloud = SimulatedCloud::new(Settings::default());
        let (seen, log) = logged(async {
            let driver = Driver::in_memory(bed::controller(&cloud));
            let answers = every_answer(&driver, mounted(&[flag])).await;
            let stage = NodeStageVolumeRequest {
                volume_id: VOLUME.to_owned(),
                staging_target_path: "/nowhere/staging".to_owned(),
                volume_capability: Some(mounted(&[flag])),
                secrets: secrets(),
                ..Default::default()
            };
            let publish = NodePublishVolumeRequest {
                volume_id: VOLUME.to_owned(),
                staging_target_path: "/nowhere/staging".to_owned(),
                target_path: "/nowhere/target".to_owned(),
                volume_capability: Some(mounted(&[flag])),
                secrets: secrets(),
                ..Default::default()
            };
            let mut stage = tonic::Request::new(stage);
            stage.set_timeout(Duration::from_secs(1));
            let staged = driver.node().node_stage_volume(stage).await;
            let published = driver.node().node_publish_volume(publish).await;
            // An accepted request is repeated to its own caller, as ValidateVolumeCapabilities must.
            format!("{answers}\n{staged:?}\n{published:?}")
        })
        .await;
        hidden(&log);
        let errors = seen.lines().filter(|line| line.starts_with("Err")).collect::<Vec<_>>().join("\n");
        assert!(!errors.is_empty());
        hidden(&errors);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_cloud_is_named_and_no_other_secret_of_the_request() {
    let cloud = SimulatedCloud::new(Settings::default());
    let driver = Driver::in_memory(bed::controller(&cloud));
    let mut secrets = secrets();
    secrets.insert("cloud".to_owned(), "elsewhere".to_owned());
    let request = DeleteVolumeRequest { volume_id: VOLUME.to_owned(), secrets };
    let status = driver.controller().delete_volume(request).await.unwrap_err();
    assert!(status.message().contains("elsewhere"), "{status:?}");
    hidden(&format!("{status:?}"));
}

#[test]
fn no_setting_shows_its_secret() {
    let base = "[Global]\nauth-url=https://k/v3\nusername=u\ntenant-name=p\ndomain-name=d\n";
    for (line, is_good) in [
        ("password=canary-s3cr3t", true),
        ("token=canary-s3cr3t", true),
        ("application-credential-id=a\napplication-credential-secret=canary-s3cr3t", true),
        ("trust-id=t\ntrustee-id=i\ntrustee-password=canary-s3cr3t", false),
        ("password=\"canary-s3cr3t", false),
        ("pasword=canary-s3cr3t", false),
        ("password canary-s3cr3t", false),
        ("tls-insecure=canary-s3cr3t", false),
    ] {
        let file = "/etc/config/cloud.conf";
        let source = Fixed::default().with_file(file, format!("{base}{line}\n"));
        let request = Request { files: vec![file.into()], ..Request::default() };
        let loaded = Config::load(&source, &request);
        assert!(loaded.is_ok() || !is_good, "{line}: {loaded:?}");
        let shown = match &loaded {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        hidden(&shown);
        let (_, result) = cinder_csi::config::Watch::start(&source, request);
        hidden(&format!("{result:?}"));
    }
}

#[test]
fn no_key_and_no_proxy_shows_its_secret() {
    let proxy = Proxy { http: Some(secret()), https: Some(secret()), bypass: String::new() };
    let tls = Tls { identity: Some((b"certificate".to_vec(), secret())), ..Tls::default() };
    hidden(&format!("{proxy:?} {tls:?}"));
    let error = cinder_csi::openstack::http::client(&tls, &proxy).err();
    hidden(&format!("{error:?}"));
}

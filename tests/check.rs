//! `cinder-csi check`, as a user runs it: on the simulated cloud, and on clouds that aren't as they should be.

#![cfg(feature = "sandbox")]
#![allow(clippy::disallowed_methods, reason = "it runs the binary as a user does")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "check/checked.rs"]
mod checked;
#[path = "check/node.rs"]
mod node;
#[path = "bed/untrusted.rs"]
mod untrusted;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use checked::{Bed, PASSWORD, conf};
use cinder_csi::sandbox::{Fault, Quota, Settings, SimulatedCloud, Trouble};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use untrusted::self_signed::SelfSigned;

const ALL: [&str; 11] = [
    "settings",
    "authentication",
    "clock",
    "tls",
    "catalog",
    "cinder",
    "nova",
    "zones",
    "volume-types",
    "quotas",
    "backups",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_as_it_should_be_has_no_failed_row_and_is_only_read() {
    let bed = Bed::new(Settings::default()).await;
    let report = bed.check(&[]);
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(report.checks(), ALL);
    // http, and what only an administrator is told.
    let ok: Vec<_> = ALL.into_iter().filter(|check| !["tls", "backups"].contains(check)).collect();
    assert_eq!(report.with("ok"), ok);
    assert_eq!((report.with("warning"), report.with("unknown")), (vec!["tls"], vec!["backups"]));
    for (check, words) in [
        ("authentication", "a token for 4 h, as csi in project k8s, roles member, reader"),
        ("cinder", "offers 3.0 to 3.71: all that is needed"),
        ("nova", "offers 2.1 to 2.104: all that is needed"),
        ("zones", "compute az1, az2; volumes az1, az2"),
        ("volume-types", "default lab; multiattach lab-multiattach"),
        ("quotas", "1000 of 1000 volumes, 20000 of 20000 GiB"),
    ] {
        assert!(report.row(check)["found"].as_str().unwrap().contains(words), "{check}: {report:?}");
    }
    for call in bed.cloud.calls() {
        assert!(call.method == Method::GET || call.path == "/auth/tokens", "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_the_same_and_fits_into_100_columns() {
    let settings =
        Settings { compute_zones: Some(vec!["rack1".into(), "rack2".into()]), ..Settings::default() };
    let bed = Bed::new(settings).await;
    let (code, table) = bed.table(&[]);
    assert_eq!(code, 1, "{table}");
    for check in ALL {
        assert!(table.lines().any(|line| line.split_whitespace().nth(1) == Some(check)), "{check}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(!table.contains('\u{1b}') && table.ends_with("1 failed\n"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_one_sentence_with_the_key_to_change() {
    let bed = Bed::new(Settings::default()).await;
    bed.write(&conf(bed.address, "canary-wrong"));
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("failed")), (1, vec!["authentication"]));
    assert_eq!(report.checks(), ["settings", "authentication", "tls", "not-asked"]);
    let (found, next) = report.told("authentication");
    assert!(found.starts_with("Keystone could not give a token: HTTP 401: "), "{found}");
    assert!(
        next.starts_with("check the password, the domain and the project of user csi: see \"password\" in "),
        "{next}"
    );
    assert!(next.contains("cloud.conf:4"), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_names_the_file_of_authorities() {
    let bed = Bed::new(Settings::default()).await;
    let server = untrusted::untrusted(Ipv4Addr::LOCALHOST.into()).await;
    let text = conf(server, PASSWORD).replace("http://", "https://");
    bed.write(&text);
    let (_, next) = bed.check(&[]).failed_alone("tls");
    assert_eq!(next, format!("see \"ca-file\", which isn't set in [Global] ({})", bed.file()));
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    std::fs::write(bed.path("ca.pem"), other).unwrap();
    bed.write(&format!("{text}ca-file = {}\n", bed.path("ca.pem").display()));
    let (found, next) = bed.check(&[]).failed_alone("tls");
    assert!(found.contains("certificate"), "{found}");
    assert_eq!(next, format!("see \"ca-file\" in {}:7", bed.file()));
}

/// The catalog names the same address without TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_is_trusted_by_the_file_and_a_bare_catalog_is_told() {
    let bed = Bed::new(Settings::default()).await;
    let own = SelfSigned::of(Ipv4Addr::LOCALHOST);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let front = listener.local_addr().unwrap();
    let behind = bed.address;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = own.acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let mut plain = tokio::net::TcpStream::connect(behind).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut tls, &mut plain).await);
            });
        }
    });
    std::fs::write(bed.path("ca.pem"), own.authority).unwrap();
    let text = conf(front, PASSWORD).replace("http://", "https://");
    bed.write(&format!("{text}ca-file = {}\n", bed.path("ca.pem").display()));
    let report = bed.check(&[]);
    assert_eq!(report.row("authentication")["verdict"], "ok", "{report:?}");
    assert!(report.told("tls").0.starts_with("the catalog names http://"), "{report:?}");
    assert!(report.told("tls").1.contains("os-endpoint-type"), "{report:?}");
    assert_eq!(report.with("failed"), ["cinder", "nova"]);
    assert!(report.told("cinder").1.starts_with("is Cinder up"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_there_is_told_with_those_that_are() {
    let bed = Bed::new(Settings::default()).await;
    bed.write(&format!("{}region = Nowhere\n", conf(bed.address, PASSWORD)));
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("failed")), (1, vec!["catalog"]));
    assert_eq!(report.row("not-asked")["found"], "cinder, nova, zones, volume-types, quotas, backups");
    let (found, next) = report.told("catalog");
    assert!(found.contains("in region Nowhere"), "{found}");
    assert!(
        next.contains("in RegionOne") && next.contains(&format!("\"region\" in {}:7", bed.file())),
        "{next}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_names_the_address_and_its_key() {
    let bed = Bed::new(Settings::default()).await;
    let port = tokio::net::TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    bed.write(&conf(address, PASSWORD));
    let (found, next) = bed.check(&[]).failed_alone("authentication");
    assert!(found.contains(&address.to_string()) && found.contains("Connection refused"), "{found}");
    assert_eq!(next, format!("is \"auth-url\" in {}:2 right, and Keystone up?", bed.file()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cloud_names_what_falls_away() {
    let bed = Bed::new(Settings { block_storage: (3, 50), compute: (2, 50), ..Settings::default() }).await;
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("warning")), (0, vec!["tls", "cinder", "nova"]));
    let (found, next) = report.told("cinder");
    assert!(
        found.contains("offers 3.0 to 3.50. Without: 3.51 availability of a backup class; 3.60 "),
        "{found}"
    );
    assert!(next.contains("OpenStack Ussuri"), "{next}");
    assert!(report.told("nova").0.contains("2.60 a multiattach volume; 2.84 "));
    bed.write(&format!("{}[BlockStorage]\nignore-volume-microversion = true\n", conf(bed.address, PASSWORD)));
    assert_eq!(bed.check(&[]).told("cinder").1, "remove ignore-volume-microversion");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_of_other_names_get_their_map_which_then_mends_them() {
    let zones = ["rack1", "rack2"].map(str::to_owned);
    let settings =
        Settings { zones: vec!["nova".into()], compute_zones: Some(zones.into()), ..Settings::default() };
    let bed = Bed::new(Settings { servers: vec![("node-1".into(), "rack1".into())], ..settings }).await;
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("failed")), (1, vec!["zones"]));
    let next = report.told("zones").1;
    let line = next.split('"').nth(1).unwrap();
    assert_eq!(line, "az-map = rack1=nova,rack2=nova");
    assert_eq!(bed.check(&["--with-topology=false"]).code, 0);
    bed.write(&format!("{}[BlockStorage]\n{line}\n", conf(bed.address, PASSWORD)));
    let report = bed.check(&[]);
    assert_eq!((report.code, &report.row("zones")["verdict"]), (0, &"ok".into()), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_and_a_quota_that_is_spent_are_told() {
    let quota = Quota { volumes: 0, ..Quota::default() };
    let bed = Bed::new(Settings { clock_skew: -600, quota, ..Settings::default() }).await;
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("failed")), (1, vec!["quotas"]));
    let found = report.told("clock").0;
    assert!(found.starts_with("the cloud's is 9 min 5") && found.ends_with("behind ours"), "{found}");
    assert!(report.told("quotas").1.starts_with("delete volumes that aren't needed"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_is_one_failed_row_in_time() {
    let bed = Bed::new(Settings::default()).await;
    for path in ["/os-availability-zone", "/types"] {
        bed.cloud.fault(Fault::on(Method::GET, path, Trouble::ReplyLost).always());
    }
    let began = Instant::now();
    let report = bed.check(&[]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((report.code, report.with("failed")), (1, vec!["zones", "volume-types"]));
    assert!(report.told("zones").0.ends_with("no answer in time"), "{report:?}");
    assert_eq!(report.row("quotas")["verdict"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_that_is_named_has_its_rows() {
    let bed = Bed::new(Settings::default()).await;
    let global = |name: &str, password: &str| {
        conf(bed.address, password).replace("[Global]", &format!("[Global \"{name}\"]"))
    };
    bed.write(&format!("{}{}", global("east", PASSWORD), global("west", "canary-west")));
    let report = bed.check(&["--cloud-name=east,west"]);
    let of = |cloud: &str| report.rows.iter().filter(|row| row["cloud"] == cloud).count();
    assert_eq!((report.code, of("east"), of("west")), (1, ALL.len() - 1, 3), "{report:?}");
    let refused = bed.run(&["--cloud-name=north"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no section [Global \"north\"]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_look_like_a_mistake_are_warnings_and_unusable_ones_are_64() {
    let bed = Bed::new(Settings::default()).await;
    bed.write(&format!("{}ca-fil = /x\n", conf(bed.address, PASSWORD)));
    let report = bed.check(&[]);
    assert_eq!(report.row("settings")["verdict"], "warning");
    assert!(report.told("settings").0.contains("cloud.conf:7") && report.code == 0, "{report:?}");
    for text in ["[Global]\nauth-url = keystone\n", "[Global\n"] {
        bed.write(text);
        let output = bed.run(&["--json"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_a_cloud_as_it_does_for_the_driver() {
    let bed = Bed::new(Settings::default()).await;
    let mut command = Bed::bare();
    let auth_url = format!("http://{}/identity/v3", bed.address);
    command.args(["check", "--json"]).envs([
        ("OS_AUTH_URL", auth_url.as_str()),
        ("OS_USERNAME", "csi"),
        ("OS_PASSWORD", PASSWORD),
        ("OS_PROJECT_NAME", "k8s"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
    ]);
    let report = checked::Report::of(&command.output().unwrap());
    assert_eq!((report.code, report.checks()), (0, ALL.to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_something_else_is_told_as_such() {
    let bed = Bed::new(Settings::default()).await;
    let other = SimulatedCloud::new(Settings::default());
    let served = other.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, served.port()));
    bed.write(&conf(address, PASSWORD).replace("/identity/v3", "/image"));
    let report = bed.check(&[]);
    assert_eq!((report.code, report.with("failed")), (1, vec!["authentication"]), "{report:?}");
    assert!(report.told("authentication").1.contains("auth-url"), "{report:?}");
}

/// As a proxy that debugs does.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_what_it_was_sent_shows_no_secret() {
    let bed = Bed::new(Settings::default()).await;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    bed.write(&conf(listener.local_addr().unwrap(), PASSWORD));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 65536];
        let length = stream.read(&mut heard).await.unwrap();
        let head =
            format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &heard[..length]].concat()).await.unwrap();
    });
    let (found, _) = bed.check(&[]).told("authentication");
    assert!(found.contains("HTTP 400") && found.contains("[hidden]"), "{found}");
}

//! `cinder-csi check` on a real Keystone, Cinder and Nova: `tests/run openstack` starts them.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(clippy::disallowed_methods, reason = "it runs the binary as a user does")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "check/checked.rs"]
mod checked;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/others.rs"]
mod others;

use bed::Lab;
use checked::{Bed, Report};
use cinder_csi::sandbox::{Settings, SimulatedCloud};
use client::Client;
use http::Method;
use others::tenant;

/// As the lab's `clouds.yaml` names it.
fn check(lab: &Lab, cloud: &str, flags: &[&str]) -> Report {
    let mut command = Bed::bare();
    command.env("OS_CLIENT_CONFIG_FILE", lab.path("clouds.yaml"));
    command.args(["check", "--json", "--cloud", cloud]).args(flags);
    Report::of(&command.output().unwrap())
}

#[tokio::test]
async fn a_member_sees_that_all_is_well_with_every_credential() {
    let lab = Lab::take().await;
    for cloud in ["lab", "lab-application-credential", "lab-federated"] {
        let report = check(&lab, cloud, &[]);
        assert_eq!((report.code, report.with("warning")), (0, vec!["tls"]), "{cloud}: {report:?}");
        for (check, words) in [
            ("authentication", " in project k8s, roles "),
            ("clock", "the cloud's and ours agree"),
            ("cinder", ": all that is needed"),
            ("nova", ": all that is needed"),
            ("zones", "compute az1, az2; volumes az1, az2"),
            ("volume-types", "multiattach lab-multiattach"),
            ("quotas", " of 1000 volumes"),
        ] {
            assert!(report.told(check).0.contains(words), "{cloud} {check}: {report:?}");
        }
    }
}

#[tokio::test]
async fn an_administrator_is_told_of_the_backup_service() {
    let lab = Lab::take().await;
    let report = check(&lab, "lab-admin", &[]);
    assert_eq!(report.row("backups")["verdict"], "ok", "{report:?}");
    assert!(report.told("backups").0.contains("(enabled, up)"), "{report:?}");
}

#[tokio::test]
async fn what_is_wrong_is_one_row_with_its_key() {
    let lab = Lab::take().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud.conf");
    let conf = std::fs::read_to_string(lab.path("cloud.conf")).unwrap();
    for (change, to, check, words) in [
        ("labsecret", "canary-wrong", "authentication", "\"password\" in "),
        ("tenant-name = k8s", "tenant-name = nobodys", "authentication", "\"tenant-name\" in "),
        ("RegionOne", "RegionTwo", "catalog", "\"region\" in "),
    ] {
        std::fs::write(&file, conf.replace(change, to)).unwrap();
        let mut command = Bed::bare();
        let report =
            Report::of(&command.args(["check", "--json", "--cloud-config"]).arg(&file).output().unwrap());
        assert_eq!((report.code, report.with("failed")), (1, vec![check]), "{report:?}");
        assert!(report.told(check).1.contains(words), "{report:?}");
    }
}

/// What the simulated cloud says of these, the real one says.
#[tokio::test]
async fn the_simulated_cloud_hides_its_services_as_the_real_one_does() {
    let lab = Lab::take().await;
    let simulated = Client::of(&SimulatedCloud::new(Settings::default())).await;
    let real = tenant(&lab).await;
    for path in ["/os-services?binary=cinder-backup", "/os-services"] {
        let (simulated, real) = (
            simulated.cinder(Method::GET, path, "", None).await,
            real.cinder(Method::GET, path, "", None).await,
        );
        assert_eq!((simulated.code, simulated.body), (real.code, real.body), "{path}");
    }
    let path = "/os-availability-zone";
    let (simulated, real) =
        (simulated.nova(Method::GET, path, "", None).await, real.nova(Method::GET, path, "", None).await);
    assert_eq!((simulated.code, simulated.body), (real.code, real.body), "{path}");
}

//! The simulated cloud on a port, a cloud.conf, and what the binary says of them. No output may hold a secret.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use cinder_csi::sandbox::{Served, Settings, SimulatedCloud};
use serde_json::Value;

/// Of the simulated cloud's user.
pub const PASSWORD: &str = "labsecret";

pub struct Bed {
    pub cloud: SimulatedCloud,
    pub address: SocketAddr,
    _served: Served,
    directory: tempfile::TempDir,
}

/// What `--json` printed.
#[derive(Debug)]
pub struct Report {
    pub code: i32,
    pub rows: Vec<Value>,
}

impl Bed {
    /// With the settings that are right for it.
    pub async fn new(settings: Settings) -> Self {
        let cloud = SimulatedCloud::new(settings);
        let served = cloud.serve((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, served.port()));
        let bed = Self { cloud, address, _served: served, directory: tempfile::tempdir().unwrap() };
        bed.write(&conf(address, PASSWORD));
        bed
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn file(&self) -> String {
        self.path("cloud.conf").display().to_string()
    }

    pub fn write(&self, text: &str) {
        std::fs::write(self.path("cloud.conf"), text).unwrap();
    }

    pub fn bare() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
        command.env_clear().stdin(Stdio::null());
        command
    }

    pub fn run(&self, flags: &[&str]) -> Output {
        let output =
            Self::bare().args(["check", "--cloud-config", &self.file()]).args(flags).output().unwrap();
        assert_secretless(&output);
        output
    }

    pub fn check(&self, flags: &[&str]) -> Report {
        Report::of(&self.run(&[flags, &["--json"]].concat()))
    }

    pub fn table(&self, flags: &[&str]) -> (i32, String) {
        let output = self.run(flags);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

impl Report {
    pub fn of(output: &Output) -> Self {
        assert_secretless(output);
        assert!(output.stderr.is_empty(), "{output:?}");
        let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = output.status.code().unwrap();
        assert_eq!(
            (whole["format"].as_u64(), &whole["version"]),
            (Some(1), &env!("CARGO_PKG_VERSION").into())
        );
        let rows = whole["rows"].as_array().unwrap().clone();
        rows.iter().for_each(assert_is_a_row);
        let failed = rows.iter().any(|row| row["verdict"] == "failed");
        assert_eq!((code == 1, whole["verdict"] == "failed"), (failed, failed), "{whole}");
        Self { code, rows }
    }

    pub fn row(&self, check: &str) -> &Value {
        self.rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no {check}: {self:?}"))
    }

    /// What was found, and the next step.
    pub fn told(&self, check: &str) -> (String, String) {
        let row = self.row(check);
        (row["found"].as_str().unwrap().to_owned(), row["next"].as_str().unwrap_or_default().to_owned())
    }

    pub fn checks(&self) -> Vec<&str> {
        self.rows.iter().filter_map(|row| row["check"].as_str()).collect()
    }

    pub fn with(&self, verdict: &str) -> Vec<&str> {
        self.rows
            .iter()
            .filter(|row| row["verdict"] == verdict)
            .filter_map(|row| row["check"].as_str())
            .collect()
    }

    /// What that row tells, which is the only one that failed, and the last that was asked.
    pub fn failed_alone(&self, check: &str) -> (String, String) {
        assert_eq!((self.code, self.checks()), (1, vec!["settings", check, "not-asked"]), "{self:?}");
        assert_eq!(self.with("failed"), [check]);
        self.told(check)
    }
}

fn assert_is_a_row(row: &Value) {
    let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["about", "check", "cloud", "found", "next", "verdict"]);
    let is_text = |key: &str| row[key].as_str().is_some_and(|text| !text.is_empty());
    assert!(["about", "check", "found", "verdict"].into_iter().all(is_text), "{row}");
    assert_eq!(row["about"] == "cloud", row["cloud"].is_string(), "{row}");
    assert_eq!(row["verdict"] == "ok", row["next"].is_null(), "{row}");
}

fn assert_secretless(output: &Output) {
    for text in [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()) {
        assert!(!text.contains(PASSWORD) && !text.contains("canary"), "{text}");
        // A token of the simulated cloud, as of Keystone: Fernet.
        assert!(!text.contains("gAAAA"), "{text}");
    }
}

pub fn conf(address: SocketAddr, password: &str) -> String {
    format!(
        "[Global]\nauth-url = http://{address}/identity/v3\nusername = csi\npassword = {password}\n\
         tenant-name = k8s\ndomain-name = Default\n"
    )
}

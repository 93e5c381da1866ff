//! `cinder-csi sandbox` as its users run it: the built binary.

#![allow(clippy::disallowed_methods, reason = "it runs the binary as a user does")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::identity_client::IdentityClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use cinder_csi::csi::proto::{
    ControllerPublishVolumeRequest, CreateVolumeRequest, NodeStageVolumeRequest, ProbeRequest,
    VolumeCapability,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

const BINARY: &str = env!("CARGO_BIN_EXE_cinder-csi");
const NOBODY: u32 = 65534;

/// The temporary directory of the sandboxes of one test.
struct Bed {
    directory: tempfile::TempDir,
}

/// A sandbox that doesn't outlive its test.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Bed {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("sandbox").args(flags).env("TMPDIR", self.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, flags: &[&str]) -> Output {
        self.command(flags).output().unwrap()
    }

    fn start(&self, flags: &[&str]) -> Running {
        let mut child = self.command(flags).stdin(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running { child, out }
    }

    /// Files, mounts and loop devices below the directory.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap().flatten();
        let mut left: Vec<_> = entries.map(|entry| entry.path().display().to_string()).collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = self.path().to_str().unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(below)).map(str::to_owned));
        left.extend(self.loop_devices());
        left
    }

    fn loop_devices(&self) -> Vec<String> {
        let devices = fs::read_dir("/sys/block").unwrap().flatten();
        let files =
            devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
        files.filter(|file| Path::new(file).starts_with(self.path())).collect()
    }
}

impl Running {
    /// Every line until one begins so.
    fn read_until(&mut self, begin: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended before {begin:?}: {lines:#?}");
            lines.push(line.trim_end().to_owned());
            if line.starts_with(begin) {
                return lines;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its exit code and the rest of what it says.
    fn end(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn need_root() {
    assert!(geteuid().is_root(), "the loop_ tests make loop devices and mounts: run them as root");
}

fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {lines:#?}"))
}

fn channel(socket: &str) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_shared(socket.to_owned()).unwrap().connect_lazy()
}

/// Creates a volume, attaches it to node-1 and stages it there.
async fn staged(lines: &[String], staging: &Path) {
    let capability = VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Mount(MountVolume::default())),
    };
    let mut controller = ControllerClient::new(channel(value(lines, "controller")));
    let create = CreateVolumeRequest {
        name: "pvc-1".to_owned(),
        volume_capabilities: vec![capability.clone()],
        ..Default::default()
    };
    let volume_id = controller.create_volume(create).await.unwrap().into_inner().volume.unwrap().volume_id;
    let attach = ControllerPublishVolumeRequest {
        volume_id: volume_id.clone(),
        node_id: value(lines, "server-1").to_owned(),
        volume_capability: Some(capability.clone()),
        ..Default::default()
    };
    let attached = controller.controller_publish_volume(attach).await.unwrap().into_inner();
    let stage = NodeStageVolumeRequest {
        volume_id,
        publish_context: attached.publish_context,
        staging_target_path: staging.to_str().unwrap().to_owned(),
        volume_capability: Some(capability),
        ..Default::default()
    };
    NodeClient::new(channel(value(lines, "node-1"))).node_stage_volume(stage).await.unwrap();
}

async fn probe(socket: &str) -> Option<bool> {
    IdentityClient::new(channel(socket)).probe(ProbeRequest {}).await.unwrap().into_inner().ready
}

fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn loop_a_volumes_life_is_told_and_ends_well() {
    need_root();
    let bed = Bed::new();
    let output = bed.run(&["--seed=7", "--latency=lab"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let steps = [
        "start",
        "create",
        "attach",
        "stage",
        "publish",
        "write",
        "expand",
        "read back",
        "unpublish",
        "unstage",
        "detach",
        "delete",
        "check",
    ];
    let mut rest = text.as_str();
    for step in steps {
        let line = rest.find(&format!("\n  {step} ")).unwrap_or_else(|| panic!("no {step} here: {rest}"));
        rest = &rest[line + 1..];
    }
    for expected in
        ["Nova POST /servers/{id}/os-volume_attachments", "/dev/loop", "came back equal", "Nothing is left"]
    {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn loop_a_step_that_fails_is_named_and_cleared_away() {
    need_root();
    let bed = Bed::new();
    // No file may be larger than a few MiB: the hypervisor can't make the disk.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" sandbox";
    let mut command = Command::new("sh");
    let output = command.args(["-c", script, BINARY]).env("TMPDIR", bed.path()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("attach failed") && error.contains("req-"), "{error}");
    let [log] = bed.left().try_into().unwrap();
    assert!(error.contains(&log), "{error} names no {log}");
    assert!(fs::read_to_string(log).unwrap().contains("ControllerPublishVolume"));
}

#[test]
fn loop_the_pause_shows_the_disk_and_enter_goes_on() {
    need_root();
    let bed = Bed::new();
    let mut sandbox = bed.start(&["--pause"]);
    let shown = sandbox.read_until("Press Enter").join("\n");
    assert_eq!(bed.loop_devices().len(), 1);
    let mount = shown.lines().find_map(|line| line.trim().strip_prefix("# findmnt ")).unwrap();
    assert_eq!(fs::metadata(Path::new(mount).join("proof")).unwrap().len(), 16 << 20);
    sandbox.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (code, text) = sandbox.end();
    assert_eq!(code, Some(0), "{shown}{text}");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn loop_an_interrupt_clears_everything_away() {
    need_root();
    let bed = Bed::new();
    let mut sandbox = bed.start(&["--pause"]);
    sandbox.read_until("Press Enter");
    sandbox.signal(Signal::SIGINT);
    let (code, text) = sandbox.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn loop_what_a_killed_sandbox_left_behind_goes_with_the_next_and_nothing_else() {
    need_root();
    let bed = Bed::new();
    let mut alive = bed.start(&["--pause"]);
    alive.read_until("Press Enter");
    let mut killed = bed.start(&["--pause"]);
    killed.read_until("Press Enter");
    killed.signal(Signal::SIGKILL);
    killed.end();
    assert_eq!(bed.loop_devices().len(), 2);
    assert!(bed.run(&[]).status.success());
    assert_eq!(bed.loop_devices().len(), 1, "the living one's");
    alive.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (code, text) = alive.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn loop_without_root_the_controllers_half_is_told() {
    need_root();
    let bed = Bed::new();
    // Where the binary is, another user may not look.
    let shared = tempfile::tempdir().unwrap();
    let binary = shared.path().join("cinder-csi");
    fs::copy(BINARY, &binary).unwrap();
    for directory in [shared.path(), bed.path()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(binary);
    let output = command.arg("sandbox").env("TMPDIR", bed.path()).uid(NOBODY).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("\n  detach ") && !text.contains("\n  stage "), "{text}");
    assert!(text.contains("need root"), "{text}");
    assert_eq!(bed.left(), [""; 0]);
}

// The client must be able to close its connection while the sandbox ends.
#[tokio::test(flavor = "multi_thread")]
async fn served_it_answers_on_every_address_and_ends_when_told() {
    let bed = Bed::new();
    let mut sandbox = bed.start(&["--serve"]);
    let lines = sandbox.read_until("ready");
    for name in ["controller", "node-1", "node-2"] {
        assert_eq!(probe(value(&lines, name)).await, Some(true), "{name}");
    }
    let answer = get(value(&lines, "auth_url"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let url = format!("auth-url = {}\n", value(&lines, "auth_url"));
    assert!(fs::read_to_string(value(&lines, "cloud_conf")).unwrap().contains(&url));
    assert!(PathBuf::from(value(&lines, "clouds_yaml")).exists());
    assert_ne!(value(&lines, "server-1"), value(&lines, "server-2"));
    sandbox.signal(Signal::SIGTERM);
    let (code, text) = sandbox.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bed.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn loop_a_volume_still_staged_in_another_directory_is_unmounted_at_the_end() {
    need_root();
    let (bed, elsewhere) = (Bed::new(), Bed::new());
    let mut sandbox = bed.start(&["--serve"]);
    let lines = sandbox.read_until("ready");
    let staging = elsewhere.path().join("staging");
    fs::create_dir(&staging).unwrap();
    staged(&lines, &staging).await;
    assert!(staging.join("lost+found").exists());
    sandbox.signal(Signal::SIGTERM);
    let (code, text) = sandbox.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bed.left(), [""; 0]);
    assert_eq!(elsewhere.left(), [staging.to_str().unwrap()]);
}

#[test]
fn the_cloud_alone_has_no_sockets() {
    let bed = Bed::new();
    let mut sandbox = bed.start(&["--cloud-only", "--listen=127.0.0.1:0"]);
    let lines = sandbox.read_until("ready");
    assert!(!lines.iter().any(|line| line.contains("unix://")), "{lines:?}");
    assert!(get(value(&lines, "auth_url")).contains("v3"));
    sandbox.signal(Signal::SIGINT);
    let (code, text) = sandbox.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let bed = Bed::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = bed.run(&["--cloud-only", "--listen", &address]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&address), "{error}");
    assert_eq!(bed.left(), [""; 0]);
}

#[test]
fn bad_flags_exit_64() {
    let bed = Bed::new();
    for flags in [&["--latency=slow"][..], &["--listen=here"], &["--pause", "--serve"], &["--cluster=x"]] {
        let output = bed.run(flags);
        assert_eq!(output.status.code(), Some(64), "{flags:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{flags:?}");
    }
}

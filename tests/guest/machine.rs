//! A machine: QEMU without acceleration, Debian's kernel, a root in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cinder_csi::pace;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::disk::{Bus, Disk, Fault};
use crate::figures::count;
use crate::qmp::{self, Qmp};

/// Where the guest's shell listens, and where its driver does.
const SHELL: u16 = 5001;
pub const CSI: u16 = 5000;

/// Ten times what an idle machine takes.
const BOOT: Duration = Duration::from_secs(120);
const COMMAND: Duration = Duration::from_secs(60);

pub struct Machine {
    process: Child,
    directory: TempDir,
    qmp: Mutex<Qmp>,
    shell: u16,
    /// Where the driver in the guest is reached from here.
    pub csi: u16,
}

impl Machine {
    /// With `driver` as its program `driver`, and with udev or without.
    pub async fn boot(driver: &Path, udev: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qmp");
        let mut process = command(directory.path(), driver, udev).spawn().unwrap();
        let qmp = qmp::serving(&socket, || process.try_wait().unwrap().is_none()).await;
        let mut machine = Self { process, directory, qmp: Mutex::new(qmp), shell: 0, csi: 0 };
        machine.shell = machine.forward(SHELL).await;
        machine.csi = machine.forward(CSI).await;
        let end = Instant::now() + BOOT;
        while !matches!(timeout(Duration::from_secs(2), machine.answer("true")).await, Ok(Some(_))) {
            assert!(Instant::now() < end, "the guest doesn't come up:\n{}", machine.console());
            pace::sleep(Duration::from_millis(50)).await;
        }
        count("guests booted", 1);
        machine
    }

    /// Runs a script in the guest: what it prints.
    pub async fn shell(&self, script: &str) -> String {
        let (code, text) = self.run(script).await;
        assert_eq!(code, 0, "{script}\n{text}\n{}", self.console());
        text
    }

    pub async fn run(&self, script: &str) -> (i32, String) {
        let answer = timeout(COMMAND, self.answer(script)).await;
        answer.ok().flatten().unwrap_or_else(|| panic!("no answer to {script}\n{}", self.console()))
    }

    /// The name of its disk in the guest, as soon as the kernel shows it.
    pub async fn device(&self, disk: &Disk) -> String {
        let serial = &disk.volume[..20];
        let files = "/sys/block/*/serial /sys/block/*/device/serial /sys/block/*/device/vpd_pg80";
        // Files that one bus or the other doesn't have make grep fail.
        let look = format!("found=$(grep -las {serial} {files})");
        let list =
            self.shell(&format!("until {look}; [ -n \"$found\" ]; do usleep 10000; done; echo $found")).await;
        list.split('/').nth(3).unwrap().to_owned()
    }

    /// A new shell each time: one that hangs on a dead disk holds up no other. `None`: nobody listens yet, and the connection
    /// that was made here was reset there.
    async fn answer(&self, script: &str) -> Option<(i32, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.shell)).await.ok()?;
        let script = format!("(\n{script}\n) </dev/null 2>&1\necho \"code $?\"\nexit\n");
        stream.write_all(script.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let (said, code) = text.trim_end().rsplit_once("code ")?;
        Some((code.parse().unwrap(), said.to_owned()))
    }

    /// What a script prints, line by line, until it or the guest ends.
    pub async fn follow(&self, script: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.shell)).await.unwrap();
        stream.write_all(script.as_bytes()).await.unwrap();
        stream
    }

    /// As Nova attaches a volume: its serial is the volume's id.
    pub async fn plug(&self, disk: &Disk, bus: Bus, fault: &Fault) {
        let name = name(disk);
        self.execute("object-add", json!({"qom-type": "throttle-group", "id": group(disk)})).await;
        let image = json!({"driver": disk.format, "node-name": node(disk), "file": fault.over(&disk.file())});
        let throttle =
            json!({"driver": "throttle", "node-name": name, "throttle-group": group(disk), "file": image});
        self.execute("blockdev-add", throttle).await;
        let mut device = json!({"id": name, "drive": name, "serial": disk.volume, "driver": bus.device()});
        if bus == Bus::VirtioScsi {
            device["bus"] = "scsi.0".into();
        }
        self.execute("device_add", device).await;
        count("disks plugged", 1);
    }

    /// From now on the disk answers nothing. One request is let through, and makes each further one wait for an hour.
    pub async fn silence(&self, disk: &Disk) {
        let name = self.device(disk).await;
        self.limit(disk, 1).await;
        let read = format!("dd if=/dev/{name} of=/dev/null bs=4096 count=1 iflag=direct");
        // Done, or held back because somebody else's was let through.
        let done = format!("[ -e /tmp/{name} ] || grep -q '[1-9]' /sys/block/{name}/inflight");
        self.shell(&format!(
            "({read}; touch /tmp/{name}) >/dev/null 2>&1 &\nuntil {done}; do usleep 10000; done"
        ))
        .await;
    }

    /// QEMU lets go of requests that it holds back when it stops the machine.
    pub async fn unsilence(&self, disk: &Disk) {
        self.limit(disk, 0).await;
        self.execute("stop", json!({})).await;
        self.execute("cont", json!({})).await;
    }

    /// Bytes in a second; 0: any number.
    async fn limit(&self, disk: &Disk, bytes: u64) {
        let limits = json!({"iops-total": bytes, "iops-total-max": bytes, "iops-size": bytes});
        let path = format!("/objects/{}", group(disk));
        self.execute("qom-set", json!({"path": path, "property": "limits", "value": limits})).await;
    }

    /// What `cinder extend` does to an attached volume.
    pub async fn grow(&self, disk: &Disk, size: u64) {
        self.execute("block_resize", json!({"node-name": name(disk), "size": size})).await;
    }

    /// A guest that is busy may miss a request: it's asked again.
    pub async fn unplug(&self, disk: &Disk) {
        let name = name(disk);
        let mut qmp = self.qmp.lock().await;
        for _ in 0..12 {
            // Refused while the guest still thinks about it.
            let _ = qmp.execute("device_del", json!({"id": name})).await;
            if qmp.deleted(&name, Duration::from_secs(5)).await {
                qmp.execute("blockdev-del", json!({"node-name": name})).await.unwrap();
                qmp.execute("object-del", json!({"id": group(disk)})).await.unwrap();
                count("disks pulled", 1);
                return;
            }
        }
        panic!("the guest keeps the disk:\n{}", self.console());
    }

    /// Nothing of the guest's memory is kept.
    pub fn cut_power(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        count("power cuts", 1);
    }

    pub fn console(&self) -> String {
        let text = fs::read(self.directory.path().join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    async fn execute(&self, command: &str, arguments: Value) -> Value {
        self.qmp.lock().await.execute(command, arguments).await.unwrap()
    }

    /// A port of this machine that leads to one of the guest's. The kernel chooses it.
    async fn forward(&self, port: u16) -> u16 {
        let monitor = |line: String| json!({"command-line": line});
        let line = monitor(format!("hostfwd_add n tcp:127.0.0.1:0-:{port}"));
        self.execute("human-monitor-command", line).await;
        let list = self.execute("human-monitor-command", monitor("info usernet".into())).await;
        let listed = list.as_str().unwrap().lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let ours =
                fields.first()?.starts_with("TCP[HOST_FORWARD]") && *fields.get(5)? == port.to_string();
            if ours { fields.get(3)?.parse().ok() } else { None }
        });
        listed.unwrap_or_else(|| panic!("no forwarding in {list}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bus {
    fn device(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio-blk-pci",
            Self::VirtioScsi => "scsi-hd",
            Self::Nvme => "nvme",
        }
    }
}

/// QEMU's names have 31 characters at most.
fn name(disk: &Disk) -> String {
    format!("v{}", &disk.volume[..20])
}

fn node(disk: &Disk) -> String {
    format!("r{}", &disk.volume[..20])
}

fn group(disk: &Disk) -> String {
    format!("t{}", &disk.volume[..20])
}

fn made() -> PathBuf {
    let directory = std::env::var_os("CINDER_CSI_GUEST");
    directory
        .expect("CINDER_CSI_GUEST names no guest: `tests/run guest` makes one, and starts these tests")
        .into()
}

/// It ends with the test, whatever happens to that.
fn command(directory: &Path, driver: &Path, udev: bool) -> Command {
    let (made, udev) = (made(), if udev { " guest.udev" } else { "" });
    let at = |name: &str| directory.join(name).display().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc"]);
    command.args(["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max", "-smp", "1", "-m", "512"]);
    command.arg("-kernel").arg(made.join("vmlinuz")).arg("-initrd").arg(made.join("root.cpio"));
    // Linux measures whether its timer ticks, and panics where a busy host lets QEMU tick late.
    let line = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on no_timer_check";
    command.args(["-append", &format!("{line}{udev}")]);
    command.args(["-serial", &format!("file:{}", at("console"))]);
    command.args(["-qmp", &format!("unix:{},server=on,wait=off", at("qmp"))]);
    command.args(["-netdev", "user,id=n,restrict=on", "-device", "virtio-net-pci,netdev=n,romfile="]);
    let driver = format!("if=none,id=driver,format=raw,readonly=on,file={}", driver.display());
    command.args(["-drive", &driver, "-device", "virtio-blk-pci,drive=driver,serial=driver"]);
    command.args(["-device", "virtio-scsi-pci,id=scsi", "-device", "virtio-rng-pci"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(at("qemu")).unwrap());
    command
}

//! The time that the driver adds to the commands and system calls that a staged ext4 needs. Needs root.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cinder_csi::sandbox::{LoopDevices, Settings};

use super::Outcome;
use super::cloud::Cloud;
use super::figures::{COLUMNS, Times, title};
use super::process::Driver;
use super::rpc::Rpc;

const ROUNDS: usize = 30;
const VOLUME: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
const SIZE: u64 = 1 << 30;

/// A sparse file behind a loop device, linked as the disk of [`VOLUME`].
struct Disk {
    device: PathBuf,
    link: PathBuf,
}

pub async fn measure() -> Outcome<()> {
    title("NodeStageVolume of an ext4 of 1 GiB on a loop device, ms");
    if !LoopDevices::are_possible() {
        println!("not measured: it needs root and loop devices");
        return Ok(());
    }
    let cloud = Cloud::serve(1, Settings::default()).await?;
    let mut driver = Driver::start(&cloud)?;
    let rpc = driver.connect().await?;
    let staging = driver.path("staging");
    let mut rows = [
        ("empty disk: blkid, mkfs.ext4, mount, dumpe2fs", Times::default(), Times::default()),
        ("ext4: blkid, e2fsck -p, dumpe2fs, mount, dumpe2fs", Times::default(), Times::default()),
    ];
    for _ in 0..ROUNDS {
        let disk = Disk::empty(&driver)?;
        rows[0].1.push(stage(&rpc, &staging).await?);
        rows[1].1.push(stage(&rpc, &staging).await?);
        drop(disk);
        let disk = Disk::empty(&driver)?;
        rows[0].2.push(disk.by_hand(&staging, Disk::format)?);
        rows[1].2.push(disk.by_hand(&staging, Disk::check)?);
    }
    println!("{:<50} | {:^26} | {:^26} | added", "", "the driver", "by hand, the same");
    println!("{:<50} | {COLUMNS} | {COLUMNS} |   p50", "");
    for (what, driver, hand) in rows {
        let added = driver.median().as_secs_f64() - hand.median().as_secs_f64();
        println!("{what:<50} | {} | {} | {:>5.2}", driver.columns(), hand.columns(), added * 1e3);
    }
    println!(
        "\nadded includes the driver's own reads of the disk, 8 MiB past the page cache, before it formats"
    );
    Ok(())
}

/// Stages, and unstages outside of the time.
async fn stage(rpc: &Rpc, staging: &Path) -> Outcome<Duration> {
    let began = Instant::now();
    rpc.stage(VOLUME, staging, SIZE).await?;
    let took = began.elapsed();
    rpc.unstage(VOLUME, staging).await?;
    Ok(took)
}

impl Disk {
    fn empty(driver: &Driver) -> Outcome<Self> {
        let file = driver.path("disk");
        File::create(&file)?.set_len(SIZE)?;
        let device = PathBuf::from(
            run("flock", &["/dev/loop-control", "losetup", "--find", "--show", &text(&file)])?.trim(),
        );
        let link = driver.device_dir().join(format!("virtio-{}", &VOLUME[..20]));
        std::os::unix::fs::symlink(&device, &link)?;
        Ok(Self { device, link })
    }

    fn by_hand(&self, staging: &Path, prepare: fn(&Self) -> Outcome<()>) -> Outcome<Duration> {
        std::fs::create_dir_all(staging)?;
        let began = Instant::now();
        prepare(self)?;
        let flags = nix::mount::MsFlags::empty();
        #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
        nix::mount::mount(Some(&self.device), staging, Some("ext4"), flags, None::<&str>)?;
        run("dumpe2fs", &["-h", &text(&self.device)])?;
        let took = began.elapsed();
        #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
        nix::mount::umount2(staging, nix::mount::MntFlags::empty())?;
        Ok(took)
    }

    fn format(&self) -> Outcome<()> {
        let device = text(&self.device);
        run("blkid", &["-p", "-o", "export", &device])?;
        run("mkfs.ext4", &["-F", "-m0", "-E", "nodiscard", &device])?;
        Ok(())
    }

    fn check(&self) -> Outcome<()> {
        let device = text(&self.device);
        run("blkid", &["-p", "-o", "export", &device])?;
        run("e2fsck", &["-p", &device])?;
        run("dumpe2fs", &["-h", &device])?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", &text(&self.device)]);
        let _ = std::fs::remove_file(&self.link);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The standard output, whatever the exit code: blkid's for an empty disk is 2.
fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

//! A disk on a loop device, and what prepares and mounts it by hand.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::Outcome;
use super::super::process::Driver;

pub const SIZE: u64 = 1 << 30;

/// A sparse file behind a loop device, linked as the disk of its volume.
pub struct Disk {
    pub volume: String,
    pub staging: PathBuf,
    device: PathBuf,
    link: PathBuf,
}

impl Disk {
    pub fn empty(driver: &Driver, number: usize) -> Outcome<Self> {
        let volume = format!("{number:08x}-6d53-4b6a-9d5e-1c2f3a4b5c6d");
        let file = driver.path(&format!("disk-{number}"));
        File::create(&file)?.set_len(SIZE)?;
        let device = PathBuf::from(
            run(
                "flock",
                &["/dev/loop-control", "losetup", "--direct-io=on", "--find", "--show", &text(&file)],
            )?
            .trim(),
        );
        let link = driver.device_dir().join(format!("virtio-{}", &volume[..20]));
        std::os::unix::fs::symlink(&device, &link)?;
        let staging = driver.path(&format!("staging-{number}"));
        Ok(Self { volume, staging, device, link })
    }

    pub fn by_hand(&self, prepare: fn(&Self) -> Outcome<()>) -> Outcome<Duration> {
        let staging = &self.staging;
        std::fs::create_dir_all(staging)?;
        let began = Instant::now();
        prepare(self)?;
        let flags = nix::mount::MsFlags::empty();
        #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
        nix::mount::mount(Some(&self.device), staging, Some("ext4"), flags, None::<&str>)?;
        let took = began.elapsed();
        #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
        nix::mount::umount2(staging, nix::mount::MntFlags::empty())?;
        Ok(took)
    }

    pub fn format(&self) -> Outcome<()> {
        let device = text(&self.device);
        run("mkfs.ext4", &["-F", "-m0", "-E", "nodiscard", &device])?;
        Ok(())
    }

    pub fn check(&self) -> Outcome<()> {
        let device = text(&self.device);
        run("e2fsck", &["-p", &device])?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Mounted only where a round has failed.
        #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
        let _ = nix::mount::umount2(&self.staging, nix::mount::MntFlags::MNT_DETACH);
        let _ = run("losetup", &["--detach", &text(&self.device)]);
        let _ = std::fs::remove_file(&self.link);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The standard output.
fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    #[allow(clippy::disallowed_methods, reason = "what the driver is compared with")]
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

//! A disk that is a file behind a loop device: plugged and pulled, as large as asked, readable or not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bed::run;

pub struct LoopDisk {
    file: PathBuf,
    pub size: u64,
    /// As it was plugged last. It may have gone since, and its name be another disk's.
    device: Option<PathBuf>,
    /// Nothing of it can be read.
    is_sick: bool,
}

impl LoopDisk {
    pub fn new(file: PathBuf, size: u64) -> Self {
        fs::File::create_new(&file).unwrap().set_len(size).unwrap();
        Self { file, size, device: None, is_sick: false }
    }

    /// Its device node, while it's plugged.
    pub fn device(&self) -> Option<&Path> {
        self.device.as_deref().filter(|device| file_of(device).as_ref() == Some(&self.file))
    }

    /// The device's number, `7:1000`.
    pub fn number(&self) -> Option<String> {
        Some(number_of(fs::metadata(self.device()?).ok()?.rdev()))
    }

    /// As `device`. Without O_DIRECT some kernels read zeros beyond the end of the file: `lo_read_simple` in
    /// drivers/block/loop.c.
    pub fn plug(&mut self, device: &Path) {
        self.grow_file();
        run("losetup", &["--direct-io=on", text(device), text(&self.file)]);
        run("blockdev", &["--setrw", text(device)]);
        self.device = Some(device.to_owned());
    }

    /// `false`: somebody uses it, and a loop device stays then for as long.
    pub fn unplug(&mut self) -> bool {
        let Some(device) = self.device().filter(|device| !is_used(device)) else { return false };
        run("losetup", &["--detach", text(device)]);
        let is_gone = file_of(device).is_none();
        if is_gone {
            remove(device);
        }
        is_gone
    }

    /// It's as large as promised, and whoever has it open sees that.
    pub fn resize(&mut self) {
        if self.is_sick {
            return;
        }
        self.grow_file();
        if let Some(device) = self.device() {
            run("losetup", &["--set-capacity", text(device)]);
        }
    }

    fn grow_file(&self) {
        let file = fs::OpenOptions::new().write(true).open(&self.file).unwrap();
        if file.metadata().unwrap().len() < self.size {
            file.set_len(self.size).unwrap();
        }
    }

    /// From now on nothing can be read: the file ends before each block. `false`: somebody uses it.
    pub fn sicken(&mut self) -> bool {
        if self.is_sick || self.device().is_none_or(is_used) {
            return false;
        }
        run("cp", &["--sparse=always", text(&self.file), text(&self.saved())]);
        fs::OpenOptions::new().write(true).open(&self.file).unwrap().set_len(0).unwrap();
        self.is_sick = true;
        true
    }

    /// `false`: it was written to meanwhile.
    pub fn heal(&mut self) -> bool {
        if !self.is_sick {
            return true;
        }
        let is_untouched = fs::metadata(&self.file).unwrap().len() == 0;
        run("cp", &["--sparse=always", text(&self.saved()), text(&self.file)]);
        self.is_sick = false;
        self.resize();
        is_untouched
    }

    pub fn is_sick(&self) -> bool {
        self.is_sick
    }

    /// The file that has its bytes.
    pub fn bytes(&self) -> PathBuf {
        if self.is_sick { self.saved() } else { self.file.clone() }
    }

    fn saved(&self) -> PathBuf {
        self.file.with_extension("saved")
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if let Some(device) = self.device() {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
            remove(device);
        }
    }
}

pub fn number_of(device: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn file_of(device: &Path) -> Option<PathBuf> {
    let name = device.file_name()?;
    let text = fs::read_to_string(Path::new("/sys/block").join(name).join("loop/backing_file")).ok()?;
    Some(text.trim_end().into())
}

/// Whether it's mounted, or some process has it open.
fn is_used(device: &Path) -> bool {
    let is_it = |link: &PathBuf| fs::read_link(link).is_ok_and(|target| target == device);
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let tables = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    tables.flatten().flatten().any(|file| is_it(&file.path())) || is_mounted(device)
}

fn is_mounted(device: &Path) -> bool {
    let Ok(found) = fs::metadata(device) else { return false };
    let (number, mounts) = (number_of(found.rdev()), fs::read_to_string("/proc/self/mountinfo").unwrap());
    let is_its =
        |line: &str| line.split(' ').nth(2) == Some(&number) || line.contains(&format!(" {} ", text(device)));
    mounts.lines().any(is_its)
}

/// The device vanishes from /sys and /dev: LOOP_CTL_REMOVE in linux/loop.h.
fn remove(device: &Path) {
    let number = text(device).trim_start_matches("/dev/loop");
    let script = "open my $control, '+<', '/dev/loop-control' or die; ioctl $control, 0x4C81, int $ARGV[0]";
    let _ = Command::new("perl").args(["-e", script, number]).status();
}

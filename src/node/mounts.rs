//! `/proc/self/mountinfo`, pure. The format: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::host::Number;

/// All mounts that this process sees, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device of the file system. btrfs has an anonymous one here: [`Mount::source`] names its disk.
    pub device: Number,
    /// Which part of the file system is mounted: more than `/` for a bind mount.
    pub root: PathBuf,
    pub point: PathBuf,
    pub options: Vec<String>,
    pub fs: String,
    pub source: PathBuf,
    pub super_options: Vec<String>,
}

impl Mounts {
    /// `None` where a line isn't mountinfo: then nothing may be concluded from the others either.
    pub fn parse(text: &[u8]) -> Option<Self> {
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(parse_line)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The visible mount at `point`: of stacked ones the last.
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == point)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

impl Mount {
    /// `ro` of the mount or of the whole file system.
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|option| option == "ro") || self.file_system_is_read_only()
    }

    /// Since Linux 6.15 ext4 says `emergency_ro` where it makes itself read-only after an error, and stays `rw`.
    pub fn file_system_is_read_only(&self) -> bool {
        self.super_options.iter().any(|option| option == "ro" || option == "emergency_ro")
    }

    /// The kernel did that: who mounts for reading only makes the mount itself `ro`, too.
    pub fn was_made_read_only(&self) -> bool {
        self.file_system_is_read_only() && self.options.iter().all(|option| option != "ro")
    }

    /// What is in the journal is not to be seen here.
    pub fn is_without_replay(&self) -> bool {
        let names = ["norecovery", "noload", "rescue=nologreplay"];
        self.super_options.iter().any(|option| names.contains(&option.as_str()))
    }

    /// ext4 says that it ended all work on a disk that fails; xfs doesn't.
    pub fn is_shut_down(&self) -> bool {
        self.super_options.iter().any(|option| option == "shutdown")
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let _id = fields.next()?;
    let _parent = fields.next()?;
    let device = parse_number(fields.next()?)?;
    let root = path(fields.next()?);
    let point = path(fields.next()?);
    let options = options(fields.next()?);
    // Zero or more optional fields such as `shared:7`, ended by a dash.
    fields.find(|field| *field == b"-")?;
    let fs = text(fields.next()?);
    let source = path(fields.next()?);
    let super_options = options_or_none(fields.next());
    Some(Mount { device, root, point, options, fs, source, super_options })
}

/// `259:3`.
pub(super) fn parse_number(field: &[u8]) -> Option<Number> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(Number { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescape(field)).into()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn options(field: &[u8]) -> Vec<String> {
    field.split(|byte| *byte == b',').map(text).collect()
}

fn options_or_none(field: Option<&[u8]>) -> Vec<String> {
    field.map(options).unwrap_or_default()
}

/// Blank, tab, newline, backslash and `#` stand there as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

/// Whether two paths are the same bytes but for a prefix: a tree bound at one more place repeats all mounts in it.
pub(super) fn mirrors(path: &Path, original: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(original.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
30 28 7:3 / /var/lib/kubelet/plugins/a\\040b\\134c rw,relatime shared:1 master:2 - ext4 /dev/loop3 rw,errors=x
31 28 7:3 /sub /target ro,relatime - ext4 /dev/loop3 rw
32 28 0:44 / /b rw - btrfs /dev/loop4 ro,space_cache=v2
33 28 7:5 / /target rw - xfs /dev/loop5 rw
34 28 0:5 /loop6 /block//deleted rw - devtmpfs udev rw
35 28 0:50 / /empty rw - tmpfs  rw
";

    #[test]
    fn mountinfo_is_read_field_by_field() {
        let mounts = Mounts::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(mounts.iter().count(), 7);
        let first = mounts.at(Path::new("/var/lib/kubelet/plugins/a b\\c")).unwrap();
        assert_eq!(first.device, Number { major: 7, minor: 3 });
        assert_eq!((first.fs.as_str(), first.source.as_path()), ("ext4", Path::new("/dev/loop3")));
        assert_eq!(first.super_options, ["rw", "errors=x"]);
        assert!(!first.is_read_only());
        assert!(mounts.at(Path::new("/b")).unwrap().is_read_only());
    }

    #[test]
    fn of_stacked_mounts_the_last_is_the_visible_one() {
        let mounts = Mounts::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(mounts.at(Path::new("/target")).unwrap().device.minor, 5);
    }

    #[test]
    fn a_deleted_mount_point_is_not_the_path_it_had() {
        let mounts = Mounts::parse(TEXT.as_bytes()).unwrap();
        assert!(mounts.at(Path::new("/block")).is_none());
    }

    #[test]
    fn a_line_that_is_not_mountinfo_is_refused_and_never_panics() {
        for cut in 0..TEXT.len() {
            let _ = Mounts::parse(&TEXT.as_bytes()[..cut]);
        }
        assert!(Mounts::parse(b"1 2 3").is_none());
        assert!(Mounts::parse(b"1 2 x:1 / / rw - a b c").is_none());
        assert!(Mounts::parse(b"1 2 0:1 / / rw shared:1 a b c").is_none());
    }

    #[test]
    fn octal_escapes_become_bytes_and_other_backslashes_stay() {
        assert_eq!(unescape(b"a\\040b\\011\\134\\9\\400\\"), b"a b\t\\\\9\\400\\");
    }
}

//! Mount options as people write them, for mount(2).

use super::error::{Error, Result};
use super::host::Flags;

/// Options that would turn a mount into something else.
const FORBIDDEN: [&str; 13] = [
    "bind",
    "rbind",
    "remount",
    "move",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "private",
    "rprivate",
    "unbindable",
    "runbindable",
    "loop",
];

/// Options for fstab and for mount(8), which the kernel doesn't know.
const IGNORED: [&str; 20] = [
    "defaults",
    "rw",
    "suid",
    "dev",
    "exec",
    "atime",
    "diratime",
    "async",
    "auto",
    "noauto",
    "_netdev",
    "nofail",
    "user",
    "nouser",
    "users",
    "group",
    "owner",
    "silent",
    "loud",
    "norelatime",
];

/// The name of the first flag that a volume can't be mounted with. Not its value: that may be a secret.
pub fn forbidden(flags: &[String]) -> Option<&str> {
    let mut names = flags.iter().flat_map(|flags| split(flags)).map(name);
    names.find(|name| FORBIDDEN.contains(name) || name.chars().any(char::is_control))
}

fn name(option: &str) -> &str {
    option.split('=').next().unwrap_or(option)
}

/// Splits `flags` into those of mount(2) and the file system's own.
pub fn parse(flags: &[String]) -> Result<(Flags, String)> {
    if let Some(name) = forbidden(flags) {
        return Err(Error::invalid(format!("mount flag {name:?}"), "a volume can't be mounted with it"));
    }
    let (mut known, mut own) = (Flags::default(), Vec::new());
    for option in flags.iter().flat_map(|flags| split(flags)) {
        let name = name(option);
        let ignored = IGNORED.contains(&name) || name.starts_with("x-") || name == "comment";
        if !option.is_empty() && !ignored && !set(&mut known, option) {
            own.push(option);
        }
    }
    Ok((known, own.join(",")))
}

/// The flags among the options of a mount in mountinfo that a bind mount of it keeps.
pub fn of_mount(options: &[String]) -> Flags {
    let mut flags = Flags::default();
    for option in options {
        set(&mut flags, option);
    }
    flags
}

/// `base` and what `more` adds, of the flags that each bind mount has for itself.
pub fn for_bind(base: Flags, more: Flags, read_only: bool) -> Flags {
    Flags {
        read_only: base.read_only || read_only,
        no_suid: base.no_suid || more.no_suid,
        no_dev: base.no_dev || more.no_dev,
        no_exec: base.no_exec || more.no_exec,
        no_atime: base.no_atime || more.no_atime,
        no_dir_atime: base.no_dir_atime || more.no_dir_atime,
        rel_atime: base.rel_atime && !more.no_atime,
        ..Flags::default()
    }
}

fn set(flags: &mut Flags, option: &str) -> bool {
    let flag = match option {
        "ro" => &mut flags.read_only,
        "nosuid" => &mut flags.no_suid,
        "nodev" => &mut flags.no_dev,
        "noexec" => &mut flags.no_exec,
        "noatime" => &mut flags.no_atime,
        "nodiratime" => &mut flags.no_dir_atime,
        "strictatime" => &mut flags.strict_atime,
        "relatime" => &mut flags.rel_atime,
        "lazytime" => &mut flags.lazy_time,
        "sync" => &mut flags.synchronous,
        "dirsync" => &mut flags.dir_sync,
        _ => return false,
    };
    *flag = true;
    true
}

/// Splits at commas, but for those in quotes: SELinux contexts contain them.
fn split(flags: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    flags.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn options_are_the_kernels_the_file_systems_or_nobodys() {
        let (known, own) =
            parse(&flags(&["defaults,noatime", "ro", "discard", "data=writeback", "_netdev", "x-a=b", ""]))
                .unwrap();
        assert_eq!(known, Flags { no_atime: true, read_only: true, ..Flags::default() });
        assert_eq!(own, "discard,data=writeback");
    }

    #[test]
    fn a_comma_in_quotes_ends_no_option() {
        let (_, own) = parse(&flags(&["context=\"u:r:t:s0:c1,c2\",discard"])).unwrap();
        assert_eq!(own, "context=\"u:r:t:s0:c1,c2\",discard");
    }

    #[test]
    fn an_option_that_makes_another_kind_of_mount_is_refused() {
        for option in ["bind", "remount,ro", "noatime,rshared", "loop=/dev/loop0", "move", "a\nb"] {
            assert!(parse(&flags(&[option])).is_err(), "{option}");
        }
    }

    #[test]
    fn a_bind_mount_keeps_what_its_origin_has() {
        let base = of_mount(&flags(&["rw", "nosuid", "relatime"]));
        let more = Flags { no_exec: true, lazy_time: true, ..Flags::default() };
        let want =
            Flags { read_only: true, no_suid: true, no_exec: true, rel_atime: true, ..Flags::default() };
        assert_eq!(for_bind(base, more, true), want);
    }
}

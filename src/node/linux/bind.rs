//! A bind mount that has its flags from its first moment.
//!
//! mount(2) binds first and restricts in a second call: a process killed in between leaves a writable mount where a
//! read-only one was asked for, and no one can tell it from one that a pod lives in. So a copy is made that is mounted
//! nowhere, restricted, and only then moved to its place. mount_setattr(2) came with Linux 5.12: before it, the two calls.

#![allow(unsafe_code, reason = "nix has no wrappers of these system calls")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags};

use super::super::host::Flags;

const HERE: &CStr = c"";

pub fn bind(source: &Path, target: &Path, flags: Flags) -> io::Result<()> {
    let bound = copy(source).and_then(|tree| {
        restrict(&tree, flags)?;
        place(&tree, target)
    });
    match bound {
        Err(Errno::ENOSYS) => bind_and_restrict(source, target, flags),
        bound => bound.map_err(io::Error::from),
    }
}

fn copy(source: &Path) -> nix::Result<OwnedFd> {
    let source = c_path(source)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
    // SAFETY: the path ends with a NUL and outlives the call; the answer is a new descriptor that no one else owns.
    unsafe {
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags);
        let tree = i32::try_from(Errno::result(tree)?).map_err(|_| Errno::EBADF)?;
        Ok(OwnedFd::from_raw_fd(tree))
    }
}

/// Adds flags to those that the copy has from its origin.
fn restrict(tree: &OwnedFd, flags: Flags) -> nix::Result<()> {
    // SAFETY: all-zero bytes are a valid mount_attr, which is integers only.
    let mut change: libc::mount_attr = unsafe { std::mem::zeroed() };
    for (wanted, attribute) in [
        (flags.read_only, libc::MOUNT_ATTR_RDONLY),
        (flags.no_suid, libc::MOUNT_ATTR_NOSUID),
        (flags.no_dev, libc::MOUNT_ATTR_NODEV),
        (flags.no_exec, libc::MOUNT_ATTR_NOEXEC),
        (flags.no_dir_atime, libc::MOUNT_ATTR_NODIRATIME),
    ] {
        change.attr_set |= if wanted { attribute } else { 0 };
    }
    if flags.no_atime {
        change.attr_clr = libc::MOUNT_ATTR__ATIME;
        change.attr_set |= libc::MOUNT_ATTR_NOATIME;
    }
    let size = size_of::<libc::mount_attr>();
    // SAFETY: the path ends with a NUL, the change is of the size that is told, and both outlive the call.
    let done = unsafe {
        let change: *const libc::mount_attr = &raw const change;
        let tree = tree.as_raw_fd();
        libc::syscall(libc::SYS_mount_setattr, tree, HERE.as_ptr(), libc::AT_EMPTY_PATH, change, size)
    };
    Errno::result(done).map(drop)
}

fn place(tree: &OwnedFd, target: &Path) -> nix::Result<()> {
    let (tree, target) = (tree.as_raw_fd(), c_path(target)?);
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both paths end with a NUL and outlive the call.
    let done = unsafe {
        libc::syscall(libc::SYS_move_mount, tree, HERE.as_ptr(), libc::AT_FDCWD, target.as_ptr(), flags)
    };
    Errno::result(done).map(drop)
}

/// For old kernels. What can't be restricted doesn't stay.
fn bind_and_restrict(source: &Path, target: &Path, flags: Flags) -> io::Result<()> {
    const NONE: Option<&str> = None;
    nix::mount::mount(Some(source), target, NONE, MsFlags::MS_BIND, NONE)?;
    let flags = super::mount_flags(flags) | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    nix::mount::mount(Some(source), target, NONE, flags, NONE).map_err(|error| {
        let _ = nix::mount::umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        io::Error::from(error)
    })
}

fn c_path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

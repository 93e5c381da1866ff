//! How the C library's allocator keeps memory.

/// A list of a thousand volumes has a megabyte, read in parts of 400 KB. glibc takes what is larger than this from the kernel
/// and gives it back; but with the first that is given back it raises the threshold to its size (mallopt(3),
/// `M_MMAP_THRESHOLD`), and from then on lists leave holes between what lives longer.
#[cfg(target_env = "gnu")]
const LARGE: i32 = 64 << 10;

/// glibc gives each thread an arena of its own, and what is free in one is of no use to the others (mallopt(3),
/// `M_ARENA_MAX`). Two threads don't wait for each other for long.
#[cfg(target_env = "gnu")]
const ARENAS: i32 = 1;

/// Before there is a second thread.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "nix has no wrapper of it")]
pub fn keep_heap_small() {
    use nix::libc::{M_ARENA_MAX, M_MMAP_THRESHOLD, mallopt};
    // SAFETY: it takes two numbers. What it refuses stays as it was.
    unsafe {
        mallopt(M_MMAP_THRESHOLD, LARGE);
        mallopt(M_ARENA_MAX, ARENAS);
    }
}

#[cfg(not(target_env = "gnu"))]
pub fn keep_heap_small() {}

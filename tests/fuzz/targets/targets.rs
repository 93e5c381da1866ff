//! What is fuzzed, by name: each function takes any bytes, and panics where the driver did what it must not do.
//!
//! `tests/fuzz/fuzz.rs` hands these to libFuzzer; `tests/fuzz_corpus.rs` replays the corpus through them on the stable toolchain.

mod clouds;
mod driver;
mod machine;
mod nodes;
mod requests;
mod settings;

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 14] = [
    ("cloud_conf", settings::cloud_conf),
    ("clouds_yaml", settings::clouds_yaml),
    ("requests", requests::requests),
    ("keystone", clouds::keystone),
    ("cinder", clouds::cinder),
    ("nova", clouds::nova),
    ("fault", clouds::fault),
    ("next_link", clouds::next_link),
    ("mountinfo", nodes::mountinfo),
    ("blkid", nodes::blkid),
    ("tools", nodes::tools),
    ("metadata", nodes::metadata),
    ("config_drive", nodes::config_drive),
    ("superblock", nodes::superblock),
];

#[allow(dead_code, reason = "the replay walks all")]
pub fn find(name: &str) -> Target {
    TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| *target)
        .expect("a target of this name")
}

/// Nothing that a person reads is longer.
const LONGEST_MESSAGE: usize = 8 << 10;

/// Runs on one thread, on a clock that stands still while there is something to do.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

fn assert_readable(message: &str) {
    assert!(!message.is_empty(), "an error without a word");
    assert!(message.len() <= LONGEST_MESSAGE, "{} bytes of error: {:.200}", message.len(), message);
}

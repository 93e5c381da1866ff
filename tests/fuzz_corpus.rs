//! Every file of the corpus, and every input that was a crasher once, through the targets of `tests/fuzz`: stable, without
//! libFuzzer. The targets assert; here no thread may have panicked, whoever caught it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/figures.rs"]
mod figures;
#[path = "fuzz/targets/targets.rs"]
mod targets;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use targets::TARGETS;

/// A file of the corpus is a seed to begin with, and no larger than a page.
const LARGEST: u64 = 4096;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus().join(target)).unwrap_or_else(|_| panic!("{target} has no corpus"));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_of_the_corpus_is_answered_without_a_panic() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        hook(panic);
    }));
    let mut bad = Vec::new();
    for (name, target) in TARGETS {
        for file in files(name) {
            let input = fs::read(&file).unwrap();
            let before = PANICS.load(Ordering::Relaxed);
            let ended = panic::catch_unwind(AssertUnwindSafe(|| target(&input)));
            if ended.is_err() || PANICS.load(Ordering::Relaxed) > before {
                bad.push(format!("{name}/{}", file.file_name().unwrap().display()));
            }
        }
    }
    figures::count(
        "bad input: files of the fuzzing corpus",
        TARGETS.iter().map(|(name, _)| files(name).len()).sum(),
    );
    figures::count("bad input: panics", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_target_has_a_small_corpus_and_a_binary_and_there_are_no_others() {
    let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    let mut kept: Vec<_> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, known);
    let manifest = fs::read_to_string(corpus().with_file_name("Cargo.toml")).unwrap();
    let (_, binaries) = manifest.split_once("[[bin]]").unwrap();
    let mut built: Vec<_> = binaries.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
    built.sort();
    assert_eq!(built, known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>());
    for name in &known {
        let files = files(name);
        assert!(!files.is_empty(), "{name} has no seed");
        for file in files {
            let size = fs::metadata(&file).unwrap().len();
            assert!(size <= LARGEST, "{}: {size} bytes", file.display());
        }
    }
}

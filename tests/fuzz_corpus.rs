//! Every file of the corpus, and every input that was a crasher once, as they are and changed a little, through the targets of
//! `tests/fuzz`: stable, without libFuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/figures.rs"]
mod figures;
#[path = "fuzz/targets/targets.rs"]
mod targets;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use targets::{TARGETS, Target};

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

/// Counts every panic, whoever catches it.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            hook(panic);
        }));
    });
    PANICS.load(Ordering::Relaxed)
}

/// The targets assert; here nothing may have panicked at all. One test at a time: the count is of them all.
fn is_survived(target: Target, input: &[u8]) -> bool {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    let before = panics();
    panic::catch_unwind(AssertUnwindSafe(|| target(input))).is_ok() && panics() == before
}

#[test]
fn every_input_of_the_corpus_is_answered_without_a_panic() {
    let mut bad = Vec::new();
    for (name, target) in TARGETS {
        let files = files(name);
        figures::count("bad input: files of the fuzzing corpus", files.len());
        let lost = files.iter().filter(|file| !is_survived(target, &fs::read(file).unwrap()));
        bad.extend(lost.map(|file| file.display().to_string()));
    }
    figures::count("bad input: panics", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// `CHANGED`: so many for each target, 100 by default.
#[test]
fn changed_inputs_are_answered_without_a_panic() {
    #[allow(clippy::disallowed_methods, reason = "who wants more says so in the environment")]
    let changed = std::env::var("CHANGED").map_or(100, |text| text.parse().unwrap());
    for (name, target) in TARGETS {
        let inputs: Vec<_> = files(name).iter().map(|file| fs::read(file).unwrap()).collect();
        for seed in 0..changed {
            let mut rng = fastrand::Rng::with_seed(seed);
            let input = change(&mut rng, &inputs);
            assert!(is_survived(target, &input), "{name} with seed {seed}: {input:?}");
        }
        figures::count("bad input: changed files of the fuzzing corpus", changed as usize);
    }
}

/// One of them with up to four changes, of which each is a byte, a hole, or a piece of another one.
fn change(rng: &mut fastrand::Rng, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = rng.choice(inputs).unwrap().clone();
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(0..=input.len());
        let end = (at + rng.usize(0..16)).min(input.len());
        let other = rng.choice(inputs).unwrap();
        let from = rng.usize(0..=other.len());
        let piece = &other[from..(from + rng.usize(0..64)).min(other.len())];
        match rng.u8(0..3) {
            0 if at < input.len() => input[at] = rng.u8(..),
            1 => drop(input.drain(at..end)),
            _ => drop(input.splice(at..end, piece.iter().copied())),
        }
    }
    input
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

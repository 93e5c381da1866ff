//! Where settings come from: the environment and files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// The environment and the files of a process.
pub trait Source: Send + Sync {
    /// `None`: not set, or not UTF-8.
    fn var(&self, name: &str) -> Option<String>;

    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// This process's environment and this machine's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

/// An environment and files made up for a test.
#[derive(Clone, Default)]
pub struct Fixed {
    pub vars: BTreeMap<String, String>,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// The content of every file that a load looked at, also of those that weren't there: two loads with equal
/// fingerprints saw the same settings. Holds hashes and no content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, Option<u64>>);

/// A source that notes what is read from it.
pub(super) struct Reads<'a> {
    source: &'a dyn Source,
    seen: RefCell<Fingerprint>,
}

impl Source for System {
    #[allow(clippy::disallowed_methods, reason = "this is where the other files are sent to")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

impl Fixed {
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn with_file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl Source for Fixed {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Fingerprint {
    /// Reads every file again and compares.
    pub fn is_current(&self, source: &dyn Source) -> bool {
        self.0.iter().all(|(path, hash)| source.read(path).ok().map(|content| digest(&content)) == *hash)
    }

    /// The files that were there.
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.iter().filter(|(_, hash)| hash.is_some()).map(|(path, _)| path.clone()).collect()
    }
}

impl<'a> Reads<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, seen: RefCell::default() }
    }

    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let result = self.source.read(path);
        let hash = result.as_ref().ok().map(|content| digest(content));
        // Of a file read twice, for two clouds, the first content counts: one that changed between is seen as a change.
        self.seen.borrow_mut().0.entry(path.to_owned()).or_insert(hash);
        result
    }

    /// A variable that is set and not empty: an empty one counts as unset, as it does for gophercloud.
    pub fn var(&self, name: &str) -> Option<String> {
        self.source.var(name).filter(|value| !value.is_empty())
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.seen.borrow().clone()
    }
}

fn digest(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

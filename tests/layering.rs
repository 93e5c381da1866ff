//! The direction of the arrows: which room of `src` may use which, and what only one file may do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom. `main`, `cli` and `app` are wiring and may use everything.
const ARROWS: [(&str, &[&str]); 14] = [
    // It asks the clients of both what no RPC asks, and turns answers into sentences.
    ("check", &["openstack", "node", "config", "pace", "text"]),
    ("csi", &["volume", "node", "k8s", "pace", "text"]),
    ("volume", &["openstack", "pace"]),
    ("openstack", &["pace", "json"]),
    ("node", &["pace", "json"]),
    ("k8s", &["pace"]),
    // Option types only: `OPTIONS`.
    ("config", &["openstack", "node", "text"]),
    ("telemetry", &["pace"]),
    ("pace", &[]),
    ("text", &[]),
    ("json", &[]),
    // The seams.
    ("crash", &["openstack", "node"]),
    // The seams, for its story. Of `openstack` only `Http`: one wrong field name must not cancel out.
    ("sandbox", &["app", "cli", "config", "csi", "node", "volume", "openstack", "pace", "telemetry"]),
    ("lib", &[]),
];
const WIRING: [&str; 3] = ["main", "cli", "app"];

/// What `config` may name of `openstack`: what a cloud is reached with, and nothing that reaches it.
const OPTIONS: [&str; 17] = [
    "ApplicationCredential",
    "Credential",
    "Federated",
    "Grant",
    "Interface",
    "OidcClient",
    "Options",
    "Places",
    "Proof",
    "Proxy",
    "Scope",
    "ServerId",
    "Tls",
    "TokenEndpoint",
    "TokenType",
    "User",
    "UserDomain",
];

/// Words that only some files may have in their code, and what they are. `Command` alone is a value of `node`.
const ONLY_THERE: [(&str, &[&str], &str); 10] = [
    // The sandbox plays the machine under the driver, and clears it away.
    ("nix::", &["node/linux.rs", "node/linux/", "sandbox/"], "system calls"),
    ("process::Command", &["node/linux.rs", "node/linux/", "sandbox/host.rs"], "commands"),
    ("process::{", &["node/linux.rs", "node/linux/", "sandbox/host.rs"], "commands"),
    ("unsafe", &["node/linux.rs", "node/linux/"], "unsafe code"),
    ("Code::Internal", &["csi/status.rs", "csi/server/line.rs"], "INTERNAL"),
    ("time::sleep", &["pace.rs"], "sleeps"),
    ("thread::sleep", &["pace.rs"], "sleeps"),
    ("sleep_until", &["pace.rs"], "sleeps"),
    ("SystemTime::now(", &["pace.rs"], "the wall clock"),
    ("env::var", &["config/source.rs"], "the environment"),
];

struct Source {
    /// Below `src`.
    path: String,
    room: String,
    /// Without comments, texts and tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut sources: Vec<_> = files.iter().map(|file| Source::read(&root, file)).collect();
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    sources
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let room = path.split(['/', '.']).next().unwrap().to_owned();
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let text = fs::read_to_string(file).unwrap();
        let code = if is_test { String::new() } else { bare(without_tests(&text)) };
        Self { path, room, code }
    }

    /// The modules of the crate's top that the code names: `crate::x`, `crate::{x, y}` and `super` chains up there.
    fn uses(&self) -> Vec<(String, String)> {
        let depth = match self.path.matches('/').count() {
            depth if self.path == "main.rs" || self.path == "lib.rs" => depth,
            depth => depth + 1,
        };
        let up = "super::".repeat(depth);
        let mut uses = after(&self.code, "crate::");
        uses.extend(after(&self.code, "cinder_csi::"));
        if depth > 0 {
            uses.extend(after(&self.code, &up).into_iter().filter(|(room, _)| room != "super"));
        }
        uses
    }
}

/// Up to the tests, which by the house's rule come last.
fn without_tests(text: &str) -> &str {
    let inline = text.match_indices("#[cfg(test)]\nmod ").find(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        rest.split_once('\n').is_some_and(|(line, _)| line.ends_with('{'))
    });
    inline.map_or(text, |(at, _)| &text[..at])
}

/// Code without comments and texts.
fn bare(code: &str) -> String {
    let mut bare = String::new();
    for line in code.lines() {
        let mut quoted = false;
        let mut last = ' ';
        for (at, c) in line.char_indices() {
            if c == '"' && last != '\\' && last != '\'' {
                quoted = !quoted;
            } else if !quoted && line[at..].starts_with("//") {
                break;
            } else if !quoted {
                bare.push(c);
            }
            last = c;
        }
        bare.push('\n');
    }
    bare
}

/// The words after `mark`, with what is named below them: (`openstack`, `Http`), or (`openstack`, `{Cloud, Kind}`).
fn after(code: &str, mark: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(mark) {
        let rest = &code[at + mark.len()..];
        if !begins(code, at) || code[..at].ends_with("::") {
            continue;
        }
        for path in branches(rest) {
            let (room, below) = path.split_once("::").unwrap_or((&path, ""));
            found.push((word(room), below.to_owned()));
        }
    }
    found
}

/// `a::b` is itself, `{a::b, c}` is two.
fn branches(path: &str) -> Vec<String> {
    let end = |text: &str| {
        let mut depth = 0;
        text.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0 || (depth == 0 && !(c.is_alphanumeric() || "_:{}".contains(c)))
        })
        .unwrap_or(text.len())
    };
    let Some(inner) = path.strip_prefix('{') else { return vec![path[..end(path)].to_owned()] };
    let mut branches = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        let length = end(rest);
        branches.push(rest[..length].to_owned());
        rest = rest[length..].trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        if length == 0 {
            break;
        }
    }
    branches
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a word begins there.
fn begins(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn has(code: &str, words: &str) -> bool {
    code.match_indices(words).any(|(at, _)| begins(code, at))
}

fn rooms(sources: &[Source]) -> BTreeSet<String> {
    sources.iter().map(|source| source.room.clone()).collect()
}

#[test]
fn every_arrow_between_rooms_is_in_the_design() {
    let sources = sources();
    let rooms = rooms(&sources);
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| !WIRING.contains(&source.room.as_str())) {
        let Some(may) = arrows.get(source.room.as_str()) else {
            wrong.push(format!("{}: the design has no room {}", source.path, source.room));
            continue;
        };
        for (used, below) in source.uses() {
            let is_arrow = rooms.contains(&used) && used != source.room;
            if is_arrow && !may.contains(&used.as_str()) {
                wrong.push(format!("{}: {} may not use {used} ({below})", source.path, source.room));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_and_sandbox_name_no_more_of_the_client_than_they_may() {
    let may = BTreeMap::from([
        ("config", OPTIONS.as_slice()),
        ("sandbox", &["Http"]),
        ("crash", &["Http", "Operation"]),
    ]);
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(names) = may.get(source.room.as_str()) else { continue };
        for (_, below) in source.uses().into_iter().filter(|(used, _)| used == "openstack") {
            for name in branches(&below) {
                if !names.contains(&word(&name).as_str()) {
                    wrong.push(format!("{}: openstack::{name}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_only_one_file_may_do_only_it_does() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (words, places, what) in ONLY_THERE {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            if !allowed && has(&source.code, words) {
                wrong.push(format!("{}: {what} belong in {} ({words})", source.path, places.join(" or ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `Status::from` and its like read one. The states of volumes are named `Status`, too, and have no small letters.
#[test]
fn a_status_is_made_in_one_file() {
    let made = |code: &str| {
        let begun = code.match_indices("Status::").filter(|(at, _)| begins(code, *at));
        let mut functions = begun.map(|(at, mark)| word(&code[at + mark.len()..]));
        functions.find(|name| name.starts_with(char::is_lowercase) && !name.starts_with("from"))
    };
    assert_eq!(made("return Err(Status::aborted(key));"), Some("aborted".to_owned()));
    assert_eq!(made("tonic::Status::new(code, text)"), Some("new".to_owned()));
    assert_eq!(made("Status::from(error); SnapshotStatus::new(); Status::Creating"), None);
    for source in sources().iter().filter(|source| source.path != "csi/status.rs") {
        assert_eq!(made(&source.code), None, "{}: statuses belong in csi/status.rs", source.path);
    }
}

#[test]
fn the_reader_of_paths_sees_every_way_to_write_one() {
    let source = |code: &str| Source { path: "a/b.rs".to_owned(), room: "a".to_owned(), code: bare(code) };
    for (code, used) in [
        ("use crate::openstack::Http;", vec!["openstack"]),
        ("use crate::{node, volume::{self, Error}};", vec!["node", "volume"]),
        ("fn f() { crate::pace::now(); }", vec!["pace"]),
        ("use super::super::pace::{self, Deadline};", vec!["pace"]),
        ("pub(in crate::openstack) fn f() {}", vec!["openstack"]),
        ("use super::pace;", vec![]),
        ("// use crate::node;", vec![]),
        ("let text = \"crate::node\";", vec![]),
        ("use mycrate::node;", vec![]),
    ] {
        let uses: Vec<_> = source(code).uses().into_iter().map(|(room, _)| room).collect();
        assert_eq!(uses, used, "{code}");
    }
    let below: Vec<_> = source("use crate::openstack::{Http, cinder::{One}};").uses();
    assert_eq!(branches(&below[0].1), ["Http", "cinder::{One}"]);
}

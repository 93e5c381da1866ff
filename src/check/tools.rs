//! The programs that work on disks, and their versions.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Row, Verdict};
use crate::node::{Command, Host, Output};
use crate::pace;

const PATIENCE: Duration = Duration::from_secs(10);

/// Programs that come together.
struct Set {
    check: &'static str,
    /// Each with what makes it tell its version, or its usage, and end. The first one's version is told.
    programs: &'static [(&'static str, &'static [&'static str])],
    package: &'static str,
    /// What can't be without them.
    need: &'static str,
    missing: Verdict,
}

const SETS: [Set; 4] = [
    Set {
        check: "util-linux",
        programs: &[("blkid", &["-V"]), ("blockdev", &["-V"]), ("flock", &["--version"])],
        package: "util-linux",
        need: "no volume",
        missing: Verdict::Failed,
    },
    Set {
        check: "ext4",
        programs: &[
            ("mkfs.ext4", &["-V"]),
            ("mkfs.ext3", &["-V"]),
            ("mkfs.ext2", &["-V"]),
            ("e2fsck", &["-V"]),
            // These two know no such option, and without a disk do nothing but tell how they are used.
            ("resize2fs", &[]),
            ("tune2fs", &[]),
        ],
        package: "e2fsprogs",
        need: "no volume with ext4, which is the default,",
        missing: Verdict::Failed,
    },
    Set {
        check: "xfs",
        programs: &[
            ("mkfs.xfs", &["-V"]),
            ("xfs_repair", &["-V"]),
            ("xfs_growfs", &["-V"]),
            ("xfs_db", &["-V"]),
        ],
        package: "xfsprogs",
        need: "no volume with xfs",
        missing: Verdict::Warning,
    },
    Set {
        check: "btrfs",
        programs: &[("mkfs.btrfs", &["--version"]), ("btrfs", &["--version"]), ("btrfstune", &["--help"])],
        package: "btrfs-progs",
        need: "no volume with btrfs",
        missing: Verdict::Warning,
    },
];

pub async fn rows(host: &dyn Host) -> Vec<Row> {
    join_all(SETS.iter().map(|set| async {
        let answers =
            join_all(set.programs.iter().map(|(program, arguments)| run(host, program, arguments))).await;
        row(set, &answers)
    }))
    .await
}

async fn run(host: &dyn Host, program: &'static str, arguments: &[&'static str]) -> io::Result<Output> {
    tokio::select! {
        output = host.run(Command::new(program).with_all(arguments)) => output.and_then(ran),
        () = pace::sleep(PATIENCE) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A shell's and the loader's codes for what couldn't be run, or a signal.
fn ran(output: Output) -> io::Result<Output> {
    match output.code {
        Some(126 | 127) | None => Err(io::Error::other(format!("it can't run: {}", version(&output)))),
        Some(_) => Ok(output),
    }
}

fn row(set: &Set, answers: &[io::Result<Output>]) -> Row {
    let named = set.programs.iter().zip(answers);
    let missing: Vec<_> = named
        .filter_map(|((program, _), answer)| answer.as_ref().err().map(|error| format!("{program}: {error}")))
        .collect();
    if missing.is_empty() {
        let version =
            answers.first().and_then(|answer| answer.as_ref().ok()).map(version).unwrap_or_default();
        return Row::ok(set.check, version);
    }
    let next = format!("install {} (the image has it): {} can be staged without it", set.package, set.need);
    Row { check: set.check, verdict: set.missing, found: missing.join("; "), next: Some(next) }
}

/// e2fsprogs tells it on standard error.
fn version(output: &Output) -> String {
    let lines = output.stdout.lines().chain(output.stderr.lines());
    lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or("of an unknown version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every program that `src/node` runs.
    fn programs_of(source: &str) -> Vec<&str> {
        let named = source.split("Command::new(\"").skip(1).chain(source.split("=> \"mkfs.").skip(1));
        named.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_program_of_the_node_is_looked_for() {
        let known: Vec<_> = SETS.iter().flat_map(|set| set.programs).map(|(program, _)| *program).collect();
        let sources = [
            include_str!("../node/device.rs"),
            include_str!("../node/filesystem/ext.rs"),
            include_str!("../node/filesystem/xfs.rs"),
            include_str!("../node/filesystem/btrfs.rs"),
            include_str!("../node/filesystem/probe.rs"),
        ];
        let used: Vec<_> = sources.into_iter().flat_map(programs_of).collect();
        assert!(used.len() > 10, "{used:?}");
        for program in used {
            assert!(
                known.contains(&program) || known.contains(&format!("mkfs.{program}").as_str()),
                "{program}"
            );
        }
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_its_package() {
        let output = |stdout: &str, stderr: &str| {
            Ok(Output { code: Some(0), stdout: stdout.to_owned(), stderr: stderr.to_owned() })
        };
        let xfs = &SETS[2];
        let found = output("", "\nmkfs.xfs version 6.1.0\nmore");
        let all = [found, output("", ""), output("", ""), output("", "")];
        assert_eq!(row(xfs, &all), Row::ok("xfs", "mkfs.xfs version 6.1.0"));
        let gone = || Err(io::Error::new(io::ErrorKind::NotFound, "the command is not installed"));
        let row = row(xfs, &[gone(), output("", ""), gone(), output("", "")]);
        assert_eq!(row.verdict, Verdict::Warning);
        assert_eq!(
            row.found,
            "mkfs.xfs: the command is not installed; xfs_growfs: the command is not installed"
        );
        assert!(row.next.unwrap().contains("xfsprogs"));
    }
}

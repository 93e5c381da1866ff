//! `cinder-csi sandbox`: what its flags ask for, from the start to a clean end.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use thiserror::Error;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::place::Place;
use super::rig::{NODES, Rig};
use super::story::Trouble;
use super::{LoopDevices, story, sweep};
use crate::cli::{Log, Sandbox};
use crate::{app, config, telemetry};

/// Why the sandbox did not end well.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("the sandbox can't run: {0}")]
    Io(#[from] io::Error),
    #[error("the log can't be started: {0}")]
    Log(io::Error),
    #[error("{step} failed: {why}\nThe driver's log is {log}", log = log.display())]
    Step { step: &'static str, why: String, log: PathBuf },
    #[error("interrupted: everything is cleared away")]
    Interrupted,
    #[error("these could not be cleared away: {}", .0.join(", "))]
    LeftBehind(Vec<String>),
}

impl Failure {
    /// 130 is what shells make of an end by SIGINT.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Log(_) => config::Error::EXIT,
            Failure::Interrupted => 130,
            Failure::Io(_) | Failure::Step { .. } | Failure::LeftBehind(_) => 1,
        }
    }
}

/// Does what the flags say. `filter` is in the syntax of `RUST_LOG`.
pub async fn run(flags: &Sandbox, log: &Log, filter: Option<&str>) -> Result<(), Failure> {
    let serves = flags.serve || flags.cloud_only;
    let place = Place::new()?;
    let written = place.join("driver.log");
    let writer = match serves {
        true => BoxMakeWriter::new(io::stderr),
        false => BoxMakeWriter::new(Mutex::new(File::create(&written)?)),
    };
    telemetry::start(log.verbosity, log.format, filter, writer).map_err(Failure::Log)?;
    if LoopDevices::are_possible() {
        sweep::sweep();
    }
    let told_to_end = app::told_to_end()?;
    let mut rig = Rig::start(flags, place).await?;
    if serves {
        serve(&mut rig, flags).await?;
        told_to_end.await;
        return cleared(rig.end().await?);
    }
    let told = tokio::select! {
        told = story::tell(&mut rig, flags) => told,
        () = told_to_end => {
            // The line of the step that is under way has no end.
            writeln!(io::stdout()).unwrap_or_default();
            cleared(rig.end().await?)?;
            return Err(Failure::Interrupted);
        }
    };
    match told {
        Ok(proof) => {
            cleared(rig.end().await?)?;
            Ok(writeln!(io::stdout(), "\n{proof}")?)
        }
        Err(Trouble { step, why }) => {
            let log = rig.place.log_beside();
            std::fs::rename(&written, &log)?;
            let cleared = match cleared(rig.end().await?) {
                Ok(()) => "Everything is cleared away.".to_owned(),
                Err(left) => left.to_string(),
            };
            Err(Failure::Step { step, why: format!("{why}\n{cleared}"), log })
        }
    }
}

/// Starts what is asked for, and prints where it is: one `name=value` a line, then `ready`.
async fn serve(rig: &mut Rig, flags: &Sandbox) -> io::Result<()> {
    let mut lines = Vec::new();
    if !flags.cloud_only {
        lines.push(format!("controller=unix://{}", rig.start_controller().await?.display()));
        for node in NODES {
            lines.push(format!("{node}=unix://{}", rig.start_node(node).await?.display()));
        }
    }
    lines.push(format!("cloud_conf={}", rig.cloud_conf().display()));
    lines.push(format!("clouds_yaml={}", rig.clouds_yaml().display()));
    for (number, node) in (1..).zip(NODES) {
        lines.push(format!("server-{number}={}", rig.cloud.server_id(node)));
    }
    for (number, node) in (1..).zip(NODES) {
        lines.push(format!("device-dir-{number}={}", rig.devices(node).display()));
    }
    lines.push(format!("auth_url={}", rig.served.auth_url()));
    if !rig.has_disks {
        eprintln!(
            "Without root and /dev/loop-control the servers have no disks: staging waits for one in vain."
        );
    }
    let mut out = io::stdout();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "ready")
}

fn cleared(left: Vec<String>) -> Result<(), Failure> {
    if left.is_empty() { Ok(()) } else { Err(Failure::LeftBehind(left)) }
}

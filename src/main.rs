//! Parse the command line, start telemetry, run, and say why where it ends.

use std::process::ExitCode;
use std::sync::Arc;

use cinder_csi::cli::{self, Command};
use cinder_csi::config::{Source, System};
use cinder_csi::{app, telemetry};

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args().skip(1), &System) {
        Ok(invocation) => invocation,
        Err(exit) if exit.code == 0 => {
            println!("{}", exit.text);
            return ExitCode::SUCCESS;
        }
        Err(exit) => return failed(&exit.text, exit.code),
    };
    let log = &invocation.log;
    let metrics = match telemetry::start(log.verbosity, log.format, System.var("RUST_LOG").as_deref()) {
        Ok(metrics) => metrics,
        Err(error) => return failed(&error, 64),
    };
    for warning in &invocation.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    match invocation.command {
        Command::Serve(options) => match runtime.block_on(app::serve(*options, Arc::new(System), metrics)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failed(&failure, failure.exit_code()),
        },
        #[cfg(feature = "sandbox")]
        Command::Sandbox(_) => failed(&"not yet", 1),
    }
}

fn failed(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("cinder-csi: {why}");
    ExitCode::from(code)
}

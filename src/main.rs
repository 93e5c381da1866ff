//! Parse the command line, start telemetry, run, and say why where it ends.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use cinder_csi::cli::{self, Check, Command, Log, Serve};
use cinder_csi::config::{self, Source, System};
use cinder_csi::{app, node, telemetry};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// From here on the log has each call to the cloud.
const CALLS: u8 = 4;

/// Where OTLP goes: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
const TRACES: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn main() -> ExitCode {
    node::keep_heap_small();
    let invocation = match cli::parse(std::env::args().skip(1), &System) {
        Ok(invocation) => invocation,
        Err(exit) if exit.code == 0 => {
            println!("{}", exit.text);
            return ExitCode::SUCCESS;
        }
        Err(exit) => return failed(&exit.text, exit.code),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    let filter = System.var("RUST_LOG");
    match invocation.command {
        Command::Serve(options) => {
            runtime.block_on(serve(*options, &invocation.log, filter.as_deref(), &invocation.warnings))
        }
        Command::Check(options) => runtime.block_on(check(&options, &invocation.log, filter.as_deref())),
        Command::PreStop(options) => {
            let say = |words: &str| println!("cinder-csi pre-stop: {words}");
            match runtime.block_on(app::pre_stop(options, say)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failed(&failure, failure.exit_code()),
            }
        }
        #[cfg(feature = "sandbox")]
        Command::Sandbox(flags) => {
            let run = cinder_csi::sandbox::run(&flags, &invocation.log, filter.as_deref());
            match runtime.block_on(run) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failed(&failure, failure.exit_code()),
            }
        }
    }
}

/// What was found goes to standard output, whatever the verdict. Only who asks for them gets the calls beside it.
async fn check(options: &Check, log: &Log, filter: Option<&str>) -> ExitCode {
    if log.verbosity >= CALLS
        && let Err(error) =
            telemetry::start(log.verbosity, log.format, filter, BoxMakeWriter::new(std::io::stderr))
    {
        return failed(&error, config::Error::EXIT);
    }
    let report = match app::check(options, &System).await {
        Ok(report) => report,
        Err(failure) => return failed(&failure, failure.exit_code()),
    };
    let text = if options.json { format!("{:#}\n", report.json()) } else { report.to_string() };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(report.exit_code()),
        Err(error) => failed(&error, 1),
    }
}

async fn serve(options: Serve, log: &Log, filter: Option<&str>, warnings: &[String]) -> ExitCode {
    let endpoint = System.var(TRACES).filter(|endpoint| !endpoint.is_empty());
    let writer = BoxMakeWriter::new(std::io::stderr);
    let log = telemetry::start_traced(log.verbosity, log.format, filter, writer, endpoint.as_deref());
    let (metrics, _traces) = match log {
        Ok(started) => started,
        Err(error) => return failed(&error, config::Error::EXIT),
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match app::serve(options, Arc::new(System), metrics).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, failure.exit_code()),
    }
}

fn failed(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("cinder-csi: {why}");
    ExitCode::from(code)
}

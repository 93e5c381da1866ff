//! What the driver costs: the time that it adds, requests a second, memory, start, size. See `docs/performance.md`.
//!
//! `cargo bench` measures all of it, `cargo bench -- memory start` these parts. Nothing is judged: times differ between
//! machines, and so the figures are shown beside the aim, or beside a bare exchange of the same run. `cargo bench -- --help`
//! has the options of `scale`.

mod added;
mod cloud;
mod figures;
mod lab;
mod listing;
mod memory;
mod process;
mod rpc;
mod scale;
mod stage;
mod start;
mod throughput;

use clap::ValueEnum;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Size,
    Start,
    Added,
    Stage,
    Memory,
    Listing,
    Throughput,
    Scale,
    /// On a real cloud: needs a running lab, which CINDER_CSI_LAB names
    Lab,
}

/// What the driver costs
#[derive(clap::Parser)]
struct CommandLine {
    /// What to measure; without one, all of it
    parts: Vec<Part>,

    #[command(flatten)]
    scale: scale::Options,

    /// Cargo says it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let CommandLine { parts, scale, .. } = clap::Parser::parse();
    let parts = if parts.is_empty() { Part::value_variants().to_vec() } else { parts };
    let profile = if cfg!(debug_assertions) { "UNOPTIMISED, these figures say little" } else { "optimised" };
    let cpus = std::thread::available_parallelism()?;
    println!("cinder-csi {} on {cpus} CPUs, {profile}", env!("CARGO_PKG_VERSION"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for part in parts {
            measure(part, &scale).await?;
        }
        Ok(())
    })
}

async fn measure(part: Part, scale: &scale::Options) -> Outcome<()> {
    match part {
        Part::Size => start::size(),
        Part::Start => start::measure().await,
        Part::Added => added::measure().await,
        Part::Stage => stage::measure().await,
        Part::Memory => memory::measure().await,
        Part::Listing => listing::measure().await,
        Part::Throughput => throughput::measure().await,
        Part::Scale => scale::measure(scale).await,
        Part::Lab => lab::measure().await,
    }
}

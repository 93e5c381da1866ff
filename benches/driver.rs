//! What the driver costs: the time that it adds, requests a second, memory, start, size. See `docs/performance.md`.
//!
//! `cargo bench` measures all of it, `cargo bench -- memory start` these parts. Nothing is judged: times differ between
//! machines, and so the figures are shown beside the aim, or beside a bare exchange of the same run.

#[path = "driver/added.rs"]
mod added;
#[path = "driver/cloud.rs"]
mod cloud;
#[path = "driver/figures.rs"]
mod figures;
#[path = "driver/listing.rs"]
mod listing;
#[path = "driver/memory.rs"]
mod memory;
#[path = "driver/process.rs"]
mod process;
#[path = "driver/rpc.rs"]
mod rpc;
#[path = "driver/stage.rs"]
mod stage;
#[path = "driver/start.rs"]
mod start;
#[path = "driver/throughput.rs"]
mod throughput;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PARTS: [&str; 7] = ["size", "start", "added", "stage", "memory", "listing", "throughput"];

fn main() -> Outcome<()> {
    // Cargo says `--bench`.
    let asked: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("there is no part {unknown}, only: {}", PARTS.join(", ")).into());
    }
    let profile = if cfg!(debug_assertions) { "UNOPTIMISED, these figures say little" } else { "optimised" };
    let cpus = std::thread::available_parallelism()?;
    println!("cinder-csi {} on {cpus} CPUs, {profile}", env!("CARGO_PKG_VERSION"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for part in PARTS.into_iter().filter(|part| asked.is_empty() || asked.iter().any(|name| name == part))
        {
            measure(part).await?;
        }
        Ok(())
    })
}

async fn measure(part: &str) -> Outcome<()> {
    match part {
        "size" => start::size(),
        "start" => start::measure().await,
        "added" => added::measure().await,
        "stage" => stage::measure().await,
        "memory" => memory::measure().await,
        "listing" => listing::measure().await,
        _ => throughput::measure().await,
    }
}

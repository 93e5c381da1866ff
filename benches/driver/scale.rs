//! Many operations at once, on a cloud that takes as long as a production cloud and may limit its callers.
//!
//! Any CSI controller can be measured: ours is started, another one (`--endpoint`) is started by hand once its cloud.conf is
//! written (`--cloud-conf`). Each run has a cloud of its own, which such a controller can't follow: it has one run.

mod added;
mod bed;
mod load;
mod plot;
mod run;
mod scenario;
mod table;

use std::path::PathBuf;

use cinder_csi::sandbox::ApiLimit;

use super::Outcome;
use super::figures::title;
use bed::Bed;
use scenario::Scenario;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of scale")]
pub struct Options {
    /// Only these scenarios; without it all but mixed
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,

    /// Operations of a scenario
    #[arg(long, default_value_t = 1000)]
    operations: usize,

    #[arg(long, default_value_t = 200)]
    servers: usize,

    /// What the cloud answers a second, 429 above it; 0: everything. Without it some scenarios run with and without a limit of 50
    #[arg(long, value_name = "CALLS")]
    limit: Option<u32>,

    /// How many more calls than that come through at once
    #[arg(long, default_value_t = 100)]
    burst: u32,

    /// How long `mixed` takes
    #[arg(long, default_value_t = 10)]
    minutes: u64,

    /// The socket of another controller, for which a minute is waited, instead of starting ours; with one --scenario and a --limit
    #[arg(long, value_name = "PATH", requires_all = ["scenario", "limit"])]
    endpoint: Option<PathBuf>,

    /// The process behind --endpoint, for its memory and processor time
    #[arg(long, value_name = "PID")]
    process: Option<u32>,

    /// Write the settings of the cloud here, for the controller behind --endpoint
    #[arg(long, value_name = "FILE")]
    cloud_conf: Option<PathBuf>,

    /// Where the cloud listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    cloud: String,
}

pub async fn measure(options: &Options) -> Outcome<()> {
    if options.endpoint.is_some() && (options.scenario.len() != 1 || options.scenario == [Scenario::Restart])
    {
        return Err(
            "--endpoint takes one --scenario, and not restart: its controller isn't started from here".into(),
        );
    }
    title("Many at once: a cloud that takes a production cloud's time (ms)");
    table::head();
    for scenario in options.scenarios() {
        for limit in options.limits(scenario) {
            let bed = Bed::new(options, limit).await?;
            let run = scenario.run(&bed, options).await?;
            table::rows(&run, limit);
            plot::write(&run)?;
        }
    }
    table::foot();
    Ok(())
}

impl Options {
    fn scenarios(&self) -> Vec<Scenario> {
        match self.scenario.as_slice() {
            [] => Scenario::USUAL.to_vec(),
            asked => asked.to_vec(),
        }
    }

    fn limits(&self, scenario: Scenario) -> Vec<Option<ApiLimit>> {
        let limit = |per_second| ApiLimit { per_second, burst: self.burst };
        match self.limit {
            Some(0) => vec![None],
            Some(per_second) => vec![Some(limit(per_second))],
            None if scenario.is_limited_too() => vec![None, Some(limit(50))],
            None => vec![None],
        }
    }
}

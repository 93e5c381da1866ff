//! The flags of `cinder-csi sandbox`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::flags;
use crate::config::duration;

/// Take a volume through its life on a simulated cloud
#[derive(Clone, Debug, Args)]
pub struct Sandbox {
    /// Keep the cloud and the driver running and print their addresses
    #[arg(long)]
    pub serve: bool,

    /// Only the cloud, without the driver
    #[arg(long)]
    pub cloud_only: bool,

    /// Where the cloud listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// How long the cloud takes: none, lab (as measured on the test lab), production, or a duration such as 50ms for each call
    #[arg(long, value_name = "LATENCY", default_value = "none", value_parser = latency)]
    pub latency: Latency,

    /// The seed of everything random
    #[arg(long, value_name = "NUMBER", value_parser = flags::number::<u64>, default_value_t = 0)]
    pub seed: u64,

    /// Wait for Enter while the volume is mounted, to look at it
    #[arg(long, conflicts_with_all = ["serve", "cloud_only"])]
    pub pause: bool,
}

/// How long a simulated cloud takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    None,
    Lab,
    Production,
    Each(Duration),
}

pub(super) fn latency(text: &str) -> Result<Latency, String> {
    match text {
        "none" => Ok(Latency::None),
        "lab" => Ok(Latency::Lab),
        "production" => Ok(Latency::Production),
        other => duration::parse(other)
            .map(Latency::Each)
            .ok_or_else(|| "it is not none, lab, production or a duration such as 50ms".to_owned()),
    }
}

//! How large the binary is, and how long it takes until it answers.

use std::process::{Command, Stdio};
use std::time::Instant;

use cinder_csi::sandbox::Settings;

use super::Outcome;
use super::cloud::Cloud;
use super::figures::{COLUMNS, Times, title};
use super::process::{Driver, binary};

const ROUNDS: usize = 30;

pub fn size() -> Outcome<()> {
    title("Binary, stripped, millions of bytes");
    println!("{:<42} {:>8.2}   aim 12", "as in the image", std::fs::metadata(binary()?)?.len() as f64 / 1e6);
    Ok(())
}

pub async fn measure() -> Outcome<()> {
    title("Start, ms");
    let binary = binary()?;
    let cloud = Cloud::serve(1, Settings::default()).await?;
    let (mut ready, mut version) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut driver = Driver::start(&cloud)?;
        driver.connect().await?.probe().await?;
        ready.push(began.elapsed());
        drop(driver);
        let began = Instant::now();
        #[allow(clippy::disallowed_methods, reason = "what any process costs")]
        Command::new(binary).arg("--version").stdout(Stdio::null()).status()?;
        version.push(began.elapsed());
    }
    println!("{:<42} {COLUMNS}", "");
    println!("{:<42} {}   aim 30", "fork to the first Probe answered", ready.columns());
    println!("{:<42} {}", "for comparison: cinder-csi --version", version.columns());
    Ok(())
}

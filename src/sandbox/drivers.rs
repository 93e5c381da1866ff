//! The real driver, served on unix sockets as its command line asks for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::Driver;
use crate::cli::{self, Command};
use crate::config::{Fixed, Source};

/// Drivers that run until they are stopped.
pub(super) struct Drivers {
    stop: watch::Sender<()>,
    running: JoinSet<io::Result<()>>,
}

/// The files of this machine and an empty environment: whatever `OS_*` variables a reader's shell has, they aren't meant
/// for the simulated cloud.
struct Files;

impl Source for Files {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

impl Default for Drivers {
    fn default() -> Self {
        Self { stop: watch::Sender::new(()), running: JoinSet::new() }
    }
}

impl Drivers {
    /// Starts a driver with these flags, and answers when its socket is there.
    pub async fn start(&mut self, socket: PathBuf, flags: &[String]) -> io::Result<PathBuf> {
        let endpoint = format!("--endpoint=unix://{}", socket.display());
        let arguments = std::iter::once(endpoint).chain(flags.iter().cloned());
        let invocation =
            cli::parse(arguments, &Fixed::default()).map_err(|exit| io::Error::other(exit.text))?;
        let Command::Serve(options) = invocation.command else {
            return Err(io::Error::other("these are not the flags of a driver"));
        };
        let driver = Driver::new(&options, Arc::new(Files)).map_err(io::Error::other)?;
        let mut stopped = self.stop.subscribe();
        self.running.spawn(driver.run(async move {
            // An error means that the sender is gone, and with it whoever needs this driver.
            stopped.changed().await.unwrap_or_default();
        }));
        while !socket.exists() {
            if let Some(ended) = self.running.try_join_next() {
                ended.map_err(io::Error::other)??;
                return Err(io::Error::other("a driver ended at once"));
            }
            tokio::task::yield_now().await;
        }
        Ok(socket)
    }

    /// Ends them as SIGTERM does: what is under way is finished.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.send_replace(());
        while let Some(ended) = self.running.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

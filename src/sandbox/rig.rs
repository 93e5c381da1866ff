//! A simulated cloud on a port, the drivers that use it, and their files: all that a sandbox is, in one directory.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::drivers::Drivers;
use super::place::Place;
use super::{Latency, LoopDevices, Served, Settings, SimulatedCloud};
use crate::cli::{self, Sandbox};
use crate::pace::{self, Deadline};

/// Dropping it leaves nothing behind; [`Rig::end`] does so in good order.
pub(super) struct Rig {
    pub cloud: SimulatedCloud,
    pub served: Served,
    /// The servers have real disks.
    pub has_disks: bool,
    drivers: Drivers,
    pub place: Place,
}

/// The servers that have a driver.
pub(super) const NODES: [&str; 2] = ["node-1", "node-2"];

const FREED_WITHIN: Duration = Duration::from_secs(2);

impl Rig {
    /// The cloud, without drivers.
    pub async fn start(flags: &Sandbox, place: Place) -> io::Result<Self> {
        let latency = latency(flags.latency);
        let cloud = SimulatedCloud::new(Settings { seed: flags.seed, latency, ..Settings::default() });
        let served = cloud.serve(flags.listen).await.map_err(|error| {
            io::Error::new(error.kind(), format!("--listen: can't listen on {}: {error}", flags.listen))
        })?;
        let has_disks = LoopDevices::are_possible();
        if has_disks {
            cloud.plug_into(Box::new(LoopDevices::new(place.path())?));
        }
        let rig = Self { cloud, served, has_disks, drivers: Drivers::default(), place };
        fs::write(rig.cloud_conf(), rig.cloud_conf_text())?;
        fs::write(rig.clouds_yaml(), rig.clouds_yaml_text())?;
        for node in NODES {
            fs::create_dir_all(rig.devices(node))?;
        }
        Ok(rig)
    }

    /// Serves the Controller.
    pub async fn start_controller(&mut self) -> io::Result<PathBuf> {
        let flags = ["--provide-node-service=false".to_owned(), "--cluster=sandbox".to_owned()];
        self.start_driver("controller", &flags).await
    }

    /// Serves the Node of this server, which learns its id and zone from the metadata service.
    pub async fn start_node(&mut self, node: &str) -> io::Result<PathBuf> {
        let flags = [
            "--provide-controller-service=false".to_owned(),
            format!("--device-dir={}", self.devices(node).display()),
            format!("--metadata-url={}/metadata/{}", self.served.url(), self.cloud.server_id(node)),
        ];
        self.start_driver(node, &flags).await
    }

    pub fn cloud_conf(&self) -> PathBuf {
        self.place.join("cloud.conf")
    }

    pub fn clouds_yaml(&self) -> PathBuf {
        self.place.join("clouds.yaml")
    }

    /// Where this server's disks are linked.
    pub fn devices(&self, node: &str) -> PathBuf {
        LoopDevices::device_dir(self.place.path(), &self.cloud.server_id(node))
    }

    /// Ends the drivers, takes the disks out, removes the directory, and answers what could not be cleared away.
    pub async fn end(mut self) -> io::Result<Vec<String>> {
        std::mem::take(&mut self.drivers).stop().await?;
        self.clear()?;
        // The kernel frees a loop device a moment after its last user has let it go.
        let deadline = Deadline::after(FREED_WITHIN);
        let mut left = self.place.in_use()?;
        while !left.is_empty() && !deadline.has_passed() {
            pace::sleep(Duration::from_millis(20)).await;
            left = self.place.in_use()?;
        }
        self.place.remove()?;
        Ok(left)
    }

    fn clear(&self) -> io::Result<()> {
        self.place.unmount_all()?;
        self.cloud.unplug_all();
        Ok(())
    }

    async fn start_driver(&mut self, name: &str, flags: &[String]) -> io::Result<PathBuf> {
        let conf = format!("--cloud-config={}", self.cloud_conf().display());
        let flags: Vec<_> = flags.iter().cloned().chain(std::iter::once(conf)).collect();
        self.drivers.start(self.place.join(format!("{name}.sock")), &flags).await
    }

    fn cloud_conf_text(&self) -> String {
        let found = self.cloud.credentials();
        format!(
            "[Global]\n\
             auth-url = {url}\n\
             username = {user}\n\
             password = {password}\n\
             tenant-name = {project}\n\
             domain-name = Default\n\
             region = {region}\n\
             \n\
             [Metadata]\n\
             search-order = metadataService\n",
            url = self.served.auth_url(),
            user = found.user,
            password = found.password,
            project = found.project,
            region = Settings::default().region,
        )
    }

    fn clouds_yaml_text(&self) -> String {
        let found = self.cloud.credentials();
        format!(
            "clouds:\n\
             \x20 sandbox:\n\
             \x20   auth:\n\
             \x20     auth_url: {url}\n\
             \x20     username: {user}\n\
             \x20     password: {password}\n\
             \x20     project_name: {project}\n\
             \x20     user_domain_name: Default\n\
             \x20     project_domain_name: Default\n\
             \x20   region_name: {region}\n\
             \x20   identity_api_version: 3\n",
            url = self.served.auth_url(),
            user = found.user,
            password = found.password,
            project = found.project,
            region = Settings::default().region,
        )
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "the sandbox could not clear up");
        }
    }
}

fn latency(wanted: cli::Latency) -> Latency {
    match wanted {
        cli::Latency::None => Latency::zero(),
        cli::Latency::Lab => Latency::lab(),
        cli::Latency::Production => Latency::production(),
        cli::Latency::Each(time) => Latency::each(time),
    }
}

//! Clouds with a line to each that can be cut.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cinder_csi::openstack::{Cloud, Http, ServerId};
use cinder_csi::sandbox::{Call, Settings, SimulatedCloud};
use cinder_csi::volume::{Volume, Volumes};
use tower::ServiceExt;

use crate::bed::{Bed, options};
use crate::driver::Driver;

/// How the line to a cloud is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    #[default]
    Up,
    /// Connections are refused.
    Cut,
    /// Nothing is ever answered.
    Silent,
}

pub struct Site {
    pub name: &'static str,
    pub cloud: SimulatedCloud,
    line: Arc<Mutex<Line>>,
}

impl Site {
    pub fn new(name: &'static str, settings: Settings) -> Self {
        Self { name, cloud: SimulatedCloud::new(settings), line: Arc::default() }
    }

    /// A cloud with one zone and a server in it, `node-ZONE`.
    pub fn of_zone(name: &'static str, seed: u64, zone: &str) -> Self {
        let servers = vec![(format!("node-{zone}"), zone.to_owned())];
        Self::new(name, Settings { seed, zones: vec![zone.to_owned()], servers, ..Settings::default() })
    }

    pub fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    pub fn volumes(&self) -> Volumes {
        Volumes::new(Cloud::new(self.http(), options("csi", "k8s")))
    }

    pub fn server(&self, zone: &str) -> ServerId {
        self.cloud.server_id(&format!("node-{zone}")).parse().unwrap()
    }

    /// Every volume that it has.
    pub async fn all(&self) -> Vec<Volume> {
        self.bed().all().await
    }

    /// The cloud past the line, as its owner has it.
    pub fn bed(&self) -> Bed {
        let volumes = Volumes::new(Cloud::new(self.cloud.http(), options("csi", "k8s")));
        Bed { cloud: self.cloud.clone(), volumes }
    }

    /// The requests since the last call of this function, without those for tokens.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.cloud.calls();
        self.cloud.reset_calls();
        calls.into_iter().filter(|call| !call.path.contains("/auth/")).collect()
    }

    fn http(&self) -> Http {
        let (http, line) = (self.cloud.http(), Arc::clone(&self.line));
        Http::new(tower::service_fn(move |request: http::Request<Bytes>| {
            let (http, line) = (http.clone(), *line.lock().unwrap());
            async move {
                match line {
                    Line::Up => http.oneshot(request).await,
                    Line::Cut => Err(std::io::ErrorKind::ConnectionRefused.into()),
                    Line::Silent => std::future::pending().await,
                }
            }
        }))
    }
}

/// One driver of all these clouds.
pub fn driver_of(sites: &[&Site]) -> Driver {
    Driver::over(sites.iter().map(|site| (site.name.to_owned(), site.volumes())).collect(), false)
}

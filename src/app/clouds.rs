//! The clouds that are configured, and again whenever their settings change.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::Failure;
use super::seams::Seams;
use crate::config::{self, Config, Source};
use crate::csi;
use crate::openstack::{Cloud, Options, Tls};
use crate::pace;
use crate::volume::Volumes;

/// The kubelet writes a changed Secret within a minute or two
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod>); looking costs a read of a
/// small file.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub struct Clouds {
    source: Arc<dyn Source>,
    seams: Seams,
    watch: config::Watch,
    clouds: BTreeMap<String, Cloud>,
    /// Where certificates are named.
    place: Option<config::Place>,
}

impl Clouds {
    /// Reads the settings and calls nobody.
    pub fn connect(source: Arc<dyn Source>, seams: Seams, request: config::Request) -> Result<Self, Failure> {
        let (watch, config) = config::Watch::start(source.as_ref(), request.clone());
        let config = config?;
        let clouds = clients(&seams, &config, &request)?;
        warn_of(&config);
        Ok(Self { source, seams, watch, clouds, place: place(&request) })
    }

    pub fn volumes(&self) -> csi::Clouds {
        let volumes = |(name, cloud): (&String, &Cloud)| (name.clone(), Volumes::new(cloud.clone()));
        csi::Clouds::new(self.clouds.iter().map(volumes).collect())
    }

    /// Goes on with new credentials when their file has changed; what can't be used is told and the old ones stay.
    /// What `users` know of the clouds is then forgotten, and `access` asks whether they are let in.
    pub async fn keep_current(mut self, users: csi::Clouds, access: csi::Access) {
        loop {
            pace::sleep(LOOK_EVERY).await;
            match self.watch.poll(self.source.as_ref()) {
                None => {}
                Some(Ok(config)) => {
                    for refused in self.replace(&config) {
                        access.refused_settings(&refused);
                    }
                    users.forget();
                    access.look_again();
                }
                Some(Err(error)) => {
                    error!(%error, "the changed settings can't be used: the old ones stay");
                    access.refused_settings(&error.to_string());
                }
            }
        }
    }

    /// What can't be used, a sentence for each cloud that goes on with its old settings.
    fn replace(&self, config: &Config) -> Vec<String> {
        warn_of(config);
        let mut refused = Vec::new();
        for (name, cloud) in &self.clouds {
            let Some(options) = config.clouds.get(name) else {
                warn!(cloud = name, "the changed settings don't have this cloud: its old ones stay");
                refused.push(format!("they don't have cloud {name:?}"));
                continue;
            };
            match self.seams.http(&options.tls, &config.proxy) {
                Ok(http) => {
                    cloud.replace(http, options.clone());
                    info!(cloud = name, "the settings have changed: they are used from now on");
                }
                Err(error) => {
                    error!(cloud = name, %error, "the changed settings can't be used: the old ones stay");
                    refused.push(unusable(name, self.place.clone(), &error).to_string());
                }
            }
        }
        refused
    }
}

/// A client for each cloud, which calls nobody yet. Certificates and proxies are known to be of use only once that is made.
pub fn clients(
    seams: &Seams,
    config: &Config,
    request: &config::Request,
) -> Result<BTreeMap<String, Cloud>, config::Error> {
    // A proxy's error is none of the file's: it is met here, where no certificate can be wrong.
    let anyone = Tls { insecure: true, ..Tls::default() };
    seams.http(&anyone, &config.proxy).map_err(|error| unusable("", None, &error))?;
    let client = |(name, options): (&String, &Options)| {
        let http = seams.http(&options.tls, &config.proxy);
        let http = http.map_err(|error| unusable(name, place(request), &error))?;
        Ok((name.clone(), Cloud::new(http, options.clone())))
    };
    config.clouds.iter().map(client).collect()
}

fn place(request: &config::Request) -> Option<config::Place> {
    request.files.last().cloned().map(config::Place::File)
}

fn unusable(cloud: &str, place: Option<config::Place>, error: &io::Error) -> config::Error {
    let whose = if cloud.is_empty() { String::new() } else { format!("cloud \"{cloud}\": ") };
    config::Error { place, message: format!("{whose}{error}") }
}

fn warn_of(config: &Config) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fixed;

    fn connect(source: Fixed, request: config::Request) -> Result<Clouds, Failure> {
        let seams = Seams::new(&source);
        Clouds::connect(Arc::new(source), seams, request)
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_an_error_of_the_settings() {
        let source = Fixed::default()
            .with_file("/c", "[Global]\nauth-url=https://k/v3\ntoken=t\nca-file=/ca")
            .with_file("/ca", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----");
        let request = config::Request { files: vec!["/c".into()], ..config::Request::default() };
        let failure = connect(source, request).err().unwrap();
        assert_eq!(failure.exit_code(), 64);
        let text = failure.to_string();
        assert!(text.starts_with("/c: ca-file holds no certificate"), "{text}");
    }

    #[test]
    fn a_proxy_that_is_none_is_an_error_of_the_environment() {
        let source = Fixed::default()
            .with_var("HTTPS_PROXY", "http://:x")
            .with_file("/c", "[Global]\nauth-url=https://k/v3\ntoken=t");
        let request = config::Request { files: vec!["/c".into()], ..config::Request::default() };
        let failure = connect(source, request).err().unwrap();
        assert_eq!(
            (failure.exit_code(), failure.to_string().as_str()),
            (64, "HTTPS_PROXY is not the URL of a proxy")
        );
    }
}

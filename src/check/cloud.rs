//! Asks a cloud. Nothing here changes anything in it.

use std::time::Duration;

use futures_util::future::{join, join4};
use url::Url;

use super::{About, Row, Section, access, backups, microversions, quotas, trouble, types, zones};
use crate::config::BlockStorage;
use crate::openstack::{Admission, Cloud, Options, Result, Service};
use crate::pace::{self, Deadline};

/// For each question: a service that doesn't answer is one failed row.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub options: &'a Options,
    pub block_storage: &'a BlockStorage,
    /// `--with-topology`
    pub topology: bool,
}

/// The controller's checks: who may come in, then who answers, then all else at once.
pub async fn cloud(cloud: &Cloud, terms: Terms<'_>) -> Section {
    let Options { name, auth_url, .. } = terms.options;
    let about = About::Cloud { name: name.clone(), auth_url: auth_url.to_string() };
    Section { about, rows: asked(cloud, terms).await }
}

async fn asked(cloud: &Cloud, terms: Terms<'_>) -> Vec<Row> {
    let options = terms.options;
    let admission = match within(cloud.admission()).await {
        Ok(admission) => admission,
        Err(error) if error.is_of_tls() => {
            let untold = "authentication, clock, catalog, cinder, nova, zones, volume-types, quotas, backups";
            return vec![trouble::row("tls", &error, &options.places), not_asked(untold)];
        }
        Err(error) => {
            let tls = error.status.map(|_| access::tls(options, None));
            let untold = "clock, catalog, cinder, nova, zones, volume-types, quotas, backups";
            let refused = trouble::row("authentication", &error, &options.places);
            return [refused].into_iter().chain(tls).chain([not_asked(untold)]).collect();
        }
    };
    let mut rows = vec![
        access::authentication(&admission, options),
        access::clock(&admission),
        access::tls(options, Some(&admission)),
        access::catalog(&admission, options),
    ];
    rows.extend(services(cloud, &admission, terms).await);
    rows
}

/// Whoever doesn't name its microversions is asked no more.
async fn services(cloud: &Cloud, admission: &Admission, terms: Terms<'_>) -> Vec<Row> {
    let ignored = terms.options.ignore_volume_microversion;
    let (cinder, nova) = join(
        service(cloud, Service::Cinder, admission.cinder.as_ref().ok(), ignored, terms),
        service(cloud, Service::Nova, admission.nova.as_ref().ok(), false, terms),
    )
    .await;
    let mut untold = Vec::new();
    untold.extend(admission.cinder.is_err().then_some("cinder"));
    untold.extend(admission.nova.is_err().then_some("nova"));
    let (has_cinder, has_both) = (cinder.is_ok(), cinder.is_ok() && nova.is_ok());
    let answers = [cinder, nova].into_iter();
    let mut rows: Vec<_> = answers.filter_map(|answer| answer.unwrap_or_else(|row| row)).collect();
    match has_cinder {
        true => rows.extend(details(cloud, terms, has_both).await),
        false => untold.extend(["zones", "volume-types", "quotas", "backups"]),
    }
    if has_cinder && !has_both {
        untold.push("zones");
    }
    if !untold.is_empty() {
        rows.push(not_asked(&untold.join(", ")));
    }
    rows
}

/// An error is the row of a service that doesn't answer; none where the catalog lacks it, which is told already.
async fn service(
    cloud: &Cloud,
    service: Service,
    url: Option<&Url>,
    ignored: bool,
    terms: Terms<'_>,
) -> std::result::Result<Option<Row>, Option<Row>> {
    let Some(url) = url else { return Err(None) };
    match within(cloud.offer(service)).await {
        Ok(offer) => Ok(Some(microversions::row(service, url, offer, ignored))),
        Err(error) => {
            let check = if service == Service::Nova { "nova" } else { "cinder" };
            Err(Some(trouble::row(check, &error, &terms.options.places)))
        }
    }
}

async fn details(cloud: &Cloud, terms: Terms<'_>, with_zones: bool) -> Vec<Row> {
    let zones = async {
        match with_zones {
            true => Some(zones_of(cloud, terms).await),
            false => None,
        }
    };
    let (zones, types, quotas, backups) =
        join4(zones, types_of(cloud, terms), quotas_of(cloud, terms), backups_of(cloud, terms)).await;
    zones.into_iter().chain([types, quotas, backups]).collect()
}

async fn zones_of(cloud: &Cloud, terms: Terms<'_>) -> Row {
    let rules = zones::Rules {
        map: &terms.block_storage.zone_map,
        topology: terms.topology,
        ignored: terms.block_storage.ignore_volume_az,
    };
    match join(within(cloud.nova.list_zones()), within(cloud.cinder.zones())).await {
        (Ok(compute), Ok(volume)) => zones::row(&compute, volume.names(), rules),
        (Err(error), _) | (_, Err(error)) => trouble::row("zones", &error, &terms.options.places),
    }
}

async fn types_of(cloud: &Cloud, terms: Terms<'_>) -> Row {
    let (types, default) =
        join(within(cloud.cinder.list_volume_types()), within(cloud.cinder.find_default_volume_type())).await;
    match (types, default) {
        (Ok(types), Ok(default)) => types::row(&types, default.as_ref()),
        (Err(error), _) | (_, Err(error)) => trouble::row("volume-types", &error, &terms.options.places),
    }
}

async fn quotas_of(cloud: &Cloud, terms: Terms<'_>) -> Row {
    match within(cloud.cinder.get_quotas()).await {
        Ok(quotas) => quotas::row(&quotas),
        Err(error) => trouble::row("quotas", &error, &terms.options.places),
    }
}

async fn backups_of(cloud: &Cloud, terms: Terms<'_>) -> Row {
    let (services, made) =
        join(within(cloud.cinder.find_backup_services()), within(cloud.cinder.has_backups())).await;
    match (services, made) {
        (Ok(services), Ok(made)) => backups::row(services.as_deref(), made),
        (Err(error), _) | (_, Err(error)) => trouble::row("backups", &error, &terms.options.places),
    }
}

async fn within<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    pace::within(Deadline::after(PATIENCE), question).await
}

/// What would only fail again.
fn not_asked(checks: &str) -> Row {
    Row::unknown("not-asked", checks, "mend what failed above, and check again")
}

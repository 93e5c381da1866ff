//! The POST, and what has to be known before it.

use super::origin::Fitted;
use super::{Condition, Error, Result, Volumes, Wanted, ZoneChoice};
use crate::openstack::{self, Effect, Kind, Origin, VolumeId, VolumeType};
use crate::volume::namesakes::Posted;

impl Volumes {
    pub(super) async fn post_volume(&self, wanted: &Wanted, attempt: &str) -> Result<Posted<VolumeId>> {
        let fitted = self.prepare(wanted).await.map_err(|error| self.while_in_doubt(wanted, error))?;
        let answer = self.cinder.create_volume(&fitted.wanted.order(attempt)).await;
        if let Err(error) = &answer
            && matches!(error.kind, Kind::Refused | Kind::NotFound)
            && error.effect == Effect::None
            && let Some(why) = self.why_refused(&fitted, error).await
        {
            return Err(self.while_in_doubt(wanted, why));
        }
        self.posted(wanted, answer.map(|volume| volume.id))
    }

    async fn prepare(&self, wanted: &Wanted) -> Result<Fitted> {
        let mut fitted = self.fit_to_origin(wanted).await?;
        fitted.wanted.zone = self.fit_to_cinder(fitted.wanted.zone, wanted.origin).await?;
        self.check_type(wanted).await?;
        Ok(fitted)
    }

    /// A mere wish is one for a zone that Cinder has; a copy goes where its source is.
    async fn fit_to_cinder(&self, zone: ZoneChoice, origin: Option<Origin>) -> Result<ZoneChoice> {
        let ZoneChoice::Rather(wished) = zone else { return Ok(zone) };
        if origin.is_some() {
            return Ok(ZoneChoice::Any);
        }
        let known = self.zones().await?;
        let first = wished.into_iter().find(|zone| known.names().contains(zone));
        Ok(first.map_or(ZoneChoice::Any, |zone| ZoneChoice::OneOf(vec![zone])))
    }

    /// A volume that several servers need must have a type that allows it: nothing is made to find that out.
    async fn check_type(&self, wanted: &Wanted) -> Result<()> {
        // A copy without a type of its own gets its source's.
        if !wanted.multiattach || (wanted.origin.is_some() && wanted.volume_type.is_none()) {
            return Ok(());
        }
        let types = self.cinder.list_volume_types().await.map_err(Error::reading)?;
        // Before Xena tenants see no extra specs: what Cinder makes then tells.
        if types.iter().all(|one| one.extra_specs.is_empty()) {
            return Ok(());
        }
        let found = match &wanted.volume_type {
            Some(name) => types.into_iter().find(|one| one.is(name)),
            None => self.cinder.find_default_volume_type().await.map_err(Error::reading)?,
        };
        match found.filter(|found| !found.is_multiattach()) {
            Some(found) => Err(Error::new(Condition::Invalid, not_multiattach(&found))),
            None => Ok(()),
        }
    }

    /// Why Cinder refused, if it is for the source's state or for the zone: another one may do.
    async fn why_refused(&self, fitted: &Fitted, error: &openstack::Error) -> Option<Error> {
        // The source may have changed its status just then.
        if let Err(why) = self.fit_to_origin(&fitted.wanted).await {
            return Some(why);
        }
        let zone = fitted.wanted.zone.zones().first()?;
        if let (Some(source), Some(origin)) = (&fitted.zone_elsewhere, fitted.wanted.origin) {
            let why = format!(
                "its source, {origin}, is in zone {source}, where Cinder makes copies of it, and zone {zone} is asked for: {error}"
            );
            return Some(Error::new(Condition::NotHere, why));
        }
        let known = self.cinder.zones_anew().await.ok()?;
        let has = known.names().contains(zone);
        (!has).then(|| Error::new(Condition::NotHere, no_such_zone(zone, known.names(), error)))
    }
}

fn not_multiattach(found: &VolumeType) -> String {
    format!(
        "volume type {} isn't a multiattach one (extra spec multiattach='<is> True'), which the access mode needs",
        found.name
    )
}

fn no_such_zone(zone: &str, known: &[String], error: &openstack::Error) -> String {
    format!(
        "Cinder has no zone {zone}, it has {}: correct the StorageClass's availability, or map the zones of servers to those of \
         volumes (az-map): {error}",
        known.join(", ")
    )
}

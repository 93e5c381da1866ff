//! The POST, and what has to be known before it.

use super::origin::Fitted;
use super::plan::{Attempt, Posted};
use super::{Condition, Error, Result, Volumes, Wanted, unfinished};
use crate::openstack::{self, Effect, Kind, VolumeType};

impl Volumes {
    /// Asks for the volume, in the first zone that Cinder has.
    pub(super) async fn post(&self, wanted: &Wanted, attempt: &mut Attempt) -> Result<()> {
        let fitted = self.prepare(wanted).await.map_err(|error| self.doubted(wanted, error))?;
        loop {
            let zone = attempt.zone(&fitted.wanted.zone).map(str::to_owned);
            let order = fitted.wanted.order(&attempt.id, zone.as_deref());
            let error = match self.cinder.create_volume(&order).await {
                Ok(volume) => {
                    attempt.posted = Posted::As(volume.id);
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.effect == Effect::Unknown {
                self.doubts.raise(&wanted.name);
                attempt.posted = Posted::Unclear;
                return Ok(());
            }
            // A final error would let the provisioner forget a volume that an earlier POST may still make.
            if self.doubts.are_there(&wanted.name) {
                return Err(Error::unsettled(&error));
            }
            match self.zone_refused(&fitted, zone.as_deref(), &error).await {
                Some(why) => attempt.turn_elsewhere(&fitted.wanted.zone, zone.as_deref(), why)?,
                None => return Err(refused(&error)),
            }
        }
    }

    async fn prepare(&self, wanted: &Wanted) -> Result<Fitted> {
        let fitted = self.fit_to_origin(wanted).await?;
        self.check_type(wanted).await?;
        Ok(fitted)
    }

    fn doubted(&self, wanted: &Wanted, error: Error) -> Error {
        match self.doubts.are_there(&wanted.name) {
            true => Error::new(unfinished(error.condition), error.message),
            false => error,
        }
    }

    /// A volume that several servers need must have a type that allows it: nothing is made to find that out.
    async fn check_type(&self, wanted: &Wanted) -> Result<()> {
        // A copy without a type of its own gets its source's.
        if !wanted.multiattach || (wanted.origin.is_some() && wanted.volume_type.is_none()) {
            return Ok(());
        }
        let found = match &wanted.volume_type {
            Some(name) => self.cinder.list_volume_types().await.map(|types| {
                // As `get_by_name_or_id` of Cinder has it.
                types.into_iter().find(|one| one.id == *name || one.name == *name)
            }),
            None => self.cinder.find_default_volume_type().await,
        };
        let found = found.map_err(|error| Error::reading(&error))?;
        match found.filter(|found| found.is_multiattach() == Some(false)) {
            Some(found) => Err(Error::new(Condition::Invalid, not_multiattach(&found))),
            None => Ok(()),
        }
    }

    /// Why Cinder refused, if it is for the zone: another one may do.
    async fn zone_refused(
        &self,
        fitted: &Fitted,
        zone: Option<&str>,
        error: &openstack::Error,
    ) -> Option<Error> {
        let zone = zone.filter(|_| error.kind == Kind::Refused)?;
        if let (Some(source), Some(origin)) = (&fitted.zone_elsewhere, fitted.wanted.origin) {
            let why = format!(
                "its source, {origin}, is in zone {source}, where Cinder makes copies of it, and zone {zone} is asked for: {error}"
            );
            return Some(Error::new(Condition::Exhausted, why));
        }
        let known = self.cinder.zones_anew().await.ok()?;
        let has = known.names().iter().any(|name| name == zone);
        (!has).then(|| Error::new(Condition::Exhausted, no_such_zone(zone, known.names(), error)))
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

fn refused(error: &openstack::Error) -> Error {
    match error.kind {
        // 404: the type; 400: the type or the size.
        Kind::NotFound | Kind::Refused => Error::new(Condition::Invalid, error.to_string()),
        _ => Error::reading(error),
    }
}

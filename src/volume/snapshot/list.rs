//! The project's snapshots and then its backups, page by page, each oldest first.
//!
//! Cinder goes on from the one that a marker names, and answers 404 once that is gone. A place therefore names the last
//! few that were told: what comes after the newest of them that is still there is what wasn't told yet.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::super::{Condition, Error, Result, VolumeId, Volumes};
use super::Saved;
use crate::openstack::{self, Kind, Part, Portion};

/// Cinder's `osapi_max_limit`, unless its operator changed it.
const MOST: u32 = 1000;
/// The specification allows a token 128 bytes.
const MARKERS: usize = 3;

/// Where the list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    list: List,
    /// The newest first; none at the list's beginning.
    after: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Snapshots,
    Backups,
}

#[derive(Clone, Debug)]
pub struct SavedPage {
    pub items: Vec<Saved>,
    /// There is more from here on.
    pub next: Option<Place>,
}

impl Volumes {
    /// The snapshots and backups from `place` on, `limit` at most, and 1,000 at most; only those of a volume where one
    /// is given.
    pub async fn page_saved(
        &self,
        source: Option<VolumeId>,
        limit: Option<u32>,
        place: Option<Place>,
    ) -> Result<SavedPage> {
        let limit = limit.unwrap_or(MOST).min(MOST) as usize;
        let mut place = place.unwrap_or(Place::start_of(List::Snapshots));
        let mut items: Vec<Saved> = Vec::new();
        loop {
            let left = limit.saturating_sub(items.len());
            let part = self.part_of(source, left, &place).await?;
            let mut shown: Vec<_> = part.items.iter().filter(|saved| saved.is_shown()).cloned().collect();
            let more = part.more || shown.len() > left;
            shown.truncate(left);
            if more && (left == 0 || !shown.is_empty()) {
                place.go_past(&shown);
                items.extend(shown);
                return Ok(SavedPage { items, next: Some(place) });
            }
            items.extend(shown);
            match place.list {
                _ if more => place.go_past(&part.items),
                List::Snapshots => place = Place::start_of(List::Backups),
                List::Backups => return Ok(SavedPage { items, next: None }),
            }
        }
    }

    /// One more than `left`, which tells whether that is all.
    async fn part_of(&self, source: Option<VolumeId>, left: usize, place: &Place) -> Result<Portion<Saved>> {
        let limit = u32::try_from(left).unwrap_or(MOST).saturating_add(1).min(MOST);
        let mut markers = place.after.iter();
        let mut after = markers.next();
        loop {
            match self.portion(place.list, source, limit, after.copied()).await {
                Err(error) if error.kind == Kind::NotFound && after.is_some() => {
                    after = Some(markers.next().ok_or_else(stale)?);
                }
                answer => return answer.map_err(Error::reading),
            }
        }
    }

    async fn portion(
        &self,
        list: List,
        volume: Option<VolumeId>,
        limit: u32,
        after: Option<Uuid>,
    ) -> openstack::Result<Portion<Saved>> {
        let limit = Some(limit);
        match list {
            List::Snapshots => {
                let part = Part { volume, limit, after: after.map(Into::into) };
                let Portion { items, more } = self.cinder.list_snapshots(part).await?;
                Ok(Portion { items: items.into_iter().map(Saved::Snapshot).collect(), more })
            }
            List::Backups => {
                let part = Part { volume, limit, after: after.map(Into::into) };
                let Portion { items, more } = self.cinder.list_backups(part).await?;
                Ok(Portion { items: items.into_iter().map(Saved::Backup).collect(), more })
            }
        }
    }
}

impl Place {
    fn start_of(list: List) -> Self {
        Self { list, after: Vec::new() }
    }

    /// After these, in the list's order.
    fn go_past(&mut self, told: &[Saved]) {
        let told = told.iter().rev().map(|saved| Uuid::from(saved.id()));
        self.after = told.chain(std::mem::take(&mut self.after)).take(MARKERS).collect();
    }
}

fn stale() -> Error {
    Error::new(
        Condition::StaleToken,
        "the last snapshots that were listed before starting_token are gone: start the list over without a token",
    )
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.list {
            List::Snapshots => "s",
            List::Backups => "b",
        })?;
        self.after.iter().try_for_each(|id| write!(f, ".{}", id.simple()))
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut parts = text.split('.');
        let list = match parts.next() {
            Some("s") => List::Snapshots,
            Some("b") => List::Backups,
            _ => return Err(()),
        };
        let after: Vec<Uuid> =
            parts.map(|id| id.parse().map_err(|_| ())).collect::<std::result::Result<_, ()>>()?;
        if after.len() > MARKERS { Err(()) } else { Ok(Self { list, after }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::SnapshotStatus;
    use crate::volume::sample::snapshot;

    fn saved(n: u128) -> Saved {
        Saved::Snapshot(crate::openstack::Snapshot {
            id: Uuid::from_u128(n).into(),
            ..snapshot(SnapshotStatus::Available)
        })
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_is_short() {
        let mut place = Place::start_of(List::Backups);
        assert_eq!(place.to_string().parse(), Ok(place.clone()));
        place.go_past(&(1..=9).map(saved).collect::<Vec<_>>());
        assert_eq!(place.to_string().parse(), Ok(place.clone()));
        assert!(place.to_string().len() <= 100, "{place}");
        for bad in ["", "x", "s.", "s.1", "snapshots", "s.b", &format!("{place}.{}", Uuid::nil().simple())] {
            assert_eq!(bad.parse::<Place>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_place_names_the_last_that_were_told() {
        let mut place = Place::start_of(List::Snapshots);
        place.go_past(&[saved(1), saved(2)]);
        place.go_past(&[saved(3), saved(4)]);
        assert_eq!(place.after, [4, 3, 2].map(Uuid::from_u128));
    }
}

//! The project's volumes, page by page, oldest first.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::metadata::CLUSTER;
use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes};
use crate::openstack::{Kind, Row, Search};

/// Cinder's `osapi_max_limit`, unless its operator changed it.
const MOST: u32 = 1000;
/// So many volumes may be passed by that were created in the second of one that is gone; for more, pages are turned.
const OF_ONE_SECOND: u32 = 100;

/// A volume of a list: what a list tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: VolumeId,
    /// GiB.
    pub size: u64,
    /// Where it is attached.
    pub published: Vec<ServerId>,
}

/// A volume's place in the list. It stays when the volume goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    created: Timestamp,
    id: VolumeId,
}

#[derive(Clone, Debug)]
pub struct Page {
    pub volumes: Vec<Listed>,
    /// There is more after this one.
    pub next: Option<Position>,
}

impl Volumes {
    /// The volumes after `after`, `limit` at most, and 1,000 at most; only those of `cluster` where one is given.
    pub async fn page(
        &self,
        cluster: Option<&str>,
        limit: Option<u32>,
        after: Option<Position>,
    ) -> Result<Page> {
        let (rows, next) = self.rows::<Row>(cluster, limit, after).await?;
        Ok(Page { volumes: rows.iter().map(Listed::from).collect(), next })
    }

    /// As [`Self::page`], with as much of each volume as `T` takes, and the place after which there is more.
    ///
    /// What is made meanwhile comes at the end. Cinder goes on from a volume by its id as long as that is there; once it
    /// is gone the time of its creation tells the place.
    pub(super) async fn rows<T: Placed>(
        &self,
        cluster: Option<&str>,
        limit: Option<u32>,
        after: Option<Position>,
    ) -> Result<(Vec<T>, Option<Position>)> {
        let limit = limit.unwrap_or(MOST).min(MOST);
        let mut search = Search {
            // One more tells whether that is all.
            limit: Some(limit.saturating_add(1).min(MOST)),
            after: after.map(|position| position.id),
            metadata: cluster.map(|cluster| (CLUSTER, cluster.to_owned())),
            created_from: None,
        };
        loop {
            let page = match self.cinder.list_volumes::<T>(&search).await {
                Ok(page) => page,
                Err(error) => {
                    let by_id = search.created_from.is_none();
                    search = after
                        .filter(|_| error.kind == Kind::NotFound && by_id)
                        .map(|position| search.by_time(position))
                        .ok_or_else(|| unread(&error, by_id))?;
                    continue;
                }
            };
            search.after = page.next;
            let rows: Vec<_> = page.volumes.into_iter().filter(|row| after < Some(row.position())).collect();
            if !rows.is_empty() || page.next.is_none() {
                return Ok(cut(rows, limit, page.next.is_some()));
            }
        }
    }
}

impl Search {
    /// As before, from the second of that position on: what is before it there is to be left out.
    fn by_time(self, position: Position) -> Self {
        let limit = self.limit.map(|limit| limit.saturating_add(OF_ONE_SECOND).min(MOST));
        Self { limit, after: None, created_from: Some(position.created), ..self }
    }
}

fn cut<T: Placed>(mut rows: Vec<T>, limit: u32, more: bool) -> (Vec<T>, Option<Position>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = more || rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(T::position);
    (rows, next)
}

/// What has a place in the list.
pub(super) trait Placed: DeserializeOwned {
    fn position(&self) -> Position;
}

impl Placed for Row {
    fn position(&self) -> Position {
        Position::of(self.created_at, self.id)
    }
}

impl Placed for Volume {
    fn position(&self) -> Position {
        Position::of(self.created_at, self.id)
    }
}

impl Position {
    fn of(created: Option<Timestamp>, id: VolumeId) -> Self {
        Self { created: created.unwrap_or(Timestamp::UNIX_EPOCH), id }
    }
}

impl From<&Row> for Listed {
    fn from(row: &Row) -> Self {
        let published = row.attachments.iter().filter_map(|place| place.server_id).collect();
        Self { id: row.id, size: row.size, published }
    }
}

impl From<&Volume> for Listed {
    fn from(volume: &Volume) -> Self {
        let published = volume.attachments.iter().filter_map(|attachment| attachment.server_id).collect();
        Self { id: volume.id, size: volume.size, published }
    }
}

fn unread(error: &crate::openstack::Error, by_id: bool) -> Error {
    match error.kind {
        // The time filter, which is there from 3.60 on.
        Kind::Unsupported if !by_id => Error::new(
            Condition::StaleToken,
            format!(
                "the volume that starting_token names is gone, and this cloud can't go on without it ({error}): start over without a token"
            ),
        ),
        Kind::NotFound => Error::new(
            Condition::Unavailable,
            format!("a volume went away while the list was read: call again ({error})"),
        ),
        _ => Error::reading(error),
    }
}

/// Microseconds: a database may keep them.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created.as_microsecond(), self.id)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (created, id) = text.split_once('.').ok_or(())?;
        let created = Timestamp::from_microsecond(created.parse().map_err(|_| ())?).map_err(|_| ())?;
        Ok(Self { created, id: id.parse().map_err(|_| ())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::id;

    fn row(n: u128, second: i64) -> Row {
        let created_at = Some(Timestamp::from_second(second).unwrap());
        Row { id: id(n), size: 1, created_at, attachments: Vec::new() }
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let position = Position { created: "2026-01-01T00:00:00.000001Z".parse().unwrap(), id: id(7) };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "7", ".", "x.y", "1.00000000-0000-0000-0000-00000000000X", "99999999999999999999.x"] {
            assert_eq!(bad.parse::<Position>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn positions_are_in_the_order_of_the_list() {
        assert!(row(9, 1).position() < row(1, 2).position());
        assert!(row(1, 1).position() < row(2, 1).position());
        assert_eq!(Row { created_at: None, ..row(1, 1) }.position().created, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_page_says_that_there_is_more_only_where_there_may_be() {
        let rows: Vec<_> = (1..=3).map(|n| row(n, 1)).collect();
        for (limit, more, shown, next) in
            [(3, false, 3, None), (3, true, 3, Some(3)), (2, false, 2, Some(2)), (5, true, 3, Some(3))]
        {
            let (page, after) = cut(rows.clone(), limit, more);
            assert_eq!(page.len(), shown, "{limit} {more}");
            assert_eq!(after.map(|position| position.id), next.map(id), "{limit} {more}");
        }
        assert_eq!(cut(Vec::<Row>::new(), 1, true), (Vec::new(), None));
    }
}

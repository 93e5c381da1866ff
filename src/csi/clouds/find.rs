//! What is there already is found by its id: the cloud that had it is asked, then all others at once, and the first that
//! has it is the one.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tonic::Status;

use super::{Clouds, listed, shown};
use crate::volume::{Condition, Error, Result as Asked, ServerId, Thing, VolumeId, Volumes};

impl Clouds {
    /// The one that has this thing, if any has; the one that had it is asked first. A cloud that can't be asked may have it,
    /// so that its silence is an error unless another one has it.
    pub(super) async fn find(&self, thing: Thing) -> Result<Option<&Volumes>, Status> {
        let known = self.memory.recall(thing).and_then(|index| self.by_name.values().nth(index));
        if let Some(known) = known
            && !matches!(known.has(thing).await, Ok(false))
        {
            return Ok(Some(known));
        }
        let others = self.all().filter(|(_, cloud)| known.is_none_or(|known| !std::ptr::eq(known, *cloud)));
        let names: Vec<_> = others.map(|(name, _)| name).collect();
        let found = self.search(&names, |cloud| cloud.has(thing)).await;
        let found = found.map_err(|error| Status::from(error.context(described(thing))))?;
        let cloud = found.and_then(|name| self.by_name.get(name));
        if let Some(cloud) = cloud {
            self.remember(thing, cloud);
        }
        // Where nobody has it, the one that had it says so.
        Ok(cloud.or(known))
    }

    /// This cloud made it, or has it.
    pub fn remember(&self, thing: Thing, cloud: &Volumes) {
        let index = self.by_name.values().position(|known| std::ptr::eq(known, cloud));
        if let (Some(index), None) = (index, self.only()) {
            self.memory.keep(thing, index);
        }
    }

    /// The first of those clouds that says yes.
    pub(super) async fn search<'a, F>(
        &'a self,
        names: &[&'a str],
        ask: impl Fn(&'a Volumes) -> F,
    ) -> Asked<Option<&'a str>>
    where
        F: Future<Output = Asked<bool>>,
    {
        let asked = names.iter().filter_map(|name| Some((*name, ask(self.by_name.get(*name)?))));
        let mut answers: FuturesUnordered<_> =
            asked.map(|(name, answer)| async move { (name, answer.await) }).collect();
        let mut silent = Vec::new();
        while let Some((name, answer)) = answers.next().await {
            match answer {
                Ok(true) => return Ok(Some(name)),
                Ok(false) => {}
                Err(error) => silent.push((name, error)),
            }
        }
        match silent.first() {
            None => Ok(None),
            Some((_, error)) => Err(silence(&silent, error)),
        }
    }

    /// Why a server isn't there: it may be another cloud's than the volume.
    pub async fn explained(
        &self,
        cloud: &Volumes,
        volume: VolumeId,
        server: ServerId,
        error: Error,
    ) -> Status {
        let Some(name) = self.name_of(cloud).filter(|_| self.only().is_none()) else { return error.into() };
        if error.condition != Condition::NotFound {
            return self.told(cloud, error);
        }
        let others: Vec<_> = self.all().map(|(other, _)| other).filter(|other| *other != name).collect();
        let elsewhere = self.search(&others, |other| other.has(Thing::Server(server))).await;
        let here = cloud.has(Thing::Volume(volume)).await;
        match (elsewhere, here) {
            (Ok(Some(other)), Ok(true)) => Error::new(
                Condition::NotFound,
                format!(
                    "server {server} is in {}, and volume {volume} in {}: a volume is for the servers of its own cloud. \
                     Give the clouds' zones different names, or their nodes and StorageClasses a topology, so that the \
                     pod is scheduled where its volume is",
                    shown(other),
                    shown(name)
                ),
            )
            .into(),
            _ => self.told(cloud, error),
        }
    }
}

/// Never final: the thing may be there.
fn silence(silent: &[(&str, Error)], error: &Error) -> Error {
    let condition = match error.condition {
        Condition::TimedOut => Condition::TimedOut,
        _ => Condition::Unavailable,
    };
    let names = listed(silent.iter().map(|(name, _)| *name));
    Error::new(condition, format!("no cloud that answers has it, and {names} can't be asked: {error}"))
}

fn described(thing: Thing) -> String {
    match thing {
        Thing::Volume(id) => format!("look for volume {id}"),
        Thing::Snapshot(id) => format!("look for snapshot {id}"),
        Thing::Server(id) => format!("look for server {id}"),
        Thing::GroupSnapshot(id) => format!("look for group snapshot {id}"),
    }
}

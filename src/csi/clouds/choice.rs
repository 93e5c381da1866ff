//! Where a new volume goes: to the cloud that is named, else to its source's, else to the one that has its zone, else to
//! the unnamed one.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tonic::Status;

use super::{Clouds, listed, shown};
use crate::csi::request::cloud::Wish;
use crate::csi::status;
use crate::volume::{Condition, Error, Result as Asked, Volumes, Wanted, ZoneChoice};

/// What the zones say.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'a> {
    /// The first of these for a new volume; one that is there already may be in any of them.
    Among(Vec<&'a str>),
    /// It may be this one, whose zones aren't known.
    Unread(&'a str),
    /// Several named clouds have this zone.
    Ambiguous(String, Vec<&'a str>),
    Nowhere,
}

/// The zones of each cloud; `None` where they couldn't be read.
type Known<'a> = BTreeMap<&'a str, Option<Vec<String>>>;

impl Clouds {
    /// The one for a volume that is asked for, whose zones become those that this cloud has.
    pub async fn of_new(&self, wish: &Wish<'_>, wanted: &mut Wanted) -> Result<&Volumes, Status> {
        if let Some(certain) = self.certain(wish)? {
            return Ok(certain);
        }
        if let Some(source) = wish.source {
            let holder = self.find(source).await?;
            return holder.ok_or_else(|| {
                let all = listed(self.all().map(|(name, _)| name));
                status::no_source(format!("none of {all} has it"))
            });
        }
        let by_label = self.labelled(wish);
        let names = match &wanted.zone {
            _ if !by_label.is_empty() => by_label,
            ZoneChoice::OneOf(zones) => self.candidates(zones).await?,
            ZoneChoice::Any | ZoneChoice::Rather(_) => return self.unnamed(),
        };
        let name = self.of_earlier(&names, wanted).await?;
        let cloud = self.by_name.get(name).map_or_else(|| self.unnamed(), Ok)?;
        if let ZoneChoice::OneOf(zones) = &mut wanted.zone
            && zones.len() > 1
        {
            // An earlier call may have begun something there: not to know is never final.
            let kept = keep_those_of(cloud, zones).await;
            kept.map_err(|error| self.told(cloud, Error::new(Condition::Unavailable, error.message)))?;
        }
        Ok(cloud)
    }

    /// The topology segment by which nodes say that they are in this cloud: its value is the cloud's name.
    pub fn label<'w>(&self, wish: &Wish<'w>, cloud: &Volumes) -> Option<(&'w str, &'w str)> {
        let name = self.name_of(cloud).filter(|_| self.only().is_none())?;
        wish.segments.iter().find(|(_, value)| *value == name).copied()
    }

    /// The one that a volume in these zones, the first one rather, would be made in.
    pub async fn of_zones(&self, wish: &Wish<'_>, zones: &[String]) -> Result<&Volumes, Status> {
        if let Some(certain) = self.certain(wish)? {
            return Ok(certain);
        }
        let names = match self.labelled(wish) {
            names if names.is_empty() && !zones.is_empty() => self.candidates(zones).await?,
            names => names,
        };
        names.first().and_then(|name| self.by_name.get(*name)).map_or_else(|| self.unnamed(), Ok)
    }

    /// The one that is named, or the only one.
    fn certain(&self, wish: &Wish<'_>) -> Result<Option<&Volumes>, Status> {
        match &wish.named {
            Some(named) => self.named(named).map(Some),
            None => Ok(self.only()),
        }
    }

    /// The clouds that segments of the topology name, in their order.
    fn labelled(&self, wish: &Wish<'_>) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, value) in wish.segments.iter().filter(|(_, value)| !value.is_empty()) {
            if let Some((name, _)) = self.by_name.get_key_value(*value)
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    fn unnamed(&self) -> Result<&Volumes, Status> {
        self.by_name.get("").ok_or_else(|| {
            let all = listed(self.all().map(|(name, _)| name));
            let why = format!(
                "nothing says which of {all} to use: name one in the StorageClass, or let its volumes have a topology"
            );
            status::invalid("parameters.cloud", why)
        })
    }

    /// The clouds that have these zones, the one with the first zone first.
    async fn candidates(&self, zones: &[String]) -> Result<Vec<&str>, Status> {
        let (mut known, failures) = self.zones().await;
        if zones.iter().any(|zone| !known.values().flatten().any(|zones| zones.contains(zone))) {
            self.look_again(&mut known).await;
        }
        match choose(zones, &known) {
            Choice::Among(names) => Ok(names),
            choice => Err(refusal(&choice, zones, &known, &failures)),
        }
    }

    /// An earlier call for this name may have met another order of zones: its volume is the one.
    async fn of_earlier<'a>(&'a self, names: &[&'a str], wanted: &Wanted) -> Result<&'a str, Status> {
        let first = names.first().copied().unwrap_or_default();
        if names.len() < 2 {
            return Ok(first);
        }
        let found = self.search(names, |cloud| cloud.has_named(&wanted.name, &wanted.cluster)).await;
        let found = found
            .map_err(|error| error.context(format!("look for volume {} of an earlier call", wanted.name)))?;
        Ok(found.unwrap_or(first))
    }

    async fn zones(&self) -> (Known<'_>, BTreeMap<&str, Error>) {
        let asked = self.all().map(|(name, cloud)| async move { (name, cloud.zones().await) });
        let (mut known, mut failures) = (BTreeMap::new(), BTreeMap::new());
        for (name, zones) in join_all(asked).await {
            known.insert(name, zones.as_ref().ok().map(|zones| zones.names().to_vec()));
            failures.extend(zones.err().map(|error| (name, error)));
        }
        (known, failures)
    }

    /// A zone that no cloud has may be new: those that answered are asked again.
    async fn look_again(&self, known: &mut Known<'_>) {
        let asked = known.iter_mut().filter_map(|(name, zones)| {
            let (zones, cloud) = (zones.as_mut()?, self.by_name.get(*name)?);
            Some(async move {
                if let Ok(now) = cloud.zones_anew().await {
                    *zones = now.names().to_vec();
                }
            })
        });
        join_all(asked).await;
    }
}

/// Zones of other clouds aren't for this one. Where it has none of them, Cinder says what it thinks of them.
async fn keep_those_of(cloud: &Volumes, wanted: &mut Vec<String>) -> Asked<()> {
    let zones = cloud.zones().await?;
    if wanted.iter().any(|zone| zones.names().contains(zone)) {
        wanted.retain(|zone| zones.names().contains(zone));
    }
    Ok(())
}

/// Each zone in turn. A cloud whose zones aren't known matters where it may be the one for a zone that is nowhere else.
fn choose<'a>(wanted: &[String], known: &Known<'a>) -> Choice<'a> {
    let unread = known.iter().find(|(_, zones)| zones.is_none()).map(|(name, _)| *name);
    // It comes first, and would win.
    if unread == Some("") {
        return Choice::Unread("");
    }
    let (mut among, mut ambiguous) = (Vec::new(), None);
    for zone in wanted {
        let have = |zones: &Option<Vec<String>>| zones.as_ref().is_some_and(|zones| zones.contains(zone));
        let fit: Vec<_> = known.iter().filter(|(_, zones)| have(zones)).map(|(name, _)| *name).collect();
        match (winner(&fit), unread) {
            (Some(one), _) if among.contains(&one) => {}
            (Some(one), _) => among.push(one),
            (None, Some(unread)) if fit.is_empty() => return Choice::Unread(unread),
            (None, _) if fit.is_empty() => {}
            (None, _) => ambiguous = ambiguous.or(Some((zone.clone(), fit))),
        }
    }
    match ambiguous {
        _ if !among.is_empty() => Choice::Among(among),
        Some((zone, several)) => Choice::Ambiguous(zone, several),
        None => Choice::Nowhere,
    }
}

/// Of those that have one zone: the only one, or the unnamed cloud, as it is the existing driver's where nobody names one.
fn winner<'a>(fit: &[&'a str]) -> Option<&'a str> {
    match fit {
        [one] | [one @ "", ..] => Some(one),
        _ => None,
    }
}

fn refusal(
    choice: &Choice<'_>,
    wanted: &[String],
    known: &Known<'_>,
    failures: &BTreeMap<&str, Error>,
) -> Status {
    match choice {
        Choice::Ambiguous(zone, several) => status::invalid(
            "parameters.cloud",
            format!(
                "zone {zone} is in {}: name one of them in the StorageClass",
                listed(several.iter().copied())
            ),
        ),
        Choice::Unread(name) => {
            let why = failures.get(name).map(Error::to_string).unwrap_or_default();
            let message = format!(
                "which cloud has zone {} can't be told while the zones of {} can't be read; a StorageClass with the parameter cloud \
                 needs no look: {why}",
                wanted.join(" or "),
                shown(name)
            );
            Error::new(Condition::Unavailable, message).into()
        }
        Choice::Among(_) | Choice::Nowhere => {
            let have = |(name, zones): (&&str, &Option<Vec<String>>)| {
                let zones = zones.as_ref().map(|zones| zones.join(", ")).unwrap_or_default();
                format!("{} has {zones}", shown(name))
            };
            let have: Vec<_> = known.iter().map(have).collect();
            let message = format!("no cloud has zone {}: {}", wanted.join(" or "), have.join("; "));
            Error::new(Condition::Exhausted, message).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"=a,b east=c west=?"`: the unnamed cloud has a and b, and west's zones aren't known.
    fn known(text: &'static str) -> Known<'static> {
        let cloud = |word: &'static str| {
            let (name, zones) = word.split_once('=').unwrap();
            (name, (zones != "?").then(|| words(zones)))
        };
        text.split(' ').map(cloud).collect()
    }

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn the_first_zone_that_decides_chooses_the_cloud() {
        let ambiguous = |zone: &str| Choice::Ambiguous(zone.to_owned(), vec!["east", "west"]);
        for (clouds, zones, expected) in [
            ("east=a west=b", "a", Choice::Among(vec!["east"])),
            ("east=a west=b", "b,a", Choice::Among(vec!["west", "east"])),
            ("east=a,b west=c", "b,a", Choice::Among(vec!["east"])),
            ("east=a west=b", "c", Choice::Nowhere),
            ("east=a west=b", "c,b", Choice::Among(vec!["west"])),
            // What is shared decides nothing, unless the unnamed cloud has a share.
            ("east=n west=n", "n", ambiguous("n")),
            ("east=n,a west=n", "n,a", Choice::Among(vec!["east"])),
            ("=n east=n", "n", Choice::Among(vec![""])),
            ("=n east=n,a", "a,n", Choice::Among(vec!["east", ""])),
            // What isn't known decides only where it can matter.
            ("east=a west=?", "a", Choice::Among(vec!["east"])),
            ("east=a west=?", "a,b", Choice::Unread("west")),
            ("east=a west=?", "b", Choice::Unread("west")),
            ("=? east=a", "a", Choice::Unread("")),
        ] {
            assert_eq!(choose(&words(zones), &known(clouds)), expected, "{clouds}: {zones}");
        }
    }
}

//! From the zones of servers to those of volumes, and back.

use std::collections::BTreeMap;

/// Which zone of Cinder a zone of Nova uses: its namesake, unless it is mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneMap(BTreeMap<String, String>);

impl ZoneMap {
    /// Of zones of servers, each with its zone of volumes.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// With what `over` says, which goes first.
    pub fn under(&self, over: &ZoneMap) -> Self {
        Self(self.0.iter().chain(&over.0).map(|(from, to)| (from.clone(), to.clone())).collect())
    }

    /// The zone of the volumes of servers there.
    pub fn of_server<'a>(&'a self, zone: &'a str) -> &'a str {
        self.0.get(zone).map_or(zone, String::as_str)
    }

    /// The zones of the servers that volumes there can be reached from.
    pub fn of_volume(&self, zone: &str) -> Vec<String> {
        let mapped = self.0.iter().filter(|(_, to)| *to == zone).map(|(from, _)| from.clone());
        // What isn't mapped uses its namesake.
        let namesake = (!self.0.contains_key(zone)).then(|| zone.to_owned());
        let mut zones: Vec<_> = mapped.chain(namesake).collect();
        zones.sort();
        zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ZoneMap {
        ZoneMap::new(pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())))
    }

    #[test]
    fn the_way_back_has_every_zone_that_leads_there() {
        let several = map(&[("nova1", "cinder1"), ("nova2", "cinder1"), ("b", "a")]);
        assert_eq!(several.of_server("nova2"), "cinder1");
        assert_eq!(several.of_server("other"), "other");
        assert_eq!(several.of_volume("cinder1"), ["cinder1", "nova1", "nova2"]);
        // a is its own namesake and b leads there, so nothing uses b.
        assert_eq!(several.of_volume("a"), ["a", "b"]);
        assert!(several.of_volume("b").is_empty());
        assert_eq!(ZoneMap::default().of_volume("az1"), ["az1"]);
    }

    #[test]
    fn a_class_goes_over_the_settings() {
        let both = map(&[("a", "x"), ("b", "x")]).under(&map(&[("b", "y")]));
        assert_eq!((both.of_server("a"), both.of_server("b")), ("x", "y"));
    }
}

//! The zones of servers beside those of volumes, and the `az-map` that leads from one to the other.

use super::Row;
use crate::text::nearest;

const CHECK: &str = "zones";

/// What decides whether zones matter.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// `az-map`
    pub map: &'a [(String, String)],
    /// `--with-topology`
    pub topology: bool,
    /// `ignore-volume-az`
    pub ignored: bool,
}

pub fn row(compute: &[String], volume: &[String], rules: Rules<'_>) -> Row {
    let found = format!("compute {}; volumes {}", compute.join(", "), volume.join(", "));
    let has = |zone: &str| volume.iter().any(|known| known == zone);
    let misled: Vec<_> =
        rules.map.iter().filter(|(_, to)| !has(to)).map(|(from, to)| format!("{from}={to}")).collect();
    if !misled.is_empty() {
        let found = format!("{found}; az-map leads where Cinder has no zone: {}", misled.join(","));
        return Row::failed(CHECK, found, "correct \"az-map\" in [BlockStorage] of cloud.conf");
    }
    if compute.is_empty() {
        let next = "is a compute host up, and may this project see its zone (openstack availability zone list --compute)?";
        return Row::warning(CHECK, format!("{found}: Nova names no zone"), next);
    }
    let lost: Vec<&str> =
        compute.iter().filter(|zone| !has(led(zone, rules.map))).map(String::as_str).collect();
    if lost.is_empty() {
        let mapped = if rules.map.is_empty() { "by name" } else { "by az-map and by name" };
        return Row::ok(CHECK, format!("{found}: each zone of servers has its volumes, {mapped}"));
    }
    if !rules.topology || rules.ignored {
        let why = if rules.topology { "ignore-volume-az" } else { "--with-topology=false" };
        return Row::ok(CHECK, format!("{found}: they don't match, and needn't with {why}"));
    }
    let found = format!("{found}; no volumes for servers in {}", lost.join(", "));
    let next = format!(
        "write \"az-map = {}\" in [BlockStorage] of cloud.conf, or set --with-topology=false where every server reaches every volume",
        suggested(&lost, volume, rules.map)
    );
    // There may be no node in some of them.
    if lost.len() < compute.len() {
        Row::warning(CHECK, found, next)
    } else {
        Row::failed(CHECK, found, next)
    }
}

fn led<'a>(zone: &'a str, map: &'a [(String, String)]) -> &'a str {
    map.iter().find(|(from, _)| from == zone).map_or(zone, |(_, to)| to)
}

/// The whole value. Which zone of several is reached, only the operator knows: a similar name is a guess.
fn suggested(lost: &[&str], volume: &[String], map: &[(String, String)]) -> String {
    let target = |zone: &str| match volume {
        [only] => only.clone(),
        several => {
            let near = nearest(zone, several.iter().map(String::as_str)).map(str::to_owned);
            near.unwrap_or_else(|| "A-ZONE-OF-VOLUMES".to_owned())
        }
    };
    let kept = map.iter().map(|(from, to)| format!("{from}={to}"));
    let new = lost.iter().map(|zone| format!("{zone}={}", target(zone)));
    kept.chain(new).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn zones_that_do_not_match_have_the_map_to_write() {
        type Map<'a> = &'a [(&'a str, &'a str)];
        let table: [(&str, &str, Map<'_>, Verdict, &str); 10] = [
            ("az1 az2", "az1 az2", &[], Verdict::Ok, "by name"),
            ("az1", "az1 az2", &[], Verdict::Ok, "by name"),
            ("n1 n2", "nova", &[], Verdict::Failed, "\"az-map = n1=nova,n2=nova\" in [BlockStorage]"),
            ("nova n2", "nova", &[], Verdict::Warning, "\"az-map = n2=nova\""),
            ("n1 n2", "nova", &[("n1", "nova")], Verdict::Warning, "\"az-map = n1=nova,n2=nova\""),
            ("n1", "nova", &[("n1", "nova")], Verdict::Ok, "by az-map and by name"),
            ("n1", "nova", &[("n1", "novo")], Verdict::Failed, "n1=novo"),
            ("AZ1 east", "az1 az2", &[], Verdict::Failed, "AZ1=az1,east=A-ZONE-OF-VOLUMES"),
            ("az1", "", &[], Verdict::Failed, "A-ZONE-OF-VOLUMES"),
            ("", "az1", &[], Verdict::Warning, "is a compute host up"),
        ];
        for (compute, volume, map, verdict, words) in table {
            let zones = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let map: Vec<_> = map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
            let rules = Rules { map: &map, topology: true, ignored: false };
            let seen = row(&zones(compute), &zones(volume), rules);
            assert_eq!(seen.verdict, verdict, "{compute} {volume}");
            assert!(format!("{} {:?}", seen.found, seen.next).replace('\\', "").contains(words), "{seen:?}");
        }
    }

    #[test]
    fn where_zones_bind_nobody_they_may_differ() {
        for (topology, ignored) in [(false, false), (true, true)] {
            let rules = Rules { map: &[], topology, ignored };
            assert_eq!(row(&["a".to_owned()], &["b".to_owned()], rules).verdict, Verdict::Ok);
        }
    }
}

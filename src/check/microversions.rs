//! What a service offers, against what the driver asks for. docs/install.md has the same table, with what happens without.

use url::Url;

use super::Row;
use crate::openstack::{Microversion, Offer, Service};

struct Need {
    service: Service,
    version: Microversion,
    /// The first OpenStack that has it.
    release: &'static str,
    what: &'static str,
}

const NEEDS: [Need; 10] = [
    need(Service::Cinder, (3, 5), "Newton", "Cinder's own reason in an error"),
    need(Service::Cinder, (3, 25), "Ocata", "group snapshots"),
    need(Service::Cinder, (3, 27), "Ocata", "the end of an attachment to a server that is gone"),
    need(Service::Cinder, (3, 42), "Pike", "growth of an attached volume"),
    need(Service::Cinder, (3, 43), "Pike", "backups as snapshots"),
    need(Service::Cinder, (3, 47), "Queens", "a volume from a backup"),
    need(Service::Cinder, (3, 51), "Rocky", "availability of a backup class"),
    need(Service::Cinder, (3, 60), "Ussuri", "one list of what has changed, for all that wait"),
    need(Service::Nova, (2, 60), "Queens", "a multiattach volume"),
    need(Service::Nova, (2, 84), "Ussuri", "why an attach failed, where Nova's policy shows it"),
];

const fn need(
    service: Service,
    (major, minor): (u16, u16),
    release: &'static str,
    what: &'static str,
) -> Need {
    Need { service, version: Microversion(major, minor), release, what }
}

/// A service that answered. `ignored`: `ignore-volume-microversion`.
pub fn row(service: Service, url: &Url, offer: Option<Offer>, ignored: bool) -> Row {
    let check = if service == Service::Nova { "nova" } else { "cinder" };
    let offered = match offer {
        Some(Offer { oldest, newest }) => format!("{url} answers and offers {oldest} to {newest}"),
        None => format!("{url} answers and offers no microversions"),
    };
    let missing: Vec<_> =
        NEEDS.iter().filter(|need| need.service == service && !need.is_met(offer, ignored)).collect();
    let Some(newest) = missing.last() else {
        return Row::ok(check, format!("{offered}: all that is needed"));
    };
    let named: Vec<_> = missing.iter().map(|need| format!("{} {}", need.version, need.what)).collect();
    let found = format!("{offered}. Without: {}", named.join("; "));
    let next = match ignored {
        true => "remove ignore-volume-microversion".to_owned(),
        false => format!(
            "nothing, if these aren't needed (docs/install.md); OpenStack {} has them",
            newest.release
        ),
    };
    Row::warning(check, found, next)
}

impl Need {
    fn is_met(&self, offer: Option<Offer>, ignored: bool) -> bool {
        !ignored && offer.is_some_and(|offer| (offer.oldest..=offer.newest).contains(&self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn seen(service: Service, newest: Option<(u16, u16)>, ignored: bool) -> Row {
        let offer = newest.map(|(major, minor)| Offer {
            oldest: Microversion(major, 0),
            newest: Microversion(major, minor),
        });
        row(service, &"http://c/v3/".parse().unwrap(), offer, ignored)
    }

    #[test]
    fn what_falls_away_is_named() {
        let whole = seen(Service::Cinder, Some((3, 71)), false);
        assert_eq!((whole.verdict, whole.next), (Verdict::Ok, None));
        assert_eq!(whole.found, "http://c/v3/ answers and offers 3.0 to 3.71: all that is needed");
        let old = seen(Service::Cinder, Some((3, 50)), false);
        assert_eq!(old.verdict, Verdict::Warning);
        assert!(old.found.ends_with("Without: 3.51 availability of a backup class; 3.60 one list of what has changed, for all that wait"), "{old:?}");
        assert!(old.next.unwrap().contains("Ussuri"));
        assert!(seen(Service::Nova, Some((2, 50)), false).found.contains("2.60 a multiattach volume"));
        assert_eq!(seen(Service::Nova, Some((2, 84)), true).verdict, Verdict::Warning);
        let ignored = seen(Service::Cinder, Some((3, 71)), true);
        assert_eq!(ignored.next.as_deref(), Some("remove ignore-volume-microversion"));
        assert!(seen(Service::Cinder, None, false).found.contains("offers no microversions"));
    }

    #[test]
    fn the_manual_has_the_same_table() {
        let manual = include_str!("../../docs/install.md").replace('`', "");
        for need in &NEEDS {
            let row = format!("| {} ({}) | {} |", need.version, need.release, need.what);
            assert!(manual.contains(&row), "{row}");
        }
        let told = manual.lines().filter(|line| line.starts_with("| 3.") || line.starts_with("| 2."));
        assert_eq!(told.count(), NEEDS.len());
    }
}

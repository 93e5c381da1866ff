//! What the project may still make.

use super::Row;
use crate::openstack::{Quota, Quotas};

const CHECK: &str = "quotas";
/// Of a hundred: fewer left is a warning.
const FEW: u64 = 10;

pub fn row(quotas: &Quotas) -> Row {
    let of = |name: &str| quotas.of_types.get(name).copied();
    let needed = [("volumes", Some(quotas.volumes)), ("GiB", Some(quotas.gigabytes))];
    let more = [
        ("snapshots", of("snapshots")),
        ("backups", of("backups")),
        ("GiB of backups", of("backup_gigabytes")),
    ];
    let known = needed.iter().chain(&more).filter_map(|(name, quota)| Some((*name, (*quota)?)));
    let known: Vec<_> = known.collect();
    let parts: Vec<_> = known.iter().map(|(name, quota)| told(name, *quota)).collect();
    let largest =
        quotas.largest_volume.map(|size| format!("; a volume has at most {size} GiB")).unwrap_or_default();
    let found = format!("left: {}{largest}", parts.join(", "));
    let those = |is: fn(Quota) -> bool| -> Vec<&str> {
        known.iter().filter(|(_, quota)| is(*quota)).map(|(name, _)| *name).collect()
    };
    let (spent, few) = (those(is_spent), those(is_few));
    let next = |names: &[&str]| {
        format!("delete {} that aren't needed, or ask the cloud's administrator for more", names.join(", "))
    };
    if needed.iter().any(|(name, _)| spent.contains(name)) {
        return Row::failed(CHECK, found, next(&spent));
    }
    if few.is_empty() { Row::ok(CHECK, found) } else { Row::warning(CHECK, found, next(&few)) }
}

fn told(name: &str, quota: Quota) -> String {
    match (quota.left(), quota.limit) {
        (Some(left), Some(limit)) => format!("{left} of {limit} {name}"),
        _ => format!("{name} without limit"),
    }
}

fn is_spent(quota: Quota) -> bool {
    quota.left() == Some(0)
}

/// Also none.
fn is_few(quota: Quota) -> bool {
    let few =
        |left: u64| quota.limit.is_some_and(|limit| left.saturating_mul(100) < limit.saturating_mul(FEW));
    is_spent(quota) || quota.left().is_some_and(few)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn quota(limit: u64, used: u64) -> Quota {
        Quota { limit: Some(limit), used }
    }

    #[test]
    fn what_is_spent_fails_where_volumes_need_it() {
        let unlimited = Quota::default();
        for (volumes, gigabytes, backups, verdict, words) in [
            (
                quota(10, 3),
                unlimited,
                quota(10, 0),
                Verdict::Ok,
                "left: 7 of 10 volumes, GiB without limit, 10 of 10 backups",
            ),
            (quota(100, 91), unlimited, quota(10, 0), Verdict::Warning, "9 of 100 volumes"),
            (quota(10, 3), quota(5, 7), quota(10, 0), Verdict::Failed, "0 of 5 GiB"),
            (quota(10, 3), unlimited, quota(10, 10), Verdict::Warning, "0 of 10 backups"),
            (quota(10, 3), unlimited, quota(0, 0), Verdict::Warning, "0 of 0 backups"),
        ] {
            let of_types = [("backups".to_owned(), backups)].into();
            let row = row(&Quotas { volumes, gigabytes, of_types, largest_volume: None });
            assert_eq!(row.verdict, verdict, "{row:?}");
            assert!(row.found.contains(words), "{row:?}");
        }
        let row = row(&Quotas { largest_volume: Some(8), ..Quotas::default() });
        assert!(row.found.ends_with("; a volume has at most 8 GiB"), "{row:?}");
    }
}

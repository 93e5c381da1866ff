//! The volume types that the project may use.

use super::Row;
use crate::openstack::VolumeType;

const CHECK: &str = "volume-types";
/// A cloud may have hundreds.
const SHOWN: usize = 12;

pub fn row(types: &[VolumeType], default: Option<&VolumeType>) -> Row {
    if types.is_empty() {
        let next = "ask the cloud's operator for one: Cinder makes no volume without a type";
        return Row::failed(CHECK, "the project may use none", next);
    }
    let names = listed(types.iter());
    let multiattach: Vec<_> = types.iter().filter(|kind| kind.is_multiattach()).collect();
    let multiattach = match multiattach.is_empty() {
        true => "none of them multiattach: a volume is on one node at a time".to_owned(),
        false => format!("multiattach {}", listed(multiattach.into_iter())),
    };
    match default {
        Some(default) => Row::ok(CHECK, format!("{names}; default {}; {multiattach}", default.name)),
        None => {
            let next = "name a type in each StorageClass (parameter type)";
            Row::warning(CHECK, format!("{names}; no default; {multiattach}"), next)
        }
    }
}

fn listed<'a>(types: impl ExactSizeIterator<Item = &'a VolumeType>) -> String {
    let more = types.len().saturating_sub(SHOWN);
    let names: Vec<_> = types.take(SHOWN).map(|kind| kind.name.as_str()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn kind(name: &str, multiattach: bool) -> VolumeType {
        let specs = multiattach.then(|| ("multiattach".to_owned(), "<is> True".to_owned()));
        VolumeType {
            id: format!("id of {name}"),
            name: name.to_owned(),
            extra_specs: specs.into_iter().collect(),
        }
    }

    #[test]
    fn types_are_told_with_their_default_and_which_may_be_shared() {
        let (lab, shared) = (kind("lab", false), kind("shared", true));
        let both = [lab.clone(), shared.clone()];
        let row_of = |types: &[VolumeType], default| {
            let row = row(types, default);
            (row.verdict, row.found)
        };
        assert_eq!(
            row_of(&both, Some(&lab)),
            (Verdict::Ok, "lab, shared; default lab; multiattach shared".to_owned())
        );
        let alone = "lab; no default; none of them multiattach: a volume is on one node at a time";
        assert_eq!(row_of(&both[..1], None), (Verdict::Warning, alone.to_owned()));
        assert_eq!(row_of(&[], None).0, Verdict::Failed);
        let many: Vec<_> = (0..20).map(|number| kind(&format!("t{number}"), false)).collect();
        assert!(row_of(&many, Some(&lab)).1.contains("t11 and 8 more"));
    }
}

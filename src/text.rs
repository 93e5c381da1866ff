//! What people write: pairs, and names that are nearly right.

/// The known name that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    let word = plain(word);
    let limit = (word.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word, &plain(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean "x"?`, or nothing where no known name is near.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// `a=b, c=d`; `None` where a part is no pair, or a key comes twice with two values.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        let other = pairs.iter().find(|(known, _)| known == key);
        if key.is_empty() || value.is_empty() || other.is_some_and(|(_, other)| other != value) {
            return None;
        }
        if other.is_none() {
            pairs.push((key.to_owned(), value.to_owned()));
        }
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_recognised() {
        let known = ["type", "availability", "appendVolumeMetadata", "mkfs-options"];
        for (word, expected) in [
            ("tpye", Some("type")),
            ("availabilty", Some("availability")),
            ("appendvolumemetadata", Some("appendVolumeMetadata")),
            ("MKFS_OPTIONS", Some("mkfs-options")),
            ("replication", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(hint("typ", known), "; did you mean \"type\"?");
        assert_eq!(hint("iops", known), "");
    }

    #[test]
    fn pairs_are_read_in_their_order_and_half_ones_are_none() {
        let read = |text: &str| {
            let pairs = pairs(text)?;
            Some(pairs.iter().map(|(key, value)| format!("{key}>{value}")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(read("b=x, a=y,").as_deref(), Some("b>x a>y"));
        assert_eq!(read("a=x,a=x").as_deref(), Some("a>x"));
        assert_eq!(read("").as_deref(), Some(""));
        for bad in ["a", "a=", "=x", "a=x,a=y", "a=x;b=y=z,c"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

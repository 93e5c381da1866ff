//! The names of parameters that are known, and which of them a wrong one was meant to be.

/// The known name that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&plain(word), &plain(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean "x"?`, or nothing where no known name is near.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["type", "migration-policy", "appendVolumeMetadata"];
        assert_eq!(nearest("Type", known), Some("type"));
        assert_eq!(nearest("tpye", known), Some("type"));
        assert_eq!(nearest("migration_policy", known), Some("migration-policy"));
        assert_eq!(nearest("appendvolumemetadata", known), Some("appendVolumeMetadata"));
        assert_eq!(nearest("XXX_FakeKey", known), None);
        assert_eq!(hint("typ", known), "; did you mean \"type\"?");
        assert_eq!(hint("iops", known), "");
    }
}

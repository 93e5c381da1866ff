//! What anybody may write into the metadata of a volume.

use tonic::Status;

use crate::csi::status::invalid;

/// Cinder's limit for a key and for a value, in characters (`extra_specs` in
/// <https://opendev.org/openstack/cinder/src/branch/master/cinder/api/validation/parameter_types.py>).
const LONGEST: usize = 255;

/// `field` asks for this entry.
pub fn check(field: &str, key: &str, value: &str) -> Result<(), Status> {
    // The driver's own marks decide what may be removed.
    if key.starts_with("cinder.csi.openstack.org/") {
        return Err(invalid(field, format!("{key} is the driver's own and isn't for anybody else to write")));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:. /".contains(c);
    if key.is_empty() || key.len() > LONGEST || !key.chars().all(allowed) {
        let why =
            format!("{key:?} is none of Cinder's keys: 1 to {LONGEST} letters, digits, spaces and -_:./");
        return Err(invalid(field, why));
    }
    if value.chars().count() > LONGEST {
        return Err(invalid(
            field,
            format!("the value of {key} is longer than Cinder's {LONGEST} characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_cinders_and_a_value_has_characters_and_not_bytes() {
        let (key, value) = ("a".repeat(255), "ü".repeat(255));
        check("f", &key, &value).unwrap();
        check("f", "a-_:. /Z9", "").unwrap();
        for (key, value) in [
            ("", "x"),
            ("ä", "x"),
            ("a=b", "x"),
            (&*format!("{key}a"), "x"),
            ("a", &*format!("{value}x")),
            ("cinder.csi.openstack.org/settled", "true"),
        ] {
            let status = check("f", key, value).unwrap_err();
            assert!(status.message().starts_with("f: "), "{status}");
        }
    }
}

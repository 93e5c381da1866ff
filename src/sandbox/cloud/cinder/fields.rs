//! What Cinder's schemas refuse, whatever its state is.

use serde_json::{Map, Value};

use super::super::answer::Answer;

/// The object under `name` in a body, with no field but `known` ones.
pub(super) fn object<'a>(
    body: &'a Value,
    name: &str,
    known: &[&str],
) -> Result<&'a Map<String, Value>, Answer> {
    let Some(fields) = body[name].as_object() else {
        return Err(Answer::fault(400, &format!("'{name}' is a required property")));
    };
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        let value = Value::from(fields.clone());
        return Err(invalid(
            name,
            &value,
            &format!("Additional properties are not allowed ('{unknown}' was unexpected)"),
        ));
    }
    Ok(fields)
}

/// A text that may be null, without the blanks around it.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Answer> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let length = text.chars().count();
            if length > 255 {
                return Err(invalid(name, &text.as_str().into(), &format!("'{text}' is too long")));
            }
            Ok(Some(text.trim().to_owned()))
        }
        Some(value) => Err(invalid(name, value, &format!("{value} is not of type 'string', 'null'"))),
    }
}

/// Python's idea of a boolean.
pub(super) fn yes(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, Answer> {
    let value = fields.get(name).unwrap_or(&Value::Null);
    match value {
        Value::Null => Ok(None),
        Value::Bool(yes) => Ok(Some(*yes)),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" | "y" | "t" => Ok(Some(true)),
            "false" | "0" | "off" | "no" | "n" | "f" => Ok(Some(false)),
            _ => Err(invalid(name, value, &format!("{value} is not one of [True, False]"))),
        },
        _ => Err(invalid(name, value, &format!("{value} is not of type 'boolean', 'string'"))),
    }
}

/// An id that has to be there.
pub(super) fn id<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    match fields.get(name) {
        None => Err(Answer::fault(400, &format!("'{name}' is a required property"))),
        Some(Value::String(id)) if uuid::Uuid::try_parse(id).is_ok() => Ok(id),
        Some(value) => Err(invalid(name, value, &format!("{value} is not a 'uuid'"))),
    }
}

/// The metadata of a new object. `slashes`: keys may have one, as they may not in calls that change metadata.
pub(super) fn metadata(metadata: &Value, slashes: bool) -> Result<Map<String, Value>, Answer> {
    let Some(given) = metadata.as_object() else { return Ok(Map::new()) };
    for (key, value) in given {
        let allowed =
            |one: char| one.is_ascii_alphanumeric() || "-_:. ".contains(one) || slashes && one == '/';
        if key.is_empty() || key.len() > 255 || !key.chars().all(allowed) {
            let reason = format!("'{key}' does not match any of the regexes");
            return Err(invalid("metadata", metadata, &reason));
        }
        let Some(text) = value.as_str() else {
            return Err(invalid(key, value, &format!("{value} is not of type 'string'")));
        };
        if text.chars().count() > 255 {
            return Err(invalid(key, &text.into(), &format!("'{text}' is too long")));
        }
    }
    Ok(given.clone())
}

pub(super) fn whole_gigabytes(field: &str, value: &Value) -> Result<u64, Answer> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match number {
        Some(size @ 1..) => Ok(size.unsigned_abs()),
        _ => Err(invalid(field, value, &format!("{value} is less than the minimum of 1"))),
    }
}

fn invalid(field: &str, value: &Value, reason: &str) -> Answer {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Answer::fault(400, &format!("Invalid input for field/attribute {field}. Value: {shown}. {reason}"))
}

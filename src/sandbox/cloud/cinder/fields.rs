//! What Cinder's schemas refuse, whatever its state is.

use serde_json::{Map, Value};

use super::super::answer::Answer;

/// Keys of metadata, by Cinder's patterns: only in some requests they may have slashes.
pub(super) const KEYS: &str = "^[a-zA-Z0-9-_:. /]{1,255}$";
pub(super) const KEYS_WITHOUT_SLASHES: &str = "^[a-zA-Z0-9-_:. ]{1,255}$";

const TRUE: [&str; 12] = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"];
const FALSE: [&str; 12] = ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"];

/// The object of a request.
pub(super) struct Fields<'a> {
    name: &'a str,
    whole: &'a Value,
    given: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The object under `name` in a body.
    pub fn of(body: &'a Value, name: &'a str) -> Result<Self, Answer> {
        let whole = &body[name];
        let given = whole.as_object();
        let given = given.ok_or_else(|| Answer::fault(400, &format!("'{name}' is a required property")))?;
        Ok(Self { name, whole, given })
    }

    /// As [`Self::of`], with no field but `known` ones.
    pub fn known(body: &'a Value, name: &'a str, known: &[&str]) -> Result<Self, Answer> {
        let fields = Self::of(body, name)?;
        match fields.given.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => {
                let reason = format!("Additional properties are not allowed ('{unknown}' was unexpected)");
                Err(invalid(name, fields.whole, &reason))
            }
            None => Ok(fields),
        }
    }

    pub fn find(&self, field: &str) -> Option<&'a Value> {
        self.given.get(field)
    }

    /// Null where it isn't there.
    pub fn get(&self, field: &str) -> &'a Value {
        self.find(field).unwrap_or(&Value::Null)
    }

    pub fn required(&self, field: &str) -> Result<&'a Value, Answer> {
        self.find(field)
            .ok_or_else(|| invalid(self.name, self.whole, &format!("'{field}' is a required property")))
    }

    pub fn required_text(&self, field: &str) -> Result<&'a str, Answer> {
        let value = self.required(field)?;
        value.as_str().ok_or_else(|| is_not(field, value, "of type 'string'"))
    }

    pub fn required_id(&self, field: &str) -> Result<&'a str, Answer> {
        let id = self.required_text(field)?;
        if is_id(id) { Ok(id) } else { Err(is_not(field, &id.into(), "a 'uuid'")) }
    }

    /// A text that may be null, without the blanks around it.
    pub fn text(&self, field: &str) -> Result<Option<String>, Answer> {
        match self.get(field) {
            Value::Null => Ok(None),
            Value::String(text) if text.chars().count() > 255 => {
                Err(is(field, &text.as_str().into(), "too long"))
            }
            Value::String(text) => Ok(Some(text.trim().to_owned())),
            value => Err(is_not(field, value, "of type 'string', 'null'")),
        }
    }

    /// An id that may be null.
    pub fn id(&self, field: &str) -> Result<Option<String>, Answer> {
        match self.get(field) {
            Value::Null => Ok(None),
            Value::String(id) if is_id(id) => Ok(Some(id.clone())),
            value => Err(is_not(field, value, OF_A_SCHEMA)),
        }
    }

    pub fn yes(&self, field: &str) -> Result<Option<bool>, Answer> {
        let Some(value) = self.find(field) else { return Ok(None) };
        match value {
            Value::Bool(yes) => Ok(Some(*yes)),
            Value::String(text) if TRUE.contains(&text.as_str()) => Ok(Some(true)),
            Value::String(text) if FALSE.contains(&text.as_str()) => Ok(Some(false)),
            Value::String(_) => {
                let (yes, no) = (TRUE.join("', '"), FALSE.join("', '"));
                Err(is_not(field, value, &format!("one of [True, '{yes}', False, '{no}']")))
            }
            _ => Err(is_not(field, value, "of type 'boolean', 'string'")),
        }
    }

    /// Metadata that may be null.
    pub fn metadata(&self, keys: &str) -> Result<Map<String, Value>, Answer> {
        match self.get("metadata") {
            Value::Null => Ok(Map::new()),
            given => metadata("metadata", given, keys, "'object', 'null'"),
        }
    }
}

/// `keys`: the pattern that the keys have to match.
pub(super) fn metadata(
    field: &str,
    value: &Value,
    keys: &str,
    types: &str,
) -> Result<Map<String, Value>, Answer> {
    let given = value.as_object().ok_or_else(|| is_not(field, value, &format!("of type {types}")))?;
    for (key, text) in given {
        let allowed = |one: char| one.is_ascii_alphanumeric() || "-_:. ".contains(one);
        let slash = |one: char| one == '/' && keys == KEYS;
        if key.is_empty() || key.len() > 255 || !key.chars().all(|one| allowed(one) || slash(one)) {
            return Err(invalid(
                field,
                value,
                &format!("'{key}' does not match any of the regexes: '{keys}'"),
            ));
        }
        match text.as_str() {
            None => return Err(is_not(key, text, "of type 'string'")),
            Some(long) if long.chars().count() > 255 => return Err(is(key, text, "too long")),
            Some(_) => {}
        }
    }
    Ok(given.clone())
}

pub(super) fn whole_gigabytes(field: &str, value: &Value) -> Result<u64, Answer> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match number {
        Some(size @ 1..) => Ok(size.unsigned_abs()),
        _ => Err(is(field, value, "less than the minimum of 1")),
    }
}

/// The value is not what it has to be: "of type 'string'".
pub(super) fn is_not(field: &str, value: &Value, wanted: &str) -> Answer {
    is(field, value, &format!("not {wanted}"))
}

pub(super) const OF_A_SCHEMA: &str = "valid under any of the given schemas";

pub(super) fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

pub(super) fn has(field: &str, value: &Value, what: &str) -> Answer {
    invalid(field, value, &format!("{} has {what}", python(value)))
}

fn is(field: &str, value: &Value, what: &str) -> Answer {
    invalid(field, value, &format!("{} is {what}", python(value)))
}

fn invalid(field: &str, value: &Value, reason: &str) -> Answer {
    let shown = value.as_str().map_or_else(|| python(value), str::to_owned);
    Answer::fault(400, &format!("Invalid input for field/attribute {field}. Value: {shown}. {reason}"))
}

/// A value as Python prints it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| format!("'{key}': {}", python(value));
            format!("{{{}}}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

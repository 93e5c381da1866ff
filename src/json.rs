//! JSON from outside.

use std::fmt;

use serde::de::DeserializeOwned;

/// Why a document can't be read.
#[derive(Debug)]
pub struct Unreadable {
    /// `server.addresses.private[0]`
    field: String,
    error: serde_json::Error,
}

impl Unreadable {
    /// Without a value of the document: serde quotes a text that stands where none belongs, and that may be a secret.
    pub fn place(&self) -> String {
        format!("{}line {}, column {}", self.clause(), self.error.line(), self.error.column())
    }

    /// A document that isn't JSON at all has no field.
    fn clause(&self) -> String {
        if self.error.is_data() { format!("{}: ", self.field) } else { String::new() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.clause(), self.error)
    }
}

pub fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let found = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Unreadable { field: error.path().to_string(), error: error.into_inner() })?;
    match deserializer.end() {
        Ok(()) => Ok(found),
        Err(error) => Err(Unreadable { field: String::new(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Servers {
        #[allow(dead_code, reason = "only whether it can be read matters")]
        servers: Vec<Server>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Server {
        #[allow(dead_code, reason = "only whether it can be read matters")]
        size: u64,
    }

    #[test]
    fn an_error_names_the_field() {
        let error = |text: &str| read::<Servers>(text.as_bytes()).unwrap_err();
        let table = [
            (r#"{"servers": [{"size": 1}, {"size": "secret"}]}"#, "servers[1].size: invalid type: string"),
            (r#"{"servers": [{}]}"#, "servers[0]: missing field `size`"),
            (r#"{"servers": 7}"#, "servers: invalid type: integer `7`"),
            ("<html>", "expected value at line 1 column 1"),
            (r#"{"servers": []} more"#, "trailing characters"),
            (r#"{"servers": ["#, "EOF while parsing"),
        ];
        for (text, words) in table {
            assert!(error(text).to_string().starts_with(words), "{}", error(text));
        }
        assert_eq!(error(table[0].0).place(), "servers[1].size: line 1, column 43");
        assert!(read::<Servers>(br#"{"servers": []}"#).is_ok());
    }
}

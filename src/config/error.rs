//! What is wrong with the settings, and where.

use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Line { file: PathBuf, line: u64 },
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

/// Settings that can't be used. Never holds a value of a setting, so that no secret can be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub place: Option<Place>,
    pub message: String,
}

/// Settings that are used, but probably not as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub place: Option<Place>,
    pub message: String,
}

impl Error {
    /// The exit code of a process that can't use its settings: `EX_USAGE` of
    /// [sysexits.h](https://man7.org/linux/man-pages/man3/sysexits.h.3head.html).
    pub const EXIT: u8 = 64;

    pub(super) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), message: message.into() }
    }

    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::at(&Place::File(file.to_owned()), Self::cant_be_read(error))
    }

    /// The predicate to a file.
    pub(super) fn cant_be_read(error: &std::io::Error) -> String {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "; where it comes from a Secret: is that there, with an entry of this name?"
            }
            _ => "",
        };
        format!("can't be read: {error}{hint}")
    }
}

impl Warning {
    pub(super) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), message: message.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Variable(name) => write!(f, "environment variable {name}"),
            Place::Flag(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        placed(f, self.place.as_ref(), &self.message)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        placed(f, self.place.as_ref(), &self.message)
    }
}

impl std::error::Error for Error {}

fn placed(f: &mut fmt::Formatter<'_>, place: Option<&Place>, message: &str) -> fmt::Result {
    match place {
        Some(place) => write!(f, "{place}: {message}"),
        None => f.write_str(message),
    }
}

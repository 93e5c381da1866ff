//! Whether the cloud lets us in.

use std::fmt;

use super::{Condition, Volumes};

/// Why a cloud can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub condition: Condition,
    /// A sentence that is the same for the same trouble.
    pub message: String,
    /// The request that was refused.
    pub request_id: Option<String>,
}

impl Volumes {
    /// Gets a token, unless one is held, and looks whether the catalog has block storage and compute.
    pub async fn log_in(&self) -> Result<(), Refusal> {
        self.cinder.log_in().await.map_err(|error| Refusal {
            condition: Condition::of_reading(&error),
            message: error.sentence(),
            request_id: error.request_id,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

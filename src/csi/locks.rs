//! One operation at a time for one object. A second one is told so at once, and the orchestrator calls again: ABORTED of
//! <https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#error-scheme>.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use super::status;

#[derive(Clone, Debug, Default)]
pub struct Locks {
    held: Arc<Mutex<HashSet<String>>>,
}

/// The object is free again once this is dropped.
#[derive(Debug)]
pub struct Claim {
    held: Arc<Mutex<HashSet<String>>>,
    key: String,
}

impl Locks {
    pub fn claim(&self, key: impl Into<String>) -> Result<Claim, Status> {
        let key = key.into();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(key.clone()) {
            return Err(status::busy(&key));
        }
        Ok(Claim { held: Arc::clone(&self.held), key })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod interleaved;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_claimed_once_until_it_is_let_go() {
        let locks = Locks::default();
        let claim = locks.claim("volume a").unwrap();
        assert_eq!(locks.clone().claim("volume a").unwrap_err().code(), tonic::Code::Aborted);
        let _other = locks.claim("volume b").unwrap();
        drop(claim);
        locks.claim("volume a").unwrap();
    }
}

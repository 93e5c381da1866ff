//! What an answer says where the driver panicked.

/// `src/csi/status.rs`, `src/openstack/flight.rs`, `src/node/claim.rs`.
const WORDS: [&str; 3] = ["a bug in the driver", "a bug of this driver", "the driver failed"];

pub fn is_told(message: &str) -> bool {
    WORDS.iter().any(|words| message.contains(words))
}

//! Where a list goes on: the `next_token` of one answer is the `starting_token` of the next request.
//!
//! A token says which list it is of, in which cloud that list goes on, and after which place there. To the orchestrator
//! it is opaque: <https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#listvolumes>.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tonic::Status;

use super::status;

/// Its form: a token of a release with another form is told from a broken one, and neither is taken for a place.
const VERSION: &str = "v2";

/// After a place of one list of one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<P> {
    cloud: String,
    /// The last place that was told; `None` at the cloud's beginning.
    pub after: Option<P>,
}

impl<P: Display + FromStr> Token<P> {
    pub fn new(cloud: &str, after: Option<P>) -> Self {
        Self { cloud: digest(cloud), after }
    }

    pub fn is_of(&self, cloud: &str) -> bool {
        self.cloud == digest(cloud)
    }

    /// The `starting_token` of a request for `list`; `None` at the very beginning.
    pub fn parse(list: &str, text: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        Self::read(list, text).map(Some).ok_or_else(|| status::stale_token(list, text))
    }

    /// The `next_token` of an answer for `list`.
    pub fn text(&self, list: &str) -> String {
        let after = self.after.as_ref().map_or_else(String::new, |place| place.to_string());
        format!("{VERSION}/{list}/{after}/{}", self.cloud)
    }

    fn read(list: &str, text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        if parts.next() != Some(VERSION) || parts.next() != Some(list) {
            return None;
        }
        let after = match parts.next()? {
            "" => None,
            place => Some(place.parse().ok()?),
        };
        Some(Self { cloud: parts.next()?.to_owned(), after })
    }
}

/// A cloud's name may be any text, and a string of CSI has 128 bytes at most
/// (<https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#size-limits>).
fn digest(cloud: &str) -> String {
    let mut hasher = DefaultHasher::new();
    cloud.hash(&mut hasher);
    BASE64_URL_SAFE_NO_PAD.encode(hasher.finish().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        for cloud in ["", "east", "a/b", "häß \"x\""] {
            for after in [None, Some(7_u32)] {
                let token = Token::new(cloud, after);
                assert!(token.is_of(cloud) && !token.is_of("west"));
                assert_eq!(Token::parse("volumes", &token.text("volumes")).unwrap(), Some(token));
            }
        }
        assert_eq!(Token::<u32>::parse("volumes", "").unwrap(), None);
    }

    /// The longest place is a list's letter and three ids.
    #[test]
    fn a_token_is_as_short_as_csi_has_it_whatever_the_clouds_name() {
        let place = format!("s{}", format!(".{}", uuid::Uuid::nil().simple()).repeat(3));
        let text = Token::new(&"cloud".repeat(100), Some(place)).text("snapshots");
        assert!(text.len() <= 128, "{} bytes: {text}", text.len());
    }

    #[test]
    fn what_is_no_token_of_this_list_is_aborted() {
        for text in
            ["x", "v2", "v2/volumes", "v2/volumes/7", "v2/volumes/x/", "v2/snapshots/7/", "v1/volumes/7/"]
        {
            let status = Token::<u32>::parse("volumes", text).unwrap_err();
            assert_eq!(status.code(), Code::Aborted, "{text}");
            assert!(status.message().contains("starting_token"), "{status}");
        }
    }
}

//! Where a list goes on: the `next_token` of one answer is the `starting_token` of the next request.
//!
//! A token says which list it is of, in which cloud that list goes on, and after which place there. To the orchestrator
//! it is opaque: <https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#listvolumes>.

use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;

use super::status;

/// Its form: a token of a release with another form is told from a broken one, and neither is taken for a place.
const VERSION: &str = "v1";

/// After a place of one list of one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<P> {
    /// The cloud's name; the unnamed one is "".
    pub cloud: String,
    /// The last place that was told; `None` at the cloud's beginning.
    pub after: Option<P>,
}

impl<P: Display + FromStr> Token<P> {
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
        // The cloud's name comes last: it may be any text.
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

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        for cloud in ["", "east", "a/b", "häß \"x\""] {
            for after in [None, Some(7_u32)] {
                let token = Token { cloud: cloud.to_owned(), after };
                assert_eq!(Token::parse("volumes", &token.text("volumes")).unwrap(), Some(token));
            }
        }
        assert_eq!(Token::<u32>::parse("volumes", "").unwrap(), None);
    }

    #[test]
    fn what_is_no_token_of_this_list_is_aborted() {
        for text in
            ["x", "v1", "v1/volumes", "v1/volumes/7", "v1/volumes/x/", "v1/snapshots/7/", "v0/volumes/7/"]
        {
            let status = Token::<u32>::parse("volumes", text).unwrap_err();
            assert_eq!(status.code(), Code::Aborted, "{text}");
            assert!(status.message().contains("starting_token"), "{status}");
        }
    }
}

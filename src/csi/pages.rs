//! One list over all clouds, page by page: one cloud after another, in the order of their names.

use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;

use super::clouds::Clouds;
use super::status;
use super::token::Token;
use crate::volume::Volumes;

/// Cinder answers so many at once. A request without `max_entries` gets as many, and a token for the rest, so that no
/// answer outgrows what the orchestrator accepts: 4 MiB by default
/// (<https://pkg.go.dev/google.golang.org/grpc#MaxCallRecvMsgSize>).
const MOST: u32 = 1000;

/// One page of a list that is being filled, cloud by cloud.
#[derive(Debug)]
pub struct Pages<'a, P> {
    clouds: &'a Clouds,
    list: &'static str,
    left: u32,
    /// The cloud at hand; `None` once all are through.
    cloud: Option<&'a str>,
    after: Option<P>,
}

/// What to ask next: a cloud for its entries after a place, so many at most.
#[derive(Debug)]
pub struct Turn<'a, P> {
    pub cloud: &'a Volumes,
    pub limit: u32,
    pub after: Option<P>,
}

impl<'a, P: Display + FromStr> Pages<'a, P> {
    /// `list` is the name of the list: a token of another one is refused.
    pub fn start(
        clouds: &'a Clouds,
        list: &'static str,
        starting_token: &str,
        max_entries: Option<u32>,
    ) -> Result<Self, Status> {
        let left = max_entries.unwrap_or(MOST).min(MOST);
        let (cloud, after) = match Token::parse(list, starting_token)? {
            None => (clouds.all().next().map(|(name, _)| name), None),
            Some(Token { cloud, after }) => {
                let known = clouds.all().map(|(name, _)| name).find(|name| *name == cloud);
                let known = known.ok_or_else(|| status::stale_token(list, starting_token))?;
                (Some(known), after)
            }
        };
        Ok(Self { clouds, list, left, cloud, after })
    }

    /// The next thing to ask; `None` where the page is full, or all has been told.
    pub fn turn(&mut self) -> Option<Turn<'a, P>> {
        let name = self.cloud.filter(|_| self.left > 0)?;
        let (_, cloud) = self.clouds.all().find(|(known, _)| *known == name)?;
        Some(Turn { cloud, limit: self.left, after: self.after.take() })
    }

    /// The cloud gave so many, and has more after `next`.
    pub fn took(&mut self, count: usize, next: Option<P>) {
        self.left = self.left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        match next {
            // Its page was smaller than asked for: the rest is for another call.
            Some(_) => (self.left, self.after) = (0, next),
            None => {
                let mut names = self.clouds.all().map(|(name, _)| name);
                self.cloud = names.find(|name| Some(*name) == self.cloud).and_then(|_| names.next());
            }
        }
    }

    /// The token of the page after this one; "" where this is the last.
    pub fn next_token(self) -> String {
        let token = self.cloud.map(|cloud| Token { cloud: cloud.to_owned(), after: self.after });
        token.map(|token| token.text(self.list)).unwrap_or_default()
    }
}

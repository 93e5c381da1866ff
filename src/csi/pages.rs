//! One list over all clouds, page by page: one cloud after another, in the order of their names.

use std::collections::VecDeque;
use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;

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
    /// Those that are left, the one at hand first.
    clouds: VecDeque<(&'a str, &'a Volumes)>,
    list: &'static str,
    left: u32,
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
        clouds: Vec<(&'a str, &'a Volumes)>,
        list: &'static str,
        starting_token: &str,
        max_entries: Option<u32>,
    ) -> Result<Self, Status> {
        let left = max_entries.unwrap_or(MOST).min(MOST);
        let mut clouds = VecDeque::from(clouds);
        let mut after = None;
        if let Some(token) = Token::parse(list, starting_token)? {
            let at = clouds.iter().position(|(name, _)| token.is_of(name));
            clouds.drain(..at.ok_or_else(|| status::stale_token(list, starting_token))?);
            after = token.after;
        }
        Ok(Self { clouds, list, left, after })
    }

    /// The next thing to ask; `None` where the page is full, or all has been told.
    pub fn turn(&mut self) -> Option<Turn<'a, P>> {
        let (_, cloud) = self.clouds.front().filter(|_| self.left > 0)?;
        Some(Turn { cloud, limit: self.left, after: self.after.take() })
    }

    /// The cloud gave so many, and has more after `next`.
    pub fn took(&mut self, count: usize, next: Option<P>) {
        self.left = self.left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        match next {
            // Its page may have been smaller than asked for: the rest is for another call.
            Some(_) => (self.left, self.after) = (0, next),
            None => drop(self.clouds.pop_front()),
        }
    }

    /// The token of the page after this one; "" where this is the last.
    pub fn next_token(mut self) -> String {
        let next = self.clouds.pop_front();
        let token = next.map(|(cloud, _)| Token::new(cloud, self.after));
        token.map(|token| token.text(self.list)).unwrap_or_default()
    }
}

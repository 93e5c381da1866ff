//! What a token says beside what it opens: for whoever looks whether all is well.

use std::time::{Duration, SystemTime};

use url::Url;

use super::super::Result;
use super::{Named, Token, life};
use crate::pace;

/// What Keystone gives for the credentials.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Of the token, from when it was given.
    pub life: Duration,
    pub user: Option<String>,
    /// `None`: the token is for no project.
    pub project: Option<String>,
    pub roles: Vec<String>,
    /// By how many seconds Keystone's clock is ahead of ours; below zero: behind. `None`: it tells no time.
    pub ahead: Option<i64>,
    /// Where the services are, up to their version.
    pub cinder: Result<Url>,
    pub nova: Result<Url>,
}

/// The part of it that the catalog doesn't tell.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub life: Duration,
    user: Option<String>,
    project: Option<String>,
    roles: Vec<String>,
    ahead: Option<i64>,
}

impl About {
    /// `asked`: when, by our clock.
    pub fn new(token: &Token, date: Option<SystemTime>, asked: SystemTime) -> Self {
        let name = |named: &Named| named.name.clone();
        let project = token.project.as_ref();
        Self {
            life: life(token, date),
            user: token.user.as_ref().and_then(name),
            project: project.map(|project| project.name.clone().unwrap_or_else(|| project.id.clone())),
            roles: token.roles.iter().flatten().filter_map(name).collect(),
            ahead: date.map(|date| ahead(date, asked, pace::now())),
        }
    }

    pub fn with_endpoints(self, cinder: Result<Url>, nova: Result<Url>) -> Admission {
        let Self { life, user, project, roles, ahead } = self;
        Admission { life, user, project, roles, ahead, cinder, nova }
    }
}

/// The date is one of whole seconds, rounded down, between the question and the answer.
fn ahead(date: SystemTime, asked: SystemTime, answered: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let end = date + Duration::from_secs(1);
    match (date.duration_since(answered), asked.duration_since(end)) {
        (Ok(later), _) => whole(later),
        (_, Ok(earlier)) => -whole(earlier),
        (Err(_), Err(_)) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_what_no_delay_and_no_rounding_explains() {
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        for (date, asked, answered, expected) in [
            (100_000, 100_200, 100_300, 0),
            (100_000, 100_900, 101_100, 0),
            (101_000, 100_900, 101_100, 0),
            (160_000, 100_000, 100_100, 59),
            (40_000, 100_000, 100_100, -59),
            // A slow answer: nobody knows when in between it was dated.
            (105_000, 100_000, 109_000, 0),
        ] {
            assert_eq!(ahead(at(date), at(asked), at(answered)), expected, "{date} {asked} {answered}");
        }
    }
}

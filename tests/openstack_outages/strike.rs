//! A service goes away in the middle of an operation, and stays away until it is certain that the operation has met that.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cinder_csi::pace;

use crate::bed::Lab;
use crate::outage::Outage;
use crate::point::Point;
use crate::service::{Away, How, is_process_of};

/// How long a service that is needed is missed, beside what it takes to start. The driver looks at least every two seconds.
const OUTAGE: Duration = Duration::from_secs(4);
/// What an operation takes at most that doesn't need the service.
const UNDISTURBED: Duration = Duration::from_secs(15);

/// How far the story is.
#[derive(Default)]
pub struct Progress {
    pub is_whole: Cell<bool>,
    pub is_done: Cell<bool>,
}

/// What is ready before the operation is asked for.
pub enum Strike<'a> {
    Done(Away<'a>),
    /// Once the cloud is there.
    At(Point),
}

impl<'a> Strike<'a> {
    pub fn prepare(lab: &'a Lab, outage: &Outage) -> Self {
        match outage.how {
            How::Frozen => Self::Done(Away::take(lab, outage.service, outage.how)),
            How::Killed => Self::At(Point::slow(lab, outage.point())),
        }
    }

    /// The service goes and comes back. How long it was away.
    pub async fn carry_out(self, lab: &'a Lab, outage: &Outage, progress: &Progress) -> Duration {
        let away = match self {
            Self::Done(away) => away,
            Self::At(point) => interrupt(lab, outage, &point).await,
        };
        let since = away.since;
        if outage.is_of_what_is_needed() {
            pace::sleep(OUTAGE).await;
            assert_was_missed(outage, progress);
        } else {
            until_done(outage, progress).await;
        }
        away.bring_back();
        progress.is_whole.set(true);
        since.elapsed()
    }
}

/// Kills the service while the cloud is at the point. The work goes on from there if another service does it.
async fn interrupt<'a>(lab: &'a Lab, outage: &Outage, point: &Point) -> Away<'a> {
    let worker = point.reached().await;
    let is_of_the_worker = is_process_of(lab, outage.service, worker);
    let away = Away::take(lab, outage.service, outage.how);
    assert!(!point.is_passed(), "{outage} came too late: {} was passed", outage.point());
    assert_eq!(is_of_the_worker, outage.is_of_the_worker(), "{outage}: who was at {}?", outage.point());
    lab.heal();
    if !is_of_the_worker {
        point.passed().await;
    }
    away
}

fn assert_was_missed(outage: &Outage, progress: &Progress) {
    assert!(!progress.is_done.get(), "{outage} hit nothing: it was done without {}", outage.service);
}

async fn until_done(outage: &Outage, progress: &Progress) {
    let end = Instant::now() + UNDISTURBED;
    while !progress.is_done.get() {
        assert!(Instant::now() < end, "{outage} held up what doesn't need {}", outage.service);
        pace::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
#[should_panic(expected = "mariadb Killed during Create hit nothing: it was done without mariadb")]
fn an_outage_that_nothing_met_is_none() {
    use crate::outage::{DATABASE, Operation};
    let outage = Outage { service: DATABASE, how: How::Killed, during: Operation::Create };
    let progress = Progress::default();
    assert_was_missed(&outage, &progress);
    progress.is_done.set(true);
    assert_was_missed(&outage, &progress);
}

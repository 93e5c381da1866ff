//! Whether the clouds take our credentials: asked at the start and whenever the settings change, told to whoever wants to
//! know if the driver is ready, in the log, and as an Event on its own Pod.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tracing::{info, warn};

use super::clouds::{Clouds, shown};
use crate::k8s::{Events, Object, Pod, Report, Severity};
use crate::pace::{self, Backoff, Deadline};
use crate::volume::{Condition, Refusal, Volumes};

/// A login takes no longer, its attempts together.
const LONGEST: Duration = Duration::from_secs(60);

/// Reasons of Events.
const NOT_USABLE: &str = "CloudNotUsable";
const USABLE: &str = "CloudUsable";

/// Cheap to clone: the clones know the same.
#[derive(Clone, Debug)]
pub struct Access {
    clouds: Clouds,
    told: Arc<Mutex<Told>>,
    settings: watch::Sender<()>,
    on_pod: Option<(Events, Pod)>,
}

#[derive(Debug, Default)]
struct Told {
    clouds: BTreeMap<String, Standing>,
    /// Once one cloud was usable: a pod that was ready stays so.
    is_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Unknown,
    Usable,
    /// The trouble, and the sentence that was told of it first.
    Refused(Refusal, String),
}

impl Access {
    /// `on_pod`: this process's own Pod, for Events.
    pub fn new(clouds: Clouds, on_pod: Option<(Events, Pod)>) -> Self {
        let unknown = clouds.all().map(|(name, _)| (name.to_owned(), Standing::Unknown)).collect();
        let told = Told { clouds: unknown, is_ready: false };
        Self { clouds, told: Arc::new(Mutex::new(told)), settings: watch::Sender::new(()), on_pod }
    }

    /// Looks after all clouds, each for itself.
    pub async fn run(self) {
        join_all(self.clouds.all().map(|(name, cloud)| self.look_after(name, cloud))).await;
    }

    /// The settings have changed: all clouds are asked again.
    pub fn look_again(&self) {
        self.settings.send_replace(());
    }

    /// The settings have changed, and can't be used.
    pub fn refused_settings(&self, why: &str) {
        self.tell(Severity::Warning, NOT_USABLE, format!("the changed settings can't be used: {why}"));
    }

    /// A line for each cloud. `Err` until one of them was usable.
    pub fn summary(&self) -> Result<String, String> {
        let told = self.told();
        let lines = told.clouds.iter().map(|(name, standing)| match standing {
            Standing::Unknown => format!("{} wasn't asked yet\n", shown(name)),
            Standing::Usable => format!("{} was usable when it was last looked at\n", shown(name)),
            Standing::Refused(_, sentence) => format!("{sentence}\n"),
        });
        if told.is_ready { Ok(lines.collect()) } else { Err(lines.collect()) }
    }

    async fn look_after(&self, name: &str, cloud: &Volumes) {
        let mut settings = self.settings.subscribe();
        let mut pauses = None;
        loop {
            settings.mark_unchanged();
            let answer = pace::within(Deadline::after(LONGEST), cloud.log_in()).await;
            self.note(name, &answer);
            let pause = async {
                match &answer {
                    Ok(()) => std::future::pending().await,
                    Err(refusal) => pace::sleep(self::pause(&mut pauses, refusal.condition)).await,
                }
            };
            let changed = tokio::select! {
                () = pause => false,
                changed = settings.changed() => changed.is_ok(),
            };
            if changed {
                pauses = None;
            }
        }
    }

    fn note(&self, name: &str, answer: &Result<(), Refusal>) {
        let usable = u8::from(answer.is_ok());
        metrics::gauge!("cinder_csi_cloud_usable", "cloud" => name.to_owned()).set(usable);
        let before = self.replaced(name, answer);
        match (before, answer) {
            (Standing::Refused(..), Ok(())) => {
                info!("{} is usable now", shown(name));
                self.tell(Severity::Normal, USABLE, format!("{} is usable now", shown(name)));
            }
            (_, Ok(())) => {}
            // Said again, an Event is counted and stays: the API forgets it after an hour.
            (Standing::Refused(known, sentence), Err(refusal)) if is_same(&known, refusal) => {
                self.tell(Severity::Warning, NOT_USABLE, sentence);
            }
            (_, Err(refusal)) => {
                let sentence = sentence(name, refusal);
                warn!("{sentence}");
                self.tell(Severity::Warning, NOT_USABLE, sentence);
            }
        }
    }

    /// What was known before.
    fn replaced(&self, name: &str, answer: &Result<(), Refusal>) -> Standing {
        let mut told = self.told();
        told.is_ready |= answer.is_ok();
        let before = told.clouds.get(name).cloned().unwrap_or(Standing::Unknown);
        let now = match (answer, &before) {
            (Ok(()), _) => Standing::Usable,
            (Err(refusal), Standing::Refused(known, _)) if is_same(known, refusal) => before.clone(),
            (Err(refusal), _) => Standing::Refused(refusal.clone(), sentence(name, refusal)),
        };
        told.clouds.insert(name.to_owned(), now);
        before
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, severity: Severity, reason: &str, message: String) {
        if let Some((events, Pod { namespace, name, uid })) = &self.on_pod {
            let object = Object::Pod(name.clone(), uid.clone());
            let namespace = namespace.clone();
            events.tell(Report { namespace, object, severity, reason: reason.to_owned(), message });
        }
    }
}

/// Each attempt has an id of its own.
fn is_same(known: &Refusal, refusal: &Refusal) -> bool {
    known.message == refusal.message
}

fn sentence(name: &str, refusal: &Refusal) -> String {
    format!("{} can't be used: {refusal}", shown(name))
}

/// The next pause; another trouble has other pauses.
fn pause(pauses: &mut Option<(Condition, Backoff)>, trouble: Condition) -> Duration {
    let pauses = match pauses {
        Some((known, backoff)) if *known == trouble => backoff,
        other => &mut other.insert((trouble, patience(trouble))).1,
    };
    pauses.step()
}

/// Keystone may lock an account after a few wrong passwords
/// (<https://docs.openstack.org/keystone/latest/admin/configuration.html#setting-an-account-lockout-threshold>); one that is down
/// comes back.
fn patience(trouble: Condition) -> Backoff {
    match trouble {
        Condition::Unauthenticated => Backoff::new(Duration::from_secs(30), Duration::from_secs(300)),
        _ => Backoff::new(Duration::from_secs(2), Duration::from_secs(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_password_is_tried_seldom_and_a_keystone_that_is_away_soon() {
        let mut pauses = None;
        let mut next = |trouble| pause(&mut pauses, trouble).as_secs_f64();
        let away: Vec<_> = (0..8).map(|_| next(Condition::Unavailable)).collect();
        assert!(away[0] <= 2.0 && away[7] >= 20.0 && away.iter().all(|pause| *pause <= 30.0), "{away:?}");
        let refused: Vec<_> = (0..6).map(|_| next(Condition::Unauthenticated)).collect();
        assert!(refused[0] >= 20.0 && refused[5] >= 200.0 && refused[5] <= 300.0, "{refused:?}");
        assert!(next(Condition::Unavailable) <= 2.0);
    }
}

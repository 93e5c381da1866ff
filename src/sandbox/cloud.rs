//! The simulated cloud over HTTP: in process, or on a port.

mod answer;
mod cinder;
mod keystone;
mod metadata;
mod nova;
mod operator;
mod region;
mod request;
mod serve;
mod turnstile;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use tokio::sync::Notify;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::calls::{Call, dissect, normalized};
use super::faults::{Fault, Mishap, Ordered, Trouble};
use super::world::{Deed, Held, Hypervisor, Identity, Kept, Settings, World};
use answer::Answer;
use request::Request;
use turnstile::Turnstile;

pub use serve::Served;

/// A Keystone, a Cinder and a Nova under one address: `/identity/v3`, `/volume/v3/PROJECT`, `/compute/v2.1`, and the
/// metadata service of each server: `/metadata/SERVER`.
#[derive(Clone)]
pub struct SimulatedCloud {
    inner: Arc<Inner>,
}

struct Inner {
    world: Mutex<World>,
    calls: Mutex<Vec<Call>>,
    turnstile: Option<Turnstile>,
    faults: Mutex<Ordered<Fault>>,
    /// The clouds that are other regions of this one's Keystone.
    regions: Mutex<Vec<SimulatedCloud>>,
    /// Wakes the clock of the hypervisor: something new is due.
    woken: Arc<Notify>,
}

/// What a client may authenticate with, all for the same project.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: String,
    pub user_id: String,
    /// Of the trustee, too.
    pub password: String,
    pub project: String,
    pub project_id: String,
    pub app_credential_id: String,
    pub app_credential_name: String,
    pub app_credential_secret: String,
    pub trust_id: String,
    pub trustee_id: String,
}

/// How a user of the simulated identity provider logs in; it is at `/identity/idp`.
#[derive(Clone, Debug)]
pub struct Federation {
    pub identity_provider: String,
    pub protocol: String,
    pub client_id: String,
    pub client_secret: String,
}

/// Larger than any request to these services.
const LARGEST_BODY: usize = 1 << 20;

impl SimulatedCloud {
    pub fn new(settings: Settings) -> Self {
        let inner = Inner {
            turnstile: settings.api_limit.map(Turnstile::new),
            world: Mutex::new(World::new(settings)),
            calls: Mutex::default(),
            faults: Mutex::default(),
            regions: Mutex::default(),
            woken: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Looks at, or changes, the state behind the services, up to date.
    fn with_world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut world = locked(&self.inner.world);
        world.advance();
        look(&mut world)
    }

    /// The id of the server with this name, empty where there is none.
    pub fn server_id(&self, name: &str) -> String {
        self.with_world(|world| world.server_named(name).unwrap_or_default().to_owned())
    }

    /// The scheduler hints that a volume was asked for with, null without.
    pub fn hints_of(&self, volume: &str) -> serde_json::Value {
        self.with_world(|world| {
            world.volumes.get(volume).map(|volume| volume.hints.clone()).unwrap_or_default()
        })
    }

    /// What a client may authenticate with.
    pub fn credentials(&self) -> Credentials {
        self.with_world(|world| Credentials::of(&world.identity))
    }

    pub fn fault(&self, fault: Fault) {
        locked(&self.inner.faults).order(fault);
    }

    pub fn mishap(&self, mishap: Mishap) {
        self.with_world(|world| world.mishaps.order(mishap));
    }

    pub fn clear_faults(&self) {
        locked(&self.inner.faults).clear();
    }

    /// Takes back the mishaps that nothing has met.
    pub fn clear_mishaps(&self) {
        self.with_world(|world| world.mishaps.clear());
    }

    /// How many of the ordered faults a request has met, and of the mishaps an operation.
    pub fn met(&self) -> usize {
        locked(&self.inner.faults).met() + self.with_world(|world| world.mishaps.met())
    }

    /// Every request since the start or the last reset, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.inner.calls).clone()
    }

    pub fn reset_calls(&self) {
        locked(&self.inner.calls).clear();
    }

    /// How many requests had 429 for an answer, because of the cloud's limit.
    pub fn throttled(&self) -> usize {
        self.inner.turnstile.as_ref().map_or(0, Turnstile::refused)
    }

    /// The creates, deletes, attaches and detaches since the last call of this function that have ended or will.
    pub fn deeds(&self) -> Vec<Deed> {
        self.with_world(|world| std::mem::take(&mut world.deeds))
    }

    /// Whether Nova has an attach of that volume to that server that it hasn't begun.
    pub fn keeps_attach(&self, volume: &str, server: &str) -> bool {
        let kept = Kept { volume: volume.to_owned(), server: server.to_owned() };
        self.with_world(|world| world.kept.contains(&kept))
    }

    /// Lets `hypervisor` give the servers real disks, at the moment they are due and not at the next request.
    /// Inside a tokio runtime.
    pub fn plug_into(&self, hypervisor: Box<dyn Hypervisor>) {
        self.with_world(|world| world.plug_into(hypervisor));
        let (cloud, woken) = (Arc::downgrade(&self.inner), self.inner.woken.clone());
        tokio::spawn(async move {
            while let Some(inner) = cloud.upgrade() {
                let next = Self { inner }.with_world(|world| world.next_event());
                let rest = next.map_or(LONGEST_REST, |at| at.duration_since(tokio::time::Instant::now()));
                tokio::select! {
                    () = woken.notified() => {}
                    () = crate::pace::sleep(rest.min(LONGEST_REST)) => {}
                }
            }
        });
    }

    /// Takes every disk out of its server, and deletes what was on it.
    pub fn unplug_all(&self) {
        drop(self.with_world(World::unplug_all));
    }

    /// What the project has: a line for each volume, snapshot, backup, group, group snapshot and attachment.
    pub fn inventory(&self) -> Vec<String> {
        self.with_world(|world| world.inventory())
    }

    pub fn volumes(&self) -> Vec<Held> {
        self.with_world(|world| world.held_volumes())
    }

    pub fn snapshots(&self) -> Vec<Held> {
        self.with_world(|world| world.held_snapshots())
    }

    pub fn backups(&self) -> Vec<Held> {
        self.with_world(|world| world.held_backups())
    }

    /// The groups, then the group snapshots.
    pub fn groups(&self) -> Vec<Held> {
        self.with_world(|world| world.held_groups())
    }

    /// The services as an axum router, without calls counted and without faults.
    pub fn router(&self) -> Router {
        let cloud = self.clone();
        Router::new().fallback(move |request: http::Request<Body>| {
            let cloud = cloud.clone();
            async move { cloud.handle(request).await }
        })
    }

    /// The services in process: what `openstack::Http` is.
    pub fn http(&self) -> BoxCloneSyncService<http::Request<Bytes>, http::Response<Bytes>, std::io::Error> {
        let cloud = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            let cloud = cloud.clone();
            async move { cloud.exchange(request).await }
        }))
    }

    /// One exchange, with the trouble that was ordered for it.
    ///
    /// The work is a task of its own: a client that gives up doesn't stop what the cloud began.
    async fn exchange(&self, request: http::Request<Bytes>) -> std::io::Result<http::Response<Bytes>> {
        let trouble = self.note(&request);
        if let Some(wait) = self.inner.turnstile.as_ref().and_then(Turnstile::refuse) {
            return Ok(self.trouble_answer(429, Some(wait)));
        }
        match &trouble {
            Some(Trouble::ResetBefore) => return Err(reset()),
            Some(Trouble::Refused(code)) => return Ok(self.trouble_answer(*code, None)),
            Some(Trouble::Throttled(time)) => return Ok(self.trouble_answer(429, Some(*time))),
            Some(Trouble::TokenRevoked) => self.revoke_token_of(&request),
            _ => {}
        }
        let work = tokio::spawn(self.router().oneshot(request.map(Body::from)));
        let patience = match &trouble {
            Some(Trouble::GatewayTimeout(time)) => *time,
            _ => Duration::MAX,
        };
        let Ok(done) = tokio::time::timeout(patience, work).await else {
            return Ok(self.trouble_answer(504, None));
        };
        let response =
            done.map_err(std::io::Error::other)?.unwrap_or_else(|never: Infallible| match never {});
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        match trouble {
            Some(Trouble::ResetAfter) => Err(reset()),
            Some(Trouble::FailedAfter(code)) => Ok(self.trouble_answer(code, None)),
            Some(Trouble::ReplyLost) => std::future::pending().await,
            Some(Trouble::Slow(time)) => {
                crate::pace::sleep(time).await;
                Ok(http::Response::from_parts(head, body))
            }
            _ => Ok(http::Response::from_parts(head, body)),
        }
    }

    async fn handle(&self, request: http::Request<Body>) -> http::Response<Body> {
        let (head, body) = request.into_parts();
        let body =
            Limited::new(body, LARGEST_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let kept = nova::kept(&head, &body);
        let latency = self.with_world(|world| {
            world.kept.extend(kept.clone());
            let span = world.settings.latency.get;
            world.pick(span)
        });
        rest(latency).await;
        if let Some(kept) = &kept {
            rest(self.with_world(|world| world.reservation_waits(kept))).await;
        }
        let (mut answer, stamp) = self.with_world(|world| {
            kept.iter().for_each(|kept| world.keep_no_more(kept));
            let request = Request::read(&head, &body, world.new_request_id());
            (request.answer(world), world.now())
        });
        if head.uri.path().ends_with("/auth/tokens") {
            self.tell_regions();
        }
        self.inner.woken.notify_one();
        if let Some(time) = answer.delay.take() {
            crate::pace::sleep(time).await;
        }
        answer.into_response(stamp).map(Body::from)
    }

    /// Counts the request, and finds its trouble.
    fn note(&self, request: &http::Request<Bytes>) -> Option<Trouble> {
        let (service, segments) = dissect(request.uri().path())?;
        let call = Call {
            at: tokio::time::Instant::now(),
            service,
            method: request.method().clone(),
            path: normalized(service, &segments),
            query: request.uri().query().unwrap_or_default().to_owned(),
        };
        let trouble = locked(&self.inner.faults).meet(&call.method, &call.path);
        locked(&self.inner.calls).push(call);
        trouble
    }

    fn trouble_answer(&self, code: u16, retry_after: Option<Duration>) -> http::Response<Bytes> {
        self.with_world(|world| {
            let mut answer = Answer::of_trouble(code, world.new_request_id());
            if let Some(time) = retry_after {
                answer = answer.with("Retry-After", time.as_secs().to_string());
            }
            answer.into_response(world.now())
        })
    }

    fn revoke_token_of(&self, request: &http::Request<Bytes>) {
        let token = request.headers().get("X-Auth-Token").and_then(|token| token.to_str().ok());
        self.with_world(|world| world.revoke(token.unwrap_or_default()));
    }
}

impl Credentials {
    fn of(identity: &Identity) -> Self {
        let (user, project) = (&identity.users[0], &identity.projects[0]);
        let (app, trust) = (&identity.app_credentials[0], &identity.trusts[0]);
        Self {
            user: user.name.clone(),
            user_id: user.id.clone(),
            password: user.password.clone(),
            project: project.name.clone(),
            project_id: project.id.clone(),
            app_credential_id: app.id.clone(),
            app_credential_name: app.name.clone(),
            app_credential_secret: app.secret.clone(),
            trust_id: trust.id.clone(),
            trustee_id: trust.trustee.clone(),
        }
    }
}

async fn rest(time: Duration) {
    if !time.is_zero() {
        crate::pace::sleep(time).await;
    }
}

/// How long the clock sleeps where nothing is due, so that it ends soon after its cloud.
const LONGEST_REST: Duration = Duration::from_secs(1);

fn reset() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

/// A panic of one test's thread must not hide in the poison of a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

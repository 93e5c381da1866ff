//! What the clients of Cinder and Nova share: one stack, which can be replaced while calls are under way.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::Method;
use tower::ServiceExt;
use url::Url;

use super::Service;
use super::answer::Answer;
use super::keystone::Admission;
use super::layer::{Limit, Limits};
use super::offer::{self, Offer};
use super::request::Request;
use super::stack::{Stacks, stacks};
use super::{Error, Http, Kind, Options, Result};

/// Cheap to clone: the clones share all.
#[derive(Clone)]
pub(super) struct Client {
    current: Arc<RwLock<Current>>,
    limit: Limit,
    name: Arc<str>,
}

struct Current {
    stacks: Stacks,
    auth_url: Url,
}

impl Client {
    pub fn new(http: Http, options: Options, limits: Limits) -> Self {
        let (limit, name) = (Limit::new(limits), options.name.as_str().into());
        let current = Current::new(http, options, limit.clone());
        Self { current: Arc::new(RwLock::new(current)), limit, name }
    }

    /// The cloud's, as `--cloud-name` has it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn replace(&self, http: Http, options: Options) {
        let new = Current::new(http, options, self.limit.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// How many requests a second the cloud takes, as far as is known.
    pub fn rate(&self) -> f64 {
        self.limit.rate()
    }

    pub async fn call(&self, request: Request) -> Result<Answer> {
        let stack = self.current.read().unwrap_or_else(PoisonError::into_inner).stacks.calls.clone();
        stack.oneshot(request).await
    }

    /// Gets a token, unless one is held, and looks whether the catalog has what is needed.
    pub async fn log_in(&self) -> Result<()> {
        let (stack, auth_url) = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            (current.stacks.login.clone(), current.auth_url.clone())
        };
        let request = Request::new(Service::Keystone, "give a token", Method::GET, &[]);
        stack.oneshot(request).await.map(drop).map_err(|error| match error.kind {
            // The deadline's own error knows no address.
            Kind::Deadline => Error { message: format!("{auth_url}: {}", error.message), ..error },
            _ => error,
        })
    }

    /// A catalog that lacks a service is no error here.
    pub async fn admission(&self) -> Result<Admission> {
        match self.log_in().await {
            Err(error) if error.service == Service::Keystone => return Err(error),
            Err(_) | Ok(()) => {}
        }
        let keystone = self.current.read().unwrap_or_else(PoisonError::into_inner).stacks.keystone.clone();
        Ok(keystone.session().await?.admission())
    }

    pub async fn offer(&self, service: Service) -> Result<Option<Offer>> {
        offer::read(self.call(Request::version_document(service)).await, service)
    }
}

impl Current {
    fn new(http: Http, mut options: Options, limit: Limit) -> Self {
        // What stands before the host, user:password@, is none of Keystone's credentials, and would be shown in errors.
        let _ = (options.auth_url.set_username(""), options.auth_url.set_password(None));
        let auth_url = options.auth_url.clone();
        Self { stacks: stacks(http, options, limit), auth_url }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        f.write_str(current.auth_url.as_str())
    }
}

//! What the clients of Cinder and Nova share: one stack, which can be replaced while calls are under way.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tower::ServiceExt;
use url::Url;

use super::answer::Answer;
use super::layer::{Limit, Limits};
use super::request::Request;
use super::stack::{Stack, stack};
use super::{Http, Options, Result};

/// Cheap to clone: the clones share all.
#[derive(Clone)]
pub(super) struct Client {
    current: Arc<RwLock<Current>>,
    limit: Limit,
}

struct Current {
    stack: Stack,
    auth_url: Url,
}

impl Client {
    pub fn new(http: Http, options: Options, limits: Limits) -> Self {
        let limit = Limit::new(limits);
        let current = Current::new(http, options, limit.clone());
        Self { current: Arc::new(RwLock::new(current)), limit }
    }

    pub fn replace(&self, http: Http, options: Options) {
        let new = Current::new(http, options, self.limit.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    pub async fn call(&self, request: Request) -> Result<Answer> {
        let stack = self.current.read().unwrap_or_else(PoisonError::into_inner).stack.clone();
        stack.oneshot(request).await
    }
}

impl Current {
    fn new(http: Http, mut options: Options, limit: Limit) -> Self {
        // What stands before the host, user:password@, is none of Keystone's credentials, and would be shown in errors.
        let _ = (options.auth_url.set_username(""), options.auth_url.set_password(None));
        let auth_url = options.auth_url.clone();
        Self { stack: stack(http, options, limit), auth_url }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        f.write_str(current.auth_url.as_str())
    }
}

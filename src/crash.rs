//! Ends the process where a test says, as by `kill -9`, and writes to the log where.
//!
//! A point is just before or just after a call that may change the cloud or the host: `before create a volume`,
//! `after mount`. Every HTTP request that isn't a GET has them, from its [`Operation`]; a verb of [`Host`] has them where
//! `host.rs` wraps it; every program has them, whether it changes anything or not.

mod host;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tower::{ServiceExt, service_fn};

use crate::node::{Host, Linux};
use crate::openstack::{Http, Operation};

/// `2 after mount`: the second time there. Set and without such a point it only logs what is reached.
pub const VARIABLE: &str = "CINDER_CSI_CRASH";

/// Cheap to clone: the clones count together.
#[derive(Clone)]
pub struct Crash(Option<Arc<Points>>);

struct Points {
    fatal: Option<(u32, String)>,
    reached: Mutex<BTreeMap<String, u32>>,
}

impl Crash {
    /// `order`: the value of [`VARIABLE`].
    pub fn new(order: Option<String>) -> Self {
        Self(order.map(|order| {
            let fatal =
                order.split_once(' ').and_then(|(nth, point)| Some((nth.parse().ok()?, point.into())));
            Arc::new(Points { fatal, reached: Mutex::default() })
        }))
    }

    pub fn http(&self, http: Http) -> Http {
        let crash = self.clone();
        Http::new(service_fn(move |request: http::Request<Bytes>| {
            let (crash, exchange) = (crash.clone(), http.clone());
            let operation = request.extensions().get::<Operation>().copied();
            let operation = operation.filter(|_| !request.method().is_safe());
            async move {
                let exchange = exchange.oneshot(request);
                match operation {
                    Some(operation) => crash.around(operation.0, exchange).await,
                    None => exchange.await,
                }
            }
        }))
    }

    pub fn host(&self, below: Arc<dyn Host>) -> Arc<dyn Host> {
        Arc::new(host::CrashingHost { below, crash: self.clone() })
    }

    async fn around<T>(self, step: &str, work: impl Future<Output = T>) -> T {
        self.reach(format!("before {step}"));
        let done = work.await;
        self.reach(format!("after {step}"));
        done
    }

    fn reach(&self, point: String) {
        let Some(points) = &self.0 else { return };
        let nth = {
            let mut reached = points.reached.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = reached.entry(point.clone()).or_default();
            *nth += 1;
            *nth
        };
        tracing::info!(nth, point, "reached");
        if points.fatal.as_ref().is_some_and(|fatal| (fatal.0, fatal.1.as_str()) == (nth, point.as_str())) {
            tracing::info!(nth, point, "ends here");
            Linux::end_process();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn points_are_counted_by_their_names() {
        let crash = Crash::new(Some("9 after mount".to_owned()));
        for _ in 0..2 {
            crash.clone().around("mount", async {}).await;
        }
        let points = crash.0.unwrap();
        assert_eq!(points.fatal, Some((9, "after mount".to_owned())));
        let reached = points.reached.lock().unwrap();
        assert_eq!(reached["before mount"], 2);
        assert_eq!(reached["after mount"], 2);
    }

    #[test]
    fn an_order_without_a_point_ends_nobody() {
        for order in ["", "mount", "often mount"] {
            assert_eq!(Crash::new(Some(order.to_owned())).0.unwrap().fatal, None, "{order}");
        }
        assert!(Crash::new(None).0.is_none());
    }
}

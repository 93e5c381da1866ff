//! The gRPC health service, which a kubelet and a load balancer ask:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.
//!
//! A name chooses what is asked, as <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#define-a-grpc-liveness-probe>
//! proposes: `liveness`, and so it is without a name, or `readiness`.

mod liveness;

use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tonic::{Request, Response, Status};

use super::grpc_health::health_check_response::ServingStatus;
use super::grpc_health::health_server;
use super::grpc_health::{HealthCheckRequest, HealthCheckResponse};
use super::readiness::Readiness;
use super::status;
use crate::pace;
pub use liveness::Liveness;

/// How often a watcher's answer is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Ends when the server does.
type Stop = Shared<BoxFuture<'static, ()>>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Health {
    liveness: Liveness,
    readiness: Readiness,
    stop: Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Liveness,
    Readiness,
}

impl Health {
    /// A server waits for its calls before it ends, so watches end with `stop`.
    pub fn new(
        liveness: Liveness,
        readiness: Readiness,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { liveness, readiness, stop: stop.boxed().shared() }
    }

    async fn status(&self, question: Option<Question>) -> ServingStatus {
        let answer = match question {
            None => return ServingStatus::ServiceUnknown,
            Some(Question::Liveness) => self.liveness.ask().await.is_ok(),
            Some(Question::Readiness) => self.readiness.summary().is_ok(),
        };
        if answer { ServingStatus::Serving } else { ServingStatus::NotServing }
    }

    /// The status that isn't `last`, as soon as there is one; `None`: the server ends.
    async fn other_than(
        &self,
        last: Option<ServingStatus>,
        question: Option<Question>,
    ) -> Option<ServingStatus> {
        let changed = async {
            loop {
                let status = self.status(question).await;
                if Some(status) != last {
                    return status;
                }
                pace::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            () = self.stop.clone() => None,
            status = changed => Some(status),
        }
    }
}

fn question(service: &str) -> Option<Question> {
    match service {
        "" | "liveness" => Some(Question::Liveness),
        "readiness" => Some(Question::Readiness),
        _ => None,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status as i32 }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let question = question(&service).ok_or_else(|| status::no_service(&service))?;
        Ok(Response::new(answer(self.status(Some(question)).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (health, question) = (self.clone(), question(&request.into_inner().service));
        let statuses = stream::unfold((health, None), move |(health, last)| async move {
            let status = health.other_than(last, question).await?;
            Some((Ok(answer(status)), (health, Some(status))))
        });
        Ok(Response::new(statuses.boxed()))
    }
}

//! Says for how long a call is on a stretch of its way.

use tower::{ServiceExt, service_fn};

use super::super::ledger::{self, Stretch};
use super::super::request::Request;
use super::Calls;

pub(in crate::openstack) fn timed<S: Calls>(stretch: Stretch, inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let inner = inner.clone();
        async move {
            let _on = ledger::on(stretch);
            inner.oneshot(request).await
        }
    })
}

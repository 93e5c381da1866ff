//! What a call passes through on its way to the cloud, from the outside in.

use http::HeaderValue;
use tower::ServiceBuilder;
use tower::layer::layer_fn;
use tower::util::BoxCloneSyncService;

use super::answer::Answer;
use super::exchange::exchange;
use super::keystone::Keystone;
use super::layer::{Limit, auth, deadline, metrics, microversion, retry, trace};
use super::request::Request;
use super::{Error, Http, Options};

pub(super) type Stack = BoxCloneSyncService<Request, Answer, Error>;

pub(super) fn stack(http: Http, options: Options, limit: Limit) -> Stack {
    // Keystone's own calls, too, are seen in the log and in the ledger.
    let exchange = trace(exchange(http, agent(&options.user_agent)));
    let ignored = options.ignore_volume_microversion;
    let keystone = Keystone::new(options, &exchange);
    let calls = ServiceBuilder::new()
        // Outside of everything: a call takes as long as its caller waits for it.
        .layer(layer_fn(metrics))
        // Outside of what waits: a pause, a slot, a token, an answer.
        .layer(layer_fn(deadline))
        // Outside of the limit: an attempt counts as a call, and a pause holds no slot.
        .layer(layer_fn(retry))
        // Outside of the token: one that waited for its turn is not about to expire.
        .layer(layer_fn(|inner| limit.clone().layer(inner)))
        // Outside of the token: the version document is asked for like any other call, with a token, as Cinder
        // demands below its root.
        .layer(layer_fn(|inner| microversion(ignored, inner)))
        // Innermost: what a 401 sends again is the call as it was, no slot and no pause between.
        .layer(layer_fn(|inner| auth(keystone.clone(), inner)))
        .service(exchange);
    Stack::new(calls)
}

fn agent(words: &[String]) -> HeaderValue {
    let own = concat!("cinder-csi/", env!("CARGO_PKG_VERSION"));
    let all = words.iter().map(String::as_str).chain([own]).collect::<Vec<_>>().join(" ");
    HeaderValue::try_from(all).unwrap_or_else(|_| HeaderValue::from_static(own))
}

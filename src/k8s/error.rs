//! What kube's errors mean here.

use super::Error;

/// `doing` is what was tried, `rule` what the role must allow.
pub fn explained(doing: &str, rule: &str, error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => Error::Denied(format!(
            "the Kubernetes API refuses to {doing}: {}; the driver's ServiceAccount needs a rule for {rule}",
            status.message
        )),
        kube::Error::Api(status) => Error::Unavailable(format!(
            "the Kubernetes API couldn't {doing}: {} ({})",
            status.message, status.code
        )),
        error => Error::Unavailable(format!("the Kubernetes API couldn't {doing}: {}", chain(error))),
    }
}

/// hyper's errors say "client error (Connect)", and what happened only below.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

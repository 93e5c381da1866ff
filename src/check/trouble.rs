//! A call that failed, as a row: the cause, and the key to change.

use super::{Row, Verdict};
use crate::openstack::{Error, Kind, Places, Service};

pub fn row(check: &'static str, error: &Error, places: &Places) -> Row {
    let (found, next) = told(error, places);
    // Policies are the operator's, and what one hides may be in order.
    let verdict = if error.kind == Kind::Forbidden { Verdict::Unknown } else { Verdict::Failed };
    Row { check, verdict, found, next: Some(next) }
}

/// Errors of the client end in their next step, where they have one.
fn told(error: &Error, places: &Places) -> (String, String) {
    if error.kind == Kind::Deadline {
        let cause = error.message.replace("before the deadline of the request", "in time");
        return (Error { message: cause, ..error.clone() }.sentence(), silent(error.service, places));
    }
    let request = error.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
    let sentence = error.sentence();
    match sentence.rsplit_once("; ") {
        Some((cause, next)) => (format!("{cause}{request}"), next.to_owned()),
        None => (format!("{sentence}{request}"), otherwise(error, places)),
    }
}

fn silent(service: Service, places: &Places) -> String {
    match service {
        Service::Keystone => {
            format!(
                "is {} right, and is it reached from here (http or https, firewall, proxy)?",
                places.auth_url
            )
        }
        Service::Cinder | Service::Nova => unreached(service, places),
    }
}

fn otherwise(error: &Error, places: &Places) -> String {
    match error.kind {
        Kind::Unavailable => unreached(error.service, places),
        Kind::Forbidden => "ask the cloud's operator: the policy hides it from this project".to_owned(),
        Kind::Unauthenticated => format!("see {}", places.credential),
        _ => format!("ask the cloud's operator, with this sentence, about {}", error.service.name()),
    }
}

fn unreached(service: Service, places: &Places) -> String {
    format!(
        "is {} up, and reached from here where Keystone's catalog says? {} and {} choose among its addresses",
        service.name(),
        places.region,
        places.interface
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::Effect;

    fn error(kind: Kind, service: Service, message: &str) -> Error {
        Error {
            kind,
            status: None,
            service,
            operation: "list the zones",
            request_id: Some("req-1".into()),
            message: message.into(),
            retry_after: None,
            effect: Effect::None,
        }
    }

    #[test]
    fn a_sentence_is_cut_into_cause_and_next_step() {
        let places = Places::default();
        for (kind, service, message, verdict, found, next) in [
            (
                Kind::Unauthenticated,
                Service::Keystone,
                "no; check the password",
                Verdict::Failed,
                "Keystone could not list the zones: no (request req-1)",
                "check the password",
            ),
            (
                Kind::Unavailable,
                Service::Nova,
                "http://n: connection refused",
                Verdict::Failed,
                "Nova could not list the zones: http://n: connection refused (request req-1)",
                "is Nova up, and reached from here where Keystone's catalog says? region and os-endpoint-type choose among \
                 its addresses",
            ),
            (
                Kind::Deadline,
                Service::Keystone,
                "http://k/v3: no answer before the deadline of the request",
                Verdict::Failed,
                "Keystone could not list the zones: http://k/v3: no answer in time",
                "is auth-url right, and is it reached from here (http or https, firewall, proxy)?",
            ),
            (
                Kind::Forbidden,
                Service::Cinder,
                "policy",
                Verdict::Unknown,
                "Cinder could not list the zones: policy (request req-1)",
                "ask the cloud's operator: the policy hides it from this project",
            ),
        ] {
            let expected = Row { check: "zones", verdict, found: found.into(), next: Some(next.into()) };
            assert_eq!(row("zones", &error(kind, service, message), &places), expected);
        }
    }
}

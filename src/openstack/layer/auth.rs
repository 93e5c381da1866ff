//! An address and a token for every call; a new token, once, where the cloud no longer takes the old one.

use tower::{ServiceExt, service_fn};

use super::super::exchange::Addressed;
use super::super::keystone::{Keystone, Session};
use super::super::request::Request;
use super::super::{Error, Result};
use super::{Calls, Exchanges};

pub(in crate::openstack) fn auth<S: Exchanges>(keystone: Keystone, inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let (keystone, inner) = (keystone.clone(), inner.clone());
        async move {
            let session = keystone.session().await?;
            let error = match inner.clone().oneshot(addressed(&session, &request)?).await {
                Err(error) if is_unauthorized(&error) => error,
                result => return result,
            };
            tracing::debug!(%error, "the token is no longer taken");
            keystone.forget(&session);
            let session = keystone.session().await?;
            inner.oneshot(addressed(&session, &request)?).await.map_err(explained)
        }
    })
}

fn addressed(session: &Session, request: &Request) -> Result<Addressed> {
    let url = session.url(request)?;
    Ok(Addressed { request: request.clone(), url, token: Some(session.token.clone()), subject: None })
}

fn is_unauthorized(error: &Error) -> bool {
    error.status == Some(http::StatusCode::UNAUTHORIZED)
}

fn explained(mut error: Error) -> Error {
    if is_unauthorized(&error) {
        error.message = format!(
            "{}; a new token of Keystone was refused, too: is the service's own account in Keystone in order?",
            error.message.trim_end_matches('.')
        );
    }
    error
}

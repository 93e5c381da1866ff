//! An address and a token for every call; a new token, once, where the cloud no longer takes the old one.

use tower::{ServiceExt, service_fn};

use super::super::answer::Answer;
use super::super::exchange::Addressed;
use super::super::keystone::{Keystone, Session};
use super::super::request::Request;
use super::super::{Error, Kind, Result};
use super::{Calls, Exchanges};
use crate::pace;

pub(in crate::openstack) fn auth<S: Exchanges>(keystone: Keystone, inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let (keystone, inner) = (keystone.clone(), inner.clone());
        async move {
            let session = keystone.session().await?;
            let error = match inner.clone().oneshot(addressed(&session, &request)?).await {
                Err(error) if is_unauthorized(&error) => error,
                Err(error) => {
                    if nobody_answered(&error) {
                        session.suspect_catalog();
                    }
                    return Err(error);
                }
                answered => return answered,
            };
            tracing::debug!(%error, "the token is no longer taken");
            // The answer may have been awaited beyond the deadline; nothing new is sent then.
            if !keystone.forget(&session) || pace::deadline().has_passed() {
                return Err(explained(error));
            }
            let session = keystone.session().await?;
            inner.oneshot(addressed(&session, &request)?).await.map_err(explained)
        }
    })
}

/// A token, and a catalog with both services: what every call needs first.
pub(in crate::openstack) fn login(keystone: Keystone) -> impl Calls {
    service_fn(move |request: Request| {
        let keystone = keystone.clone();
        async move {
            keystone.session().await?.is_complete()?;
            Answer::read(&request, http::Response::default())
        }
    })
}

fn addressed(session: &Session, request: &Request) -> Result<Addressed> {
    let url = session.url(request)?;
    let token = Some(session.token.clone());
    Ok(Addressed { token, ..Addressed::new(request.clone(), url) })
}

fn is_unauthorized(error: &Error) -> bool {
    error.status == Some(http::StatusCode::UNAUTHORIZED)
}

/// No connection, or a proxy that has no service behind it.
fn nobody_answered(error: &Error) -> bool {
    let status = error.status.map(|status| status.as_u16());
    error.kind == Kind::Unavailable && matches!(status, None | Some(502..=504))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use secrecy::SecretString;
    use serde_json::json;

    use super::super::super::recorded::{
        Recorded, Reply, Seen, TOKENS, VOLUME, VOLUME_ID, options, token, unauthorized, volume,
    };
    use super::super::super::{ApplicationCredential, Cloud, Credential, Effect, Limits, Options, Volume};
    use super::*;
    use crate::pace::{self, Deadline};

    async fn show(cloud: &Cloud) -> Result<Volume> {
        cloud.cinder.get_volume(VOLUME_ID.parse().unwrap()).await
    }

    async fn show_many(cloud: &Cloud, callers: usize) -> Vec<Result<Volume>> {
        join_all((0..callers).map(|_| show(cloud))).await
    }

    /// A token that lives for `seconds`, brought after a second.
    fn lasting(name: &str, seconds: u64) -> Reply {
        let time = jiff::Timestamp::from_second(1_767_225_600 + seconds as i64).unwrap();
        token(name, &time.to_string()).after(Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_called_before_the_first_call() {
        let recorded = Recorded::default();
        let cloud = recorded.cloud();
        tokio::task::yield_now().await;
        assert_eq!(recorded.count(TOKENS), 0);
        assert_eq!(format!("{:?}", cloud.nova), "Nova { client: http://cloud/v3 }");
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_callers_share_one_authentication() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("one", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        let results = show_many(&recorded.cloud(), 50).await;
        assert!(results.iter().all(Result::is_ok));
        assert_eq!((recorded.count(TOKENS), recorded.count(VOLUME)), (1, 50));
        assert_eq!(recorded.seen(VOLUME)[0].header("x-auth-token"), Some("one"));
        let agent = concat!("kubernetes cinder-csi/", env!("CARGO_PKG_VERSION"));
        assert_eq!(recorded.seen(VOLUME)[0].header("user-agent"), Some(agent));
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_leave_do_not_stop_the_authentication() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("one", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        let hurried = pace::within(Deadline::after(Duration::from_millis(10)), show(&cloud));
        let (hurried, patient) = tokio::join!(hurried, show(&cloud));
        assert_eq!(hurried.unwrap_err().kind, Kind::Deadline);
        assert!(patient.is_ok());
        assert_eq!(recorded.count(TOKENS), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_met_the_same_old_token_share_one_renewal() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("old", 3600), lasting("new", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        // All fifty are under way at once.
        let limits = Limits { concurrent: 50, ..Limits::default() };
        let cloud = Cloud::limited(recorded.http(), options(), limits);
        show(&cloud).await.unwrap();
        recorded.revoke("old");
        let results = show_many(&cloud, 50).await;
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(recorded.count(TOKENS), 2);
        let with_old = |call: &&Seen| call.header("x-auth-token") == Some("old");
        assert_eq!(recorded.seen(VOLUME).iter().filter(with_old).count(), 51, "all of them met the old one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_token_that_is_refused_too_is_not_replaced_again() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [unauthorized()]);
        let error = show(&recorded.cloud()).await.unwrap_err();
        assert_eq!(
            (error.kind, recorded.count(TOKENS), recorded.count(VOLUME)),
            (Kind::Unauthenticated, 2, 2)
        );
        assert!(error.message.contains("a new token of Keystone was refused, too"), "{error}");
        assert_eq!(error.request_id.as_deref(), Some("req-401"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_refuses_every_token_does_not_stampede_keystone() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [unauthorized()]);
        let cloud = recorded.cloud();
        for _ in 0..20 {
            show(&cloud).await.unwrap_err();
        }
        assert_eq!(recorded.count(TOKENS), 2);
        recorded.on(VOLUME, [volume("available")]);
        show(&cloud).await.unwrap();
        recorded.on(VOLUME, [unauthorized(), volume("available")]);
        pace::sleep(Duration::from_secs(10)).await;
        show(&cloud).await.unwrap();
        assert_eq!(recorded.count(TOKENS), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_beside_the_calls_before_it_expires() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("old", 3600), lasting("new", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        show(&cloud).await.unwrap();
        pace::sleep(Duration::from_secs(3230)).await;
        show(&cloud).await.unwrap();
        assert_eq!(recorded.count(TOKENS), 1);
        pace::sleep(Duration::from_secs(30)).await;
        let start = tokio::time::Instant::now();
        show_many(&cloud, 50).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody waits for the renewal");
        pace::sleep(Duration::from_secs(2)).await;
        show(&cloud).await.unwrap();
        assert_eq!(recorded.count(TOKENS), 2);
        assert_eq!(recorded.seen(VOLUME).last().unwrap().header("x-auth-token"), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_leaves_the_old_token_in_use_and_is_not_repeated_at_once() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("old", 3600), Reply::new(503, "")]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        show(&cloud).await.unwrap();
        pace::sleep(Duration::from_secs(3300)).await;
        for _ in 0..20 {
            show(&cloud).await.unwrap();
            pace::sleep(Duration::from_secs(1)).await;
        }
        assert!((2..=4).contains(&recorded.count(TOKENS)), "{}", recorded.count(TOKENS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_lived_token_is_used_for_half_of_its_life() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("short", 60)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        for _ in 0..28 {
            show(&cloud).await.unwrap();
            pace::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(recorded.count(TOKENS), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_down_costs_a_token_a_minute_at_most() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("one", 36_000)]);
        recorded.on(VOLUME, [Reply::new(503, "")]);
        let (cloud, began) = (recorded.cloud(), tokio::time::Instant::now());
        while began.elapsed() < Duration::from_secs(600) {
            pace::within(Deadline::after(Duration::from_secs(5)), show(&cloud)).await.unwrap_err();
        }
        assert!((5..=11).contains(&recorded.count(TOKENS)), "{}", recorded.count(TOKENS));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_token_is_replaced_before_the_call() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("old", 3600), lasting("new", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        show(&cloud).await.unwrap();
        pace::sleep(Duration::from_secs(7200)).await;
        show(&cloud).await.unwrap();
        assert_eq!(recorded.seen(VOLUME)[1].header("x-auth-token"), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn keystone_down_is_survived() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [Reply::broken(std::io::ErrorKind::ConnectionRefused)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        let error = show(&cloud).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Unavailable, Effect::None));
        assert_eq!(
            error.to_string(),
            "Keystone could not give a token: http://cloud: connection refused; is auth-url right, and Keystone up?"
        );
        recorded.on(TOKENS, [lasting("one", 3600)]);
        show(&cloud).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_password_says_what_to_check_and_is_not_hammered() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [unauthorized()]);
        let cloud = recorded.cloud();
        for _ in 0..5 {
            let error = show(&cloud).await.unwrap_err();
            assert_eq!((error.kind, error.service.name()), (Kind::Unauthenticated, "Keystone"));
            assert!(error.message.contains("check the password"), "{error}");
        }
        assert_eq!(recorded.count(TOKENS), 1);
        pace::sleep(Duration::from_secs(11)).await;
        show(&cloud).await.unwrap_err();
        assert_eq!(recorded.count(TOKENS), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_is_one_token_for_all_and_is_tried_again_like_any_call() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [Reply::new(503, ""), lasting("one", 3600)]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        cloud.cinder.log_in().await.unwrap();
        assert_eq!(recorded.count(TOKENS), 2);
        cloud.cinder.log_in().await.unwrap();
        show(&cloud).await.unwrap();
        assert_eq!((recorded.count(TOKENS), recorded.count(VOLUME)), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_at_a_silent_keystone_ends_in_time_and_names_its_address() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [lasting("late", 3600).after(Duration::from_secs(100))]);
        let cloud = recorded.cloud();
        let login = pace::within(Deadline::after(Duration::from_secs(5)), cloud.cinder.log_in());
        let error = login.await.unwrap_err();
        assert_eq!(error.kind, Kind::Deadline);
        assert!(error.message.starts_with("http://cloud/v3: no answer"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_credential_is_used_by_the_next_call_and_by_every_clone() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [unauthorized()]);
        recorded.on(VOLUME, [volume("available")]);
        let cloud = recorded.cloud();
        let clone = cloud.clone();
        show(&cloud).await.unwrap_err();
        recorded.on(TOKENS, [lasting("one", 3600)]);
        cloud.replace(recorded.http(), options());
        show(&clone).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_keystone_that_cannot_be_read_is_malformed() {
        for reply in [
            Reply::new(201, "<html>").header("x-subject-token", "t"),
            Reply::new(201, "{\"token\": {}}").header("x-subject-token", "t"),
            Reply::new(201, "{\"token\": \"canary-password\"}").header("x-subject-token", "t"),
            Reply::new(201, "{}"),
        ] {
            let recorded = Recorded::default();
            recorded.on(TOKENS, [reply]);
            let error = show(&recorded.cloud()).await.unwrap_err();
            assert_eq!((error.kind, error.effect), (Kind::Malformed, Effect::None), "{error}");
            assert!(!error.message.contains("canary"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_the_cloud_echoes_is_hidden() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [Reply::new(400, "you sent X-Auth-Token: token-1")]);
        let error = show(&recorded.cloud()).await.unwrap_err();
        assert_eq!(error.message, "you sent X-Auth-Token: [hidden]");
        let wild = || SecretString::from("can\"ary\\");
        let by = ApplicationCredential::Id("a".into());
        let credential = Credential::ApplicationCredential { by, secret: wild() };
        recorded
            .on(TOKENS, [Reply::json(400, json!({"message": format!("{} can\"ary\\ ", "x".repeat(388))}))]);
        let cloud = Cloud::new(recorded.http(), Options { credential, ..options() });
        let error = show(&cloud).await.unwrap_err();
        assert!(error.message.contains("x [hid") && !error.message.contains("can"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_is_a_word_of_the_catalog_hides_nothing() {
        let recorded = Recorded::default();
        recorded.on(VOLUME, [volume("available")]);
        let Credential::Password { user, scope, .. } = options().credential else { unreachable!() };
        let credential = Credential::Password { user, scope, password: SecretString::from("public") };
        show(&Cloud::new(recorded.http(), Options { credential, ..options() })).await.unwrap();
    }
}

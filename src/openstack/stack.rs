//! What a call passes through on its way to the cloud, from the outside in.

use std::sync::Arc;

use http::HeaderValue;
use tower::ServiceBuilder;
use tower::layer::layer_fn;
use tower::util::BoxCloneSyncService;

use super::answer::Answer;
use super::exchange::exchange;
use super::keystone::Keystone;
use super::layer::{Limit, auth, deadline, login, metrics, microversion, retry, timed, trace};
use super::ledger::Stretch;
use super::request::Request;
use super::{Error, Http, Options};

pub(super) type Stack = BoxCloneSyncService<Request, Answer, Error>;

/// What a cloud is asked through.
pub(super) struct Stacks {
    pub calls: Stack,
    /// For a request that goes no further than to Keystone, and there only where no token is held.
    pub login: Stack,
    /// Whom both ask for a token.
    pub keystone: Keystone,
}

pub(super) fn stacks(http: Http, options: Options, limit: Limit) -> Stacks {
    // Keystone's own calls, too, are seen in the log and in the ledger.
    let cloud: Arc<str> = options.name.as_str().into();
    let exchange = trace(cloud.clone(), exchange(http, agent(&options.user_agent)));
    let ignored = options.ignore_volume_microversion;
    let keystone = Keystone::new(options, &exchange);
    let calls = ServiceBuilder::new()
        // Outside of everything: a call takes as long as its caller waits for it.
        .layer(layer_fn(|inner| metrics(cloud.clone(), inner)))
        // Outside of what waits: a pause, a slot, a token, an answer.
        .layer(layer_fn(deadline))
        // Around each layer that waits: what an RPC tells of its time is one less another of these.
        .layer(layer_fn(|inner| timed(Stretch::Call, inner)))
        // Outside of the limit: an attempt counts as a call, and a pause holds no slot.
        .layer(layer_fn(|inner| retry(cloud.clone(), inner)))
        .layer(layer_fn(|inner| timed(Stretch::Attempt, inner)))
        // Outside of the token: one that waited for its turn is not about to expire.
        .layer(layer_fn(|inner| limit.clone().layer(cloud.clone(), inner)))
        .layer(layer_fn(|inner| timed(Stretch::Turn, inner)))
        // Outside of the token: the version document is asked for like any other call, with a token, as Cinder
        // demands below its root.
        .layer(layer_fn(|inner| microversion(ignored, inner)))
        // Innermost: what a 401 sends again is the call as it was, no slot and no pause between.
        .layer(layer_fn(|inner| auth(keystone.clone(), inner)))
        .service(exchange);
    // The same layers for the same reasons, less those that are about the services.
    let login = ServiceBuilder::new()
        .layer(layer_fn(|inner| metrics(cloud.clone(), inner)))
        .layer(layer_fn(deadline))
        .layer(layer_fn(|inner| retry(cloud.clone(), inner)))
        .service(login(keystone.clone()));
    Stacks { calls: Stack::new(calls), login: Stack::new(login), keystone }
}

fn agent(words: &[String]) -> HeaderValue {
    let own = concat!("cinder-csi/", env!("CARGO_PKG_VERSION"));
    let all = words.iter().map(String::as_str).chain([own]).collect::<Vec<_>>().join(" ");
    HeaderValue::try_from(all).unwrap_or_else(|_| HeaderValue::from_static(own))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::super::options::{ApplicationCredential, Credential, Scope};
    use super::super::recorded::{
        CANARY, Recorded, Reply, SERVER_ID, TOKENS, VOLUME, VOLUME_ID, options, token, volume,
    };
    use super::super::{Cloud, Options};

    /// All that a person may get to see of `cloud`'s work, everything of which fails in the end.
    async fn seen_of(recorded: &Recorded, options: Options) -> String {
        let log = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(log.reopen().unwrap())
            .finish();
        // While there is only one subscriber, tracing lets each thread, another test's too, decide for all what is
        // logged: https://github.com/tokio-rs/tracing/issues/3611. With two it asks both.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut seen = format!("{options:?}");
        let cloud = Cloud::new(recorded.http(), options);
        let (id, server) = (VOLUME_ID.parse().unwrap(), SERVER_ID.parse().unwrap());
        for _ in 0..2 {
            let shown = cloud.cinder.get_volume(id).await.map_err(|error| format!("{error} {error:?}"));
            let attached =
                cloud.nova.attach_volume(server, id).await.map_err(|error| format!("{error} {error:?}"));
            seen.push_str(&format!("{shown:?} {attached:?} {cloud:?}"));
        }
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("give a token"), "{log}");
        seen + &log
    }

    #[tokio::test(start_paused = true)]
    async fn no_secret_is_ever_seen() {
        let secret = || SecretString::from(CANARY);
        let by = ApplicationCredential::Id("a".into());
        for credential in [
            options().credential,
            Credential::ApplicationCredential { by, secret: secret() },
            Credential::Token { token: secret(), scope: Scope::ProjectId("p".into()) },
            Credential::Token { token: secret(), scope: Scope::Unscoped },
        ] {
            let recorded = Recorded::default();
            let good = token("canary-token", "2026-01-01T01:00:00Z");
            let echo = format!("{{\"error\": {{\"message\": \"you sent {CANARY}\"}}}}");
            recorded.on(TOKENS, [Reply::new(503, echo.clone()), good.clone(), Reply::new(401, echo)]);
            recorded.on("GET /v3/auth/tokens", [good, Reply::new(401, CANARY)]);
            recorded.on(VOLUME, [volume("in-use"), Reply::new(400, "you sent canary-token")]);
            let seen = seen_of(&recorded, Options { credential, ..options() }).await;
            assert!(!seen.contains("canary"), "{seen}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_and_the_metrics_name_the_cloud() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let recorded = Recorded::default();
        recorded.on(TOKENS, [token("t", "2026-01-01T01:00:00Z")]);
        recorded.on(VOLUME, [Reply::new(503, ""), volume("in-use")]);
        let log = seen_of(&recorded, Options { name: "east".into(), ..options() }).await;
        let line = log.lines().find(|line| line.contains("authenticated")).unwrap();
        assert!(line.contains("cloud=\"east\""), "{line}");
        let metrics = recorder.handle().render();
        for name in ["openstack_api_request_duration_seconds", "openstack_api_retries_total"] {
            assert!(metrics.contains(&format!("{name}{{cloud=\"east\",service=\"Cinder\"")), "{metrics}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_in_the_url_of_keystone_is_not_seen() {
        let recorded = Recorded::default();
        recorded.on(TOKENS, [Reply::broken(std::io::ErrorKind::ConnectionRefused)]);
        let auth_url = "http://admin:canary@cloud/v3".parse().unwrap();
        let cloud = Cloud::new(recorded.http(), Options { auth_url, ..options() });
        let error = cloud.cinder.get_volume(VOLUME_ID.parse().unwrap()).await.unwrap_err();
        assert!(!format!("{error} {error:?} {cloud:?}").contains("canary"), "{error}");
    }
}

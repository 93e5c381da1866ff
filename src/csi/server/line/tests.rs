use std::convert::Infallible;

use serde_json::Value;
use tower::{Layer, Service};

use super::super::about;
use super::super::rpc::RpcLayer;
use super::*;
use crate::pace;

const VOLUME: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

/// An RPC that takes so long and ends so.
async fn serve(method: &str, seconds: u64, code: Code) {
    let handler = tower::service_fn(move |_: http::Request<Body>| async move {
        about("volume", VOLUME);
        about("node", "node-1");
        pace::sleep(Duration::from_secs(seconds)).await;
        Ok::<_, Infallible>(Status::new(code, "the reason").into_http())
    });
    let request = http::Request::post(format!("/csi.v1.Any/{method}")).body(Body::empty()).unwrap();
    RpcLayer.layer(handler).call(request).await.unwrap();
}

/// What is logged of `work`, as JSON, one document a line.
async fn logged(work: impl Future<Output = ()>) -> Vec<Value> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(log.reopen().unwrap())
        .finish();
    // With one subscriber alone, another test's thread decides for all what is logged:
    // https://github.com/tokio-rs/tracing/issues/3611.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    work.await;
    let text = std::fs::read_to_string(log.path()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_rpc_has_one_line_with_all_of_it_and_its_parts_only_where_it_was_slow() {
    let lines = logged(async {
        serve("ControllerPublishVolume", 2, Code::Ok).await;
        serve("ControllerPublishVolume", 12, Code::Unavailable).await;
        serve("NodeStageVolume", 12, Code::Ok).await;
    })
    .await;
    let [fast, slow, staged] = &lines[..] else { panic!("{lines:?}") };
    let of = |line: &Value| {
        let span = &line["span"];
        assert_eq!((&span["volume"], &span["node"]), (&VOLUME.into(), &"node-1".into()), "{line}");
        assert_eq!(line["calls"], 0, "{line}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spent = text(&line["spent"]);
        (text(&line["level"]), text(&span["method"]), text(&line["code"]), text(&line["message"]), spent)
    };
    let owned = |words: [&str; 5]| words.map(str::to_owned).into();
    assert_eq!(of(fast), owned(["INFO", "ControllerPublishVolume", "Ok", "OK", ""]));
    let expected = ["WARN", "ControllerPublishVolume", "Unavailable", "the reason", "states 12.0 s"];
    assert_eq!(of(slow), owned(expected));
    assert_eq!(of(staged), owned(["INFO", "NodeStageVolume", "Ok", "OK", "other 12.0 s"]));
    assert_eq!(slow["seconds"], 12.0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_is_told_and_counted_once() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let lines = logged(async {
        let call = serve("CreateVolume", 60, Code::Ok);
        tokio::time::timeout(Duration::from_secs(3), call).await.unwrap_err();
    })
    .await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["code"], &line["span"]["volume"]), (&"Cancelled".into(), &VOLUME.into()), "{line}");
    let told = recorder.handle().render();
    let count = "cinder_csi_rpc_duration_seconds_count{method=\"CreateVolume\",code=\"Cancelled\"} 1";
    assert!(told.contains(count), "{told}");
}

#[test]
fn only_a_slow_rpc_tells_its_parts_and_only_those_to_look_at() {
    let mut cloud = Record::default();
    cloud.requests = vec!["req-1".into(), "req-2".into()];
    let cost = Cost { took: Duration::from_secs(40), cloud, phases: Phases::default() };
    assert_eq!(cost.spent("CreateVolume").unwrap(), "states 40.0 s");
    assert_eq!(cost.requests().unwrap(), "req-1 req-2");
    assert_eq!(Cost { took: Duration::from_secs(9), ..cost }.spent("CreateVolume"), None);
}

//! What a cloud answers, over the Http seam: one of its services answers what the fuzzer thinks of, the others are well.
//!
//! The answers of one history stand one after the other, each from a line `%%` to the next: a status and headers on lines of
//! their own, an empty line, the body. An answer that doesn't begin with a status is a body alone. The last one stays.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type, VolumeSource};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::Http;
use http::{Response, StatusCode};
use prost::Message;
use serde_json::{Value, json};

use super::driver::{Driver, SERVER};
use super::machine::{Machine, VOLUME};
use super::requests::RPCS;
use super::run;

const SNAPSHOT: &str = "0a5d1f3e-8c11-4f1c-b1d5-0f2f3c4d5e6f";
const GIB: i64 = 1 << 30;

/// No RPC asks the cloud more often, whatever it answers.
const MOST_CALLS: usize = 1200;

/// Who answers badly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Keystone,
    Cinder,
    Nova,
}

/// A cloud, and how often it was asked.
#[derive(Clone)]
struct Cloud {
    sick: Service,
    /// The sick service's documents of versions, too.
    and_versions: bool,
    answers: Vec<Answer>,
    asked: Arc<Mutex<Asked>>,
}

#[derive(Default)]
struct Asked {
    all: usize,
    sick: usize,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Bytes,
}

pub fn keystone(data: &[u8]) {
    let answers = script(data, &[("X-Subject-Token", "token")]);
    ask(Cloud::new(Service::Keystone, answers), "Controller/ControllerGetVolume", message(16));
}

/// The RPC, then the answers.
pub fn cinder(data: &[u8]) {
    of_service(Service::Cinder, data);
}

/// As `cinder`.
pub fn nova(data: &[u8]) {
    of_service(Service::Nova, data);
}

/// Bodies of errors. The service and the RPC, the status, then the body.
pub fn fault(data: &[u8]) {
    let [which, status, body @ ..] = data else { return };
    let status = StatusCode::from_u16(300 + u16::from(*status)).unwrap_or(StatusCode::BAD_REQUEST);
    let sick = [Service::Keystone, Service::Cinder, Service::Nova][usize::from(which >> 6) % 3];
    let headers = vec![("X-Openstack-Request-Id".to_owned(), "req-1".to_owned())];
    let answer = Answer { status, headers, body: Bytes::copy_from_slice(body) };
    let (rpc, message) = request(*which);
    ask(Cloud::new(sick, vec![answer]), rpc, message);
}

/// One link on each line, which one page after the other has.
pub fn next_link(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let page = |href: &str| {
        let links = json!([{"rel": "next", "href": href}]);
        let body = json!({"volumes": [volume("available")], "volumes_links": links});
        Answer { status: StatusCode::OK, headers: Vec::new(), body: body.to_string().into() }
    };
    let pages: Vec<_> = text.lines().map(page).collect();
    for rpc in [3, 8] {
        // Around and around: a list that never ends.
        let pages = pages.iter().cycle().take(if pages.is_empty() { 0 } else { 2 * MOST_CALLS });
        let (rpc, message) = request(rpc);
        ask(Cloud::new(Service::Cinder, pages.cloned().collect()), rpc, message);
    }
}

fn of_service(sick: Service, data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let cloud = Cloud::new(sick, script(rest, &[]));
    let (rpc, message) = request(*which);
    ask(Cloud { and_versions: which & 0x80 != 0, ..cloud }, rpc, message);
}

fn ask(cloud: Cloud, rpc: &str, message: Vec<u8>) {
    run(async {
        let driver = Driver::new(cloud.http(), Machine::default());
        let _ = driver.call(rpc, &message).await;
    });
}

fn script(text: &[u8], headers: &[(&str, &str)]) -> Vec<Answer> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let mut answers = vec![Vec::new()];
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match answers.last_mut() {
            Some(last) if line != b"%%\n" => last.extend(line),
            _ => answers.push(Vec::new()),
        }
    }
    answers.iter().map(|answer| Answer::parse(answer, &headers)).collect()
}

impl Answer {
    fn parse(text: &[u8], headers: &[(String, String)]) -> Self {
        let whole =
            Self { status: StatusCode::OK, headers: headers.to_vec(), body: Bytes::copy_from_slice(text) };
        let Some(status) = text.get(..3).and_then(|word| StatusCode::from_bytes(word).ok()) else {
            return whole;
        };
        let end = text.windows(2).position(|two| two == b"\n\n").unwrap_or(text.len());
        let head = String::from_utf8_lossy(&text[..end]);
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = Bytes::copy_from_slice(text.get(end + 2..).unwrap_or_default());
        Self { status, headers, body }
    }

    fn json(status: u16, body: &Value) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, headers: Vec::new(), body: body.to_string().into() }
    }

    fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl Cloud {
    fn new(sick: Service, answers: Vec<Answer>) -> Self {
        Self { sick, and_versions: false, answers, asked: Arc::default() }
    }

    fn http(&self) -> Http {
        let cloud = self.clone();
        Http::new(tower::service_fn(move |request: http::Request<Bytes>| {
            std::future::ready(Ok::<_, io::Error>(cloud.answer(&request).response()))
        }))
    }

    fn answer(&self, request: &http::Request<Bytes>) -> Answer {
        let mut asked = self.asked.lock().expect("no panic before");
        asked.all += 1;
        assert!(asked.all <= MOST_CALLS, "asked {} times in one RPC, now for {}", asked.all, request.uri());
        let path = request.uri().path();
        let service = match path {
            _ if path.starts_with("/volume/") => Service::Cinder,
            _ if path.starts_with("/compute/") => Service::Nova,
            _ => Service::Keystone,
        };
        let of_versions = ["/volume/v3/", "/compute/v2.1/"].contains(&path);
        if service != self.sick || (of_versions && !self.and_versions) {
            return well(request.method().as_str(), path);
        }
        let answer = self.answers.get(asked.sick).or(self.answers.last());
        asked.sick += 1;
        answer.cloned().unwrap_or_else(|| Answer::json(200, &Value::Null))
    }
}

/// What a cloud answers that is well.
fn well(method: &str, path: &str) -> Answer {
    match (method, path) {
        ("POST", "/identity/v3/auth/tokens") => {
            let headers = vec![("X-Subject-Token".to_owned(), "token".to_owned())];
            Answer { headers, ..Answer::json(201, &token()) }
        }
        (_, "/volume/v3/") => {
            let version = json!({"id": "v3.0", "version": "3.71", "min_version": "3.0"});
            Answer::json(200, &json!({"versions": [version]}))
        }
        (_, "/compute/v2.1/") => {
            Answer::json(200, &json!({"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}}))
        }
        ("GET", path) if path.ends_with("/detail") => Answer::json(200, &json!({"volumes": []})),
        ("GET", path) if path.ends_with(VOLUME) && path.starts_with("/volume/") => {
            Answer::json(200, &json!({"volume": volume("available")}))
        }
        ("GET", _) => Answer::json(404, &json!({"itemNotFound": {"message": "It could not be found."}})),
        _ => Answer::json(202, &json!({"volume": volume("creating")})),
    }
}

fn token() -> Value {
    let endpoint = |url: &str| json!([{"interface": "public", "region_id": "RegionOne", "url": url}]);
    json!({"token": {
        "expires_at": "2100-01-01T01:00:00.000000Z",
        "issued_at": "2100-01-01T00:00:00.000000Z",
        "project": {"id": "p"},
        "catalog": [
            {"type": "compute", "endpoints": endpoint("http://cloud.test/compute/v2.1")},
            {"type": "block-storage", "endpoints": endpoint("http://cloud.test/volume/v3/p")},
        ]
    }})
}

fn volume(status: &str) -> Value {
    json!({"id": VOLUME, "name": "pvc-1", "status": status, "size": 1, "availability_zone": "az1"})
}

fn request(which: u8) -> (&'static str, Vec<u8>) {
    let which = usize::from(which & 0x3f) % RPCS.len();
    let create = RPCS[3];
    (if which < 2 { create } else { RPCS[which] }, message(which))
}

/// A well-formed message for an RPC of the controller.
fn message(rpc: usize) -> Vec<u8> {
    let (volume_id, node_id) = (VOLUME.to_owned(), SERVER.to_owned());
    let range = CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 };
    let create = CreateVolumeRequest {
        name: "pvc-1".to_owned(),
        capacity_range: Some(range),
        volume_capabilities: vec![capability()],
        ..Default::default()
    };
    let from = |source| VolumeContentSource { r#type: Some(source) };
    match rpc {
        3 => create.encode_to_vec(),
        // Identity asks no cloud: its first two places are for more kinds of CreateVolume.
        0 => {
            let source = Type::Snapshot(SnapshotSource { snapshot_id: SNAPSHOT.to_owned() });
            CreateVolumeRequest { volume_content_source: Some(from(source)), ..create }.encode_to_vec()
        }
        1 => {
            let source = Type::Volume(VolumeSource { volume_id });
            CreateVolumeRequest { volume_content_source: Some(from(source)), ..create }.encode_to_vec()
        }
        4 => DeleteVolumeRequest { volume_id, ..Default::default() }.encode_to_vec(),
        5 => {
            let volume_capability = Some(capability());
            ControllerPublishVolumeRequest { volume_id, node_id, volume_capability, ..Default::default() }
                .encode_to_vec()
        }
        6 => ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() }.encode_to_vec(),
        7 => {
            let volume_capabilities = vec![capability()];
            ValidateVolumeCapabilitiesRequest { volume_id, volume_capabilities, ..Default::default() }
                .encode_to_vec()
        }
        11 => {
            let name = "snapshot-1".to_owned();
            CreateSnapshotRequest { source_volume_id: volume_id, name, ..Default::default() }.encode_to_vec()
        }
        12 => {
            DeleteSnapshotRequest { snapshot_id: SNAPSHOT.to_owned(), ..Default::default() }.encode_to_vec()
        }
        14 => GetSnapshotRequest { snapshot_id: SNAPSHOT.to_owned(), ..Default::default() }.encode_to_vec(),
        15 => ControllerExpandVolumeRequest { volume_id, capacity_range: Some(range), ..Default::default() }
            .encode_to_vec(),
        16 => ControllerGetVolumeRequest { volume_id }.encode_to_vec(),
        17 => {
            let mutable_parameters = [("type".to_owned(), "fast".to_owned())].into();
            ControllerModifyVolumeRequest { volume_id, mutable_parameters, ..Default::default() }
                .encode_to_vec()
        }
        18 => ControllerGetVolumeHealthRequest { volume_id, ..Default::default() }.encode_to_vec(),
        21 => {
            let name = "group-1".to_owned();
            let source_volume_ids = vec![volume_id];
            CreateVolumeGroupSnapshotRequest { name, source_volume_ids, ..Default::default() }.encode_to_vec()
        }
        22 => {
            let group_snapshot_id = SNAPSHOT.to_owned();
            DeleteVolumeGroupSnapshotRequest { group_snapshot_id, ..Default::default() }.encode_to_vec()
        }
        23 => {
            let group_snapshot_id = SNAPSHOT.to_owned();
            GetVolumeGroupSnapshotRequest { group_snapshot_id, ..Default::default() }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

fn capability() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Mount(MountVolume::default())),
    }
}

//! Every class in the docs is taken by a driver that refuses parameters which nobody knows.

use std::collections::HashMap;
use std::net::SocketAddr;

use cinder_csi::csi::proto::group_controller_client::GroupControllerClient;
use cinder_csi::csi::proto::volume_capability::MountVolume;
use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Served, Settings, SimulatedCloud};
use serde_json::{Value, json};
use tonic::{Code, Request, Status};

use super::pages::{Manifest, every_manifest};
use super::{AccessMode, AccessType, Bed, Driver, Mode, PASSWORD, PATIENCE, conf};

const ZONE: &str = "topology.cinder.csi.openstack.org/zone";
/// What the sidecars read themselves, and take out.
const SIDECARS: &str = "csi.storage.k8s.io/";

type Parameters = HashMap<String, String>;

/// A strict driver of a cloud that has what the docs name.
struct Stand {
    _cloud: SimulatedCloud,
    _served: Served,
    _bed: Bed,
    driver: Driver,
    /// Of the cloud's default type.
    volume: String,
}

impl Stand {
    async fn new() -> Self {
        let cloud = SimulatedCloud::new(Settings {
            zones: ["az1", "ceph"].map(str::to_owned).into(),
            more_types: [("fast", false), ("gold", false), ("multiattach", true)]
                .map(|(name, multiattach)| (name.to_owned(), multiattach))
                .into(),
            group_types: vec!["consistent".to_owned()],
            consistent_group_types: None,
            ..Settings::default()
        });
        let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let bed = Bed::new();
        let address = SocketAddr::from(([127, 0, 0, 1], served.port()));
        bed.write_conf(&conf(address, PASSWORD).replace("[Global]", "[Global \"east\"]"));
        let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
        let flags = [&file, "--cloud-name=east", "--provide-node-service=false", "--strict-parameters"];
        let driver = bed.start(&flags).await;
        let volume = driver.create(PATIENCE).await.unwrap();
        Self { _cloud: cloud, _served: served, _bed: bed, driver, volume }
    }

    /// What the class is for, with its parameters.
    async fn call(&self, class: &Class) -> Result<(), Status> {
        match class.kind.as_str() {
            "StorageClass" => self.create_volume(class).await,
            "VolumeAttributesClass" => self.modify(class).await,
            "VolumeSnapshotClass" => self.create_snapshot(class).await,
            "VolumeGroupSnapshotClass" => self.create_group_snapshot(class).await,
            kind => panic!("{kind} is no class"),
        }
    }

    async fn create_volume(&self, class: &Class) -> Result<(), Status> {
        self.create(CreateVolumeRequest { parameters: class.parameters.clone(), ..class.volume() }).await
    }

    /// Kubernetes hands the same parameters to both RPCs.
    async fn modify(&self, class: &Class) -> Result<(), Status> {
        let mutable_parameters = class.parameters.clone();
        self.create(CreateVolumeRequest { mutable_parameters, ..class.volume() }).await?;
        let request = ControllerModifyVolumeRequest {
            volume_id: self.volume.clone(),
            mutable_parameters: class.parameters.clone(),
            ..Default::default()
        };
        self.driver.controller().controller_modify_volume(patient(request)).await.map(drop)
    }

    async fn create(&self, request: CreateVolumeRequest) -> Result<(), Status> {
        self.driver.controller().create_volume(patient(request)).await.map(drop)
    }

    async fn create_snapshot(&self, class: &Class) -> Result<(), Status> {
        let request = CreateSnapshotRequest {
            name: class.place.clone(),
            source_volume_id: self.volume.clone(),
            parameters: class.parameters.clone(),
            ..Default::default()
        };
        self.driver.controller().create_snapshot(patient(request)).await.map(drop)
    }

    async fn create_group_snapshot(&self, class: &Class) -> Result<(), Status> {
        let request = CreateVolumeGroupSnapshotRequest {
            name: class.place.clone(),
            source_volume_ids: vec![self.volume.clone()],
            parameters: class.parameters.clone(),
            ..Default::default()
        };
        let mut groups = GroupControllerClient::new(self.driver.channel.clone());
        groups.create_volume_group_snapshot(patient(request)).await.map(drop)
    }
}

fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// A class as its sidecar hands it on.
#[derive(Clone, Debug)]
struct Class {
    place: String,
    kind: String,
    parameters: Parameters,
    fs_type: String,
    secrets: HashMap<String, String>,
    zones: Vec<String>,
}

impl Class {
    fn read(manifest: &Manifest, all: &[Manifest]) -> Self {
        let name = manifest.object["metadata"]["name"].as_str().unwrap();
        let place = format!("{} {name}", manifest.place);
        let all_of = strings(&manifest.object["parameters"]);
        let (own, parameters): (Parameters, Parameters) =
            all_of.into_iter().partition(|(key, _)| key.starts_with(SIDECARS));
        for key in own.keys() {
            assert!(is_known_to_a_sidecar(key), "{place}: no sidecar takes {key}");
        }
        let of = |key: &str| own.get(&format!("{SIDECARS}{key}")).cloned().unwrap_or_default();
        Self {
            kind: manifest.text("kind").to_owned(),
            parameters,
            fs_type: of("fstype"),
            secrets: secret(all, &of("provisioner-secret-name")),
            zones: zones(&manifest.object["allowedTopologies"]),
            place,
        }
    }

    /// A claim of this class, without the class's parameters.
    fn volume(&self) -> CreateVolumeRequest {
        let mount = MountVolume { fs_type: self.fs_type.clone(), ..Default::default() };
        let capability = VolumeCapability {
            access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
            access_type: Some(AccessType::Mount(mount)),
        };
        let segment = |zone: &String| Topology { segments: [(ZONE.to_owned(), zone.clone())].into() };
        let terms: Vec<_> = self.zones.iter().map(segment).collect();
        CreateVolumeRequest {
            name: self.place.clone(),
            volume_capabilities: vec![capability],
            secrets: self.secrets.clone(),
            accessibility_requirements: Some(TopologyRequirement {
                requisite: terms.clone(),
                preferred: terms,
            }),
            ..Default::default()
        }
    }
}

/// <https://kubernetes-csi.github.io/docs/secrets-and-credentials-storage-class.html>
fn is_known_to_a_sidecar(key: &str) -> bool {
    let key = key.strip_prefix(SIDECARS).unwrap();
    let secret = key.strip_suffix("-secret-name").or_else(|| key.strip_suffix("-secret-namespace"));
    let known = ["provisioner", "controller-publish", "controller-expand", "node-stage", "node-publish"];
    key == "fstype" || secret.is_some_and(|of| known.contains(&of))
}

/// An API server takes texts only.
fn strings(map: &Value) -> Parameters {
    let fields = map.as_object().into_iter().flatten();
    fields.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn secret(all: &[Manifest], name: &str) -> HashMap<String, String> {
    let is_it = |one: &&Manifest| one.text("kind") == "Secret" && one.object["metadata"]["name"] == name;
    all.iter().find(is_it).map(|secret| strings(&secret.object["stringData"])).unwrap_or_default()
}

/// Where the claim's Pod may be: without a word, in the zone that the docs mostly name.
fn zones(allowed: &Value) -> Vec<String> {
    let Some(expression) = allowed.pointer("/0/matchLabelExpressions/0") else {
        return vec!["az1".to_owned()];
    };
    assert_eq!(expression["key"], ZONE);
    serde_json::from_value(expression["values"].clone()).unwrap()
}

fn classes(all: &[Manifest]) -> Vec<Class> {
    let classes = all.iter().filter(|one| one.object["parameters"].is_object());
    classes.map(|one| Class::read(one, all)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_driver_takes_every_class_of_the_docs() {
    let (stand, all) = (Stand::new().await, every_manifest());
    let classes = classes(&all);
    let mut wrong = Vec::new();
    for class in &classes {
        if let Err(status) = stand.call(class).await {
            wrong.push(format!("{} {}: {:?} {}", class.kind, class.place, status.code(), status.message()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["StorageClass", "VolumeAttributesClass", "VolumeSnapshotClass", "VolumeGroupSnapshotClass"] {
        assert!(classes.iter().any(|class| class.kind == kind), "the docs show no {kind} with parameters");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_driver_refuses_each_of_them_with_a_parameter_more() {
    let (stand, all) = (Stand::new().await, every_manifest());
    for mut class in classes(&all) {
        class.parameters.insert("typ".to_owned(), "fast".to_owned());
        let status = stand.call(&class).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{class:?}: {status}");
        assert!(status.message().contains("parameters.typ"), "{class:?}: {status}");
    }
}

#[test]
fn a_class_is_read_as_its_sidecar_hands_it_on() {
    let object = |object: Value| Manifest { place: "page:1".to_owned(), object };
    let class = object(json!({"kind": "StorageClass", "metadata": {"name": "c"},
        "parameters": {"type": "fast", "csi.storage.k8s.io/fstype": "xfs",
            "csi.storage.k8s.io/provisioner-secret-name": "s"},
        "allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": ["a", "b"]}]}]}));
    let secret =
        object(json!({"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"cloud": "east"}}));
    let read = Class::read(&class, &[secret]);
    assert_eq!(read.parameters, [("type".to_owned(), "fast".to_owned())].into());
    assert_eq!((read.fs_type.as_str(), read.secrets["cloud"].as_str()), ("xfs", "east"));
    assert_eq!(read.zones, ["a", "b"]);
    assert!(!is_known_to_a_sidecar("csi.storage.k8s.io/fstyp"));
}

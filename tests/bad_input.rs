//! Malformed requests, through the real server on a real socket: the code, the field, and not one call to the cloud.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "bed/figures.rs"]
mod figures;
#[path = "bad_input/requests.rs"]
mod requests;

use bed::{Bed, printed};
use cinder_csi::csi::proto::volume_capability::AccessMode;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::Settings;
use cinder_csi::volume::Wanted;
use driver::Driver;
use requests::*;
use tonic::{Code, Status};

const GIB: i64 = 1 << 30;
const VOLUME: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
const SERVER: &str = "565a704c-1cc8-4653-af53-6e8bc1dc4022";

struct Stand {
    bed: Bed,
    driver: Driver,
}

impl Stand {
    async fn new() -> Self {
        let bed = Bed::new(Settings::default());
        let driver = Driver::on_socket(bed.volumes.clone()).await;
        Self { bed, driver }
    }

    fn refused<T: std::fmt::Debug>(&self, answer: Result<T, Status>, what: &str, code: Code, field: &str) {
        let status = answer.err().unwrap_or_else(|| panic!("{what}: was served"));
        assert_eq!(status.code(), code, "{what}: {}", status.message());
        assert!(status.message().contains(field), "{what}: {:?} names no {field}", status.message());
        let calls = self.bed.calls();
        assert!(calls.is_empty(), "{what}:\n{}", printed(&calls));
        figures::count("bad input: requests refused", 1);
    }
}

#[tokio::test]
async fn create_volume_names_the_bad_field() {
    let stand = Stand::new().await;
    let mut bad = Vec::new();
    for (what, name) in bad_texts() {
        bad.push((what, CreateVolumeRequest { name, ..create() }, Code::InvalidArgument, "name"));
    }
    for (what, capability, field) in bad_capabilities() {
        let volume_capabilities = capability.into_iter().collect();
        bad.push((
            what,
            CreateVolumeRequest { volume_capabilities, ..create() },
            Code::InvalidArgument,
            field,
        ));
    }
    for (what, range, code, field) in bad_ranges() {
        bad.push((what, CreateVolumeRequest { capacity_range: Some(range), ..create() }, code, field));
    }
    let long = format!("{{\"key\": \"{}\"}}", "x".repeat(256));
    for json in ["[]", "{", "{\"key\": 1}", "{\"cinder.csi.openstack.org/cluster\": \"mine\"}", &long] {
        let parameters = map(&[("appendVolumeMetadata", json)]);
        let request = CreateVolumeRequest { parameters, ..create() };
        bad.push(("metadata", request, Code::InvalidArgument, "parameters.appendVolumeMetadata"));
    }
    let secrets = map(&[("cloud", "elsewhere")]);
    bad.push((
        "a cloud",
        CreateVolumeRequest { secrets, ..create() },
        Code::InvalidArgument,
        "secrets.cloud",
    ));
    for (parameter, value) in bad_parameters() {
        let request = CreateVolumeRequest { parameters: map(&[(parameter, value)]), ..create() };
        bad.push((parameter, request, Code::InvalidArgument, parameter));
    }
    for (what, source, code, field) in bad_sources() {
        let request = CreateVolumeRequest { volume_content_source: Some(source), ..create() };
        bad.push((what, request, code, field));
    }
    let volume_capabilities = vec![VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::MultiNodeMultiWriter as i32 }),
        ..mounted("ext4", &[])
    }];
    let request = CreateVolumeRequest { volume_capabilities, ..create() };
    bad.push(("a file system on many nodes", request, Code::InvalidArgument, "volume_capabilities"));
    let request = CreateVolumeRequest { mutable_parameters: map(&[("a", "b")]), ..create() };
    bad.push(("mutable", request, Code::InvalidArgument, "mutable_parameters"));
    for (what, request, code, field) in bad {
        stand.refused(stand.driver.controller().create_volume(request).await, what, code, field);
    }
}

#[tokio::test]
async fn the_other_controller_calls_name_the_bad_field() {
    let stand = Stand::new().await;
    let mut controller = stand.driver.controller();
    let invalid = Code::InvalidArgument;
    for (what, id) in bad_texts() {
        let volume_id = id.clone();
        let answer = controller.delete_volume(DeleteVolumeRequest { volume_id, ..Default::default() }).await;
        stand.refused(answer, what, invalid, "volume_id");
        for (volume_id, node_id, field) in
            [(id.clone(), SERVER.to_owned(), "volume_id"), (VOLUME.to_owned(), id.clone(), "node_id")]
        {
            let request = ControllerUnpublishVolumeRequest {
                volume_id: volume_id.clone(),
                node_id: node_id.clone(),
                ..Default::default()
            };
            stand.refused(controller.controller_unpublish_volume(request).await, what, invalid, field);
            let request = ControllerPublishVolumeRequest { volume_id, node_id, ..publish() };
            stand.refused(controller.controller_publish_volume(request).await, what, invalid, field);
        }
        let request = ControllerExpandVolumeRequest { volume_id: id.clone(), ..expand() };
        stand.refused(controller.controller_expand_volume(request).await, what, invalid, "volume_id");
        let request = ValidateVolumeCapabilitiesRequest { volume_id: id.clone(), ..validate() };
        stand.refused(controller.validate_volume_capabilities(request).await, what, invalid, "volume_id");
        let request = ControllerModifyVolumeRequest { volume_id: id.clone(), ..Default::default() };
        stand.refused(controller.controller_modify_volume(request).await, what, invalid, "volume_id");
        let request = ControllerGetVolumeRequest { volume_id: id };
        stand.refused(controller.controller_get_volume(request).await, what, invalid, "volume_id");
    }
    for (what, range, code, field) in bad_ranges() {
        let request = ControllerExpandVolumeRequest { capacity_range: Some(range), ..expand() };
        stand.refused(controller.controller_expand_volume(request).await, what, code, field);
    }
    for capacity_range in [None, Some(CapacityRange::default())] {
        let request = ControllerExpandVolumeRequest { capacity_range, ..expand() };
        let answer = controller.controller_expand_volume(request).await;
        stand.refused(answer, "no range", invalid, "capacity_range");
    }
    let answer = controller.list_volumes(ListVolumesRequest { max_entries: -1, ..Default::default() }).await;
    stand.refused(answer, "a negative page", invalid, "max_entries");
    let starting_token = "none of ours".to_owned();
    let answer = controller.list_volumes(ListVolumesRequest { starting_token, ..Default::default() }).await;
    stand.refused(answer, "a foreign token", Code::Aborted, "starting_token");
}

#[tokio::test]
async fn a_bad_capability_is_named_wherever_one_is_taken() {
    let stand = Stand::new().await;
    for (what, capability, field) in bad_capabilities() {
        let invalid = Code::InvalidArgument;
        let volume_capability = capability.clone();
        let request = ControllerPublishVolumeRequest { volume_capability, ..publish() };
        let answer = stand.driver.controller().controller_publish_volume(request).await;
        stand.refused(answer, what, invalid, field);
        let volume_capabilities: Vec<_> = capability.clone().into_iter().collect();
        let asked =
            GetCapacityRequest { volume_capabilities: volume_capabilities.clone(), ..Default::default() };
        let request = ValidateVolumeCapabilitiesRequest { volume_capabilities, ..validate() };
        let answer = stand.driver.controller().validate_volume_capabilities(request).await;
        stand.refused(answer, what, invalid, field);
        // Without any it asks about them all.
        if !asked.volume_capabilities.is_empty() {
            stand.refused(stand.driver.controller().get_capacity(asked).await, what, invalid, field);
        }
        let request = NodeStageVolumeRequest { volume_capability: capability.clone(), ..stage() };
        stand.refused(stand.driver.node().node_stage_volume(request).await, what, invalid, field);
        let request = NodePublishVolumeRequest { volume_capability: capability, ..node_publish() };
        stand.refused(stand.driver.node().node_publish_volume(request).await, what, invalid, field);
    }
}

#[tokio::test]
async fn the_node_names_the_bad_field() {
    let stand = Stand::new().await;
    let mut node = stand.driver.node();
    let invalid = Code::InvalidArgument;
    let target = || "/nowhere/target".to_owned();
    for (what, id) in bad_texts() {
        let volume_id = || id.clone();
        let request = NodeStageVolumeRequest { volume_id: volume_id(), ..stage() };
        stand.refused(node.node_stage_volume(request).await, what, invalid, "volume_id");
        let request = NodeUnstageVolumeRequest { volume_id: volume_id(), staging_target_path: target() };
        stand.refused(node.node_unstage_volume(request).await, what, invalid, "volume_id");
        let request = NodePublishVolumeRequest { volume_id: volume_id(), ..node_publish() };
        stand.refused(node.node_publish_volume(request).await, what, invalid, "volume_id");
        let request = NodeUnpublishVolumeRequest { volume_id: volume_id(), target_path: target() };
        stand.refused(node.node_unpublish_volume(request).await, what, invalid, "volume_id");
        let request =
            NodeGetVolumeStatsRequest { volume_id: volume_id(), volume_path: target(), ..Default::default() };
        stand.refused(node.node_get_volume_stats(request).await, what, invalid, "volume_id");
        let request =
            NodeExpandVolumeRequest { volume_id: volume_id(), volume_path: target(), ..Default::default() };
        stand.refused(node.node_expand_volume(request).await, what, invalid, "volume_id");
    }
    for (what, path) in bad_paths() {
        let volume_id = || VOLUME.to_owned();
        let request = NodeStageVolumeRequest { staging_target_path: path.clone(), ..stage() };
        stand.refused(node.node_stage_volume(request).await, what, invalid, "staging_target_path");
        let request = NodeUnstageVolumeRequest { volume_id: volume_id(), staging_target_path: path.clone() };
        stand.refused(node.node_unstage_volume(request).await, what, invalid, "staging_target_path");
        let request = NodePublishVolumeRequest { target_path: path.clone(), ..node_publish() };
        stand.refused(node.node_publish_volume(request).await, what, invalid, "target_path");
        let request = NodePublishVolumeRequest { staging_target_path: path.clone(), ..node_publish() };
        let code = if path.is_empty() { Code::FailedPrecondition } else { invalid };
        stand.refused(node.node_publish_volume(request).await, what, code, "staging_target_path");
        let request = NodeUnpublishVolumeRequest { volume_id: volume_id(), target_path: path.clone() };
        stand.refused(node.node_unpublish_volume(request).await, what, invalid, "target_path");
        // No volume is at a relative path, nor at the root: csi-sanity asks for NOT_FOUND there.
        if !["relative", "the root"].contains(&what) {
            let volume_path = || path.clone();
            let request = NodeGetVolumeStatsRequest {
                volume_id: volume_id(),
                volume_path: volume_path(),
                ..Default::default()
            };
            stand.refused(node.node_get_volume_stats(request).await, what, invalid, "volume_path");
            let request = NodeExpandVolumeRequest {
                volume_id: volume_id(),
                volume_path: volume_path(),
                ..Default::default()
            };
            stand.refused(node.node_expand_volume(request).await, what, invalid, "volume_path");
        }
    }
}

#[tokio::test]
async fn a_bad_context_or_range_is_named_by_the_node() {
    let stand = Stand::new().await;
    let mut node = stand.driver.node();
    for (key, value) in [("size", "large"), ("size", "-1"), ("encrypted", "perhaps")] {
        let publish_context = map(&[(key, value)]);
        let field = format!("publish_context.{key}");
        let request = NodeStageVolumeRequest { publish_context: publish_context.clone(), ..stage() };
        stand.refused(node.node_stage_volume(request).await, value, Code::InvalidArgument, &field);
        let request = NodePublishVolumeRequest { publish_context, ..node_publish() };
        stand.refused(node.node_publish_volume(request).await, value, Code::InvalidArgument, &field);
    }
    for (required_bytes, limit_bytes) in [(-1, 0), (0, -1), (2, 1)] {
        let request = NodeExpandVolumeRequest {
            volume_id: VOLUME.to_owned(),
            volume_path: "/nowhere/target".to_owned(),
            capacity_range: Some(CapacityRange { required_bytes, limit_bytes }),
            ..Default::default()
        };
        let answer = node.node_expand_volume(request).await;
        stand.refused(answer, "a range", Code::InvalidArgument, "capacity_range");
    }
}

#[tokio::test]
async fn an_id_that_no_cloud_gives_is_unknown_without_asking_one() {
    let stand = Stand::new().await;
    let mut controller = stand.driver.controller();
    for volume_id in ["reallyfakevolumeid", "x", "6F1F0C66", "../../etc/passwd", "é"] {
        let id = || volume_id.to_owned();
        let unknown = Code::NotFound;
        let answer = controller
            .controller_publish_volume(ControllerPublishVolumeRequest { volume_id: id(), ..publish() });
        stand.refused(answer.await, volume_id, unknown, "volume");
        let answer = controller
            .controller_expand_volume(ControllerExpandVolumeRequest { volume_id: id(), ..expand() });
        stand.refused(answer.await, volume_id, unknown, "volume");
        let request = ValidateVolumeCapabilitiesRequest { volume_id: id(), ..validate() };
        stand.refused(controller.validate_volume_capabilities(request).await, volume_id, unknown, "volume");
        let answer = controller.controller_get_volume(ControllerGetVolumeRequest { volume_id: id() }).await;
        stand.refused(answer, volume_id, unknown, "volume");
        controller
            .delete_volume(DeleteVolumeRequest { volume_id: id(), ..Default::default() })
            .await
            .unwrap();
        for (volume_id, node_id) in [(id(), SERVER.to_owned()), (VOLUME.to_owned(), id())] {
            let request = ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
            controller.controller_unpublish_volume(request).await.unwrap();
        }
        assert!(stand.bed.calls().is_empty());
    }
}

#[tokio::test]
async fn an_id_that_the_cloud_does_not_know_is_unknown() {
    let stand = Stand::new().await;
    let mut controller = stand.driver.controller();
    let unknown = |answer: Option<Status>| {
        let status = answer.unwrap();
        assert_eq!(status.code(), Code::NotFound, "{}", status.message());
        assert!(status.message().contains(VOLUME), "{}", status.message());
    };
    unknown(controller.controller_publish_volume(publish()).await.err());
    unknown(controller.controller_expand_volume(expand()).await.err());
    unknown(controller.validate_volume_capabilities(validate()).await.err());
    unknown(
        controller
            .controller_get_volume(ControllerGetVolumeRequest { volume_id: VOLUME.to_owned() })
            .await
            .err(),
    );
    let volume_id = VOLUME.to_owned();
    controller.delete_volume(DeleteVolumeRequest { volume_id, ..Default::default() }).await.unwrap();
    let (volume_id, node_id) = (VOLUME.to_owned(), SERVER.to_owned());
    let request = ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
    controller.controller_unpublish_volume(request).await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_no_server_is_said_to_be_none() {
    let stand = Stand::new().await;
    let volume = stand.bed.volumes.ensure_created(&bed::wanted("pvc-1")).await.unwrap().id.to_string();
    for node_id in [SERVER, "worker-1.example.org"] {
        let request = ControllerPublishVolumeRequest {
            volume_id: volume.clone(),
            node_id: node_id.to_owned(),
            ..publish()
        };
        let status = stand.driver.controller().controller_publish_volume(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{}", status.message());
        let message = status.message();
        assert!(message.contains("server") && message.contains(node_id), "{message}");
    }
}

#[tokio::test]
async fn a_volume_that_is_larger_than_the_limit_is_out_of_range() {
    let stand = Stand::new().await;
    let wanted = Wanted { size: 3, ..bed::wanted("pvc-1") };
    let volume_id = stand.bed.volumes.ensure_created(&wanted).await.unwrap().id.to_string();
    stand.bed.calls();
    for (required, limit, expected) in
        [(1, 2, None), (0, 2, None), (0, 3, Some(3)), (2, 5, Some(3)), (3, 3, Some(3)), (0, 5, Some(3))]
    {
        let range = CapacityRange { required_bytes: required * GIB, limit_bytes: limit * GIB };
        let volume_id = volume_id.clone();
        let request = ControllerExpandVolumeRequest { volume_id, capacity_range: Some(range), ..expand() };
        let answer = stand.driver.controller().controller_expand_volume(request).await;
        let calls = stand.bed.calls();
        assert!(calls.iter().all(|call| call.method == http::Method::GET), "{range:?}:\n{}", printed(&calls));
        match (answer, expected) {
            (Ok(answer), Some(gib)) => assert_eq!(answer.into_inner().capacity_bytes, gib * GIB, "{range:?}"),
            (Err(status), None) => {
                assert_eq!(status.code(), Code::OutOfRange, "{range:?}: {status}");
                assert!(status.message().contains("capacity_range.limit_bytes"), "{range:?}: {status}");
            }
            (answer, _) => panic!("{range:?}: {answer:?}"),
        }
    }
}

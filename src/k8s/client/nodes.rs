//! Nodes, what their CSINodes list, and what is attached to them.

use futures_util::FutureExt;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Kubernetes, is_name};
use crate::k8s::{Listed, Node, Result};

/// Attachments in one answer.
const PAGE: u32 = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct NodeObject {
    metadata: Metadata,
    #[serde(default)]
    spec: NodeSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
    taints: Vec<Taint>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
}

#[derive(Deserialize)]
struct CsiNode {
    spec: CsiNodeSpec,
}

#[derive(Deserialize)]
struct CsiNodeSpec {
    /// Go writes a list without elements as null.
    drivers: Option<Vec<CsiDriver>>,
}

#[derive(Deserialize)]
struct CsiDriver {
    name: String,
    allocatable: Option<Allocatable>,
}

#[derive(Deserialize)]
struct Allocatable {
    count: Option<u32>,
}

#[derive(Deserialize)]
struct Attachments {
    metadata: Metadata,
    items: Vec<Attachment>,
}

#[derive(Deserialize)]
struct Attachment {
    metadata: Metadata,
    spec: AttachmentSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    attacher: String,
    node_name: String,
    source: Source,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    persistent_volume_name: Option<String>,
}

impl Kubernetes {
    pub async fn find_node(&self, name: &str) -> Result<Option<Node>> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = format!("/api/v1/nodes/{name}");
        let found: Option<NodeObject> = self.read(&path, &format!("get Node {name}"), "get on nodes").await?;
        Ok(found.map(|node| Node {
            is_unschedulable: node.spec.unschedulable,
            is_deleted: node.metadata.deletion_timestamp.is_some(),
            taints: node.spec.taints.into_iter().map(|taint| taint.key).collect(),
        }))
    }

    /// What the CSINode of `node` says of `driver`.
    pub async fn find_listed(&self, node: &str, driver: &str) -> Result<Option<Listed>> {
        if !is_name(node) {
            return Ok(None);
        }
        let path = format!("/apis/storage.k8s.io/v1/csinodes/{node}");
        let doing = format!("get CSINode {node}");
        let found: Option<CsiNode> = self.read(&path, &doing, "get on csinodes.storage.k8s.io").await?;
        let drivers = found.and_then(|found| found.spec.drivers).unwrap_or_default();
        let listed = drivers.into_iter().find(|listed| listed.name == driver);
        Ok(listed.map(|listed| Listed { limit: listed.allocatable.and_then(|room| room.count) }))
    }

    /// Removes the taints at these places of the list as it was read, if all of them still have that key. `false`: the
    /// list has changed since, and nothing was removed.
    pub async fn remove_taints(&self, node: &str, key: &str, places: &[usize]) -> Result<bool> {
        let (path, patch) = (format!("/api/v1/nodes/{node}"), patch(key, places));
        let work = self.send(Method::PATCH, &path, "application/json-patch+json", &patch);
        let work = work.map(|answer| match answer {
            // A `test` that failed is a 422, another writer a 409: `jsonPatcher` in
            // https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
            Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => Ok(false),
            answer => answer.map(|()| true),
        });
        self.ask(&format!("remove taint {key} of Node {node}"), "patch on nodes", work).await
    }

    /// The PersistentVolumes that `driver` has attached to `node`, or still has to detach.
    pub async fn list_attached(&self, node: &str, driver: &str) -> Result<Vec<String>> {
        let (mut attached, mut next) = (Vec::new(), String::new());
        loop {
            let mut query = url::form_urlencoded::Serializer::new(format!("limit={PAGE}"));
            if !next.is_empty() {
                query.append_pair("continue", &next);
            }
            let path = format!("/apis/storage.k8s.io/v1/volumeattachments?{}", query.finish());
            let rule = "list on volumeattachments.storage.k8s.io";
            let Some(page) = self.read::<Attachments>(&path, "list VolumeAttachments", rule).await? else {
                return Ok(attached);
            };
            let here = |found: &Attachment| found.spec.attacher == driver && found.spec.node_name == node;
            attached.extend(
                page.items
                    .into_iter()
                    .filter(here)
                    .map(|found| found.spec.source.persistent_volume_name.unwrap_or(found.metadata.name)),
            );
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(attached);
            }
        }
    }
}

/// From the end, so that the places before stay what they were: <https://www.rfc-editor.org/rfc/rfc6902#section-4.2>.
fn patch(key: &str, places: &[usize]) -> Value {
    let step = |place: &usize| {
        let path = format!("/spec/taints/{place}");
        [
            json!({"op": "test", "path": format!("{path}/key"), "value": key}),
            json!({"op": "remove", "path": path}),
        ]
    };
    places.iter().rev().flat_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_removed_from_the_end_and_only_with_their_key() {
        assert_eq!(
            patch("k", &[0, 2]),
            json!([
                {"op": "test", "path": "/spec/taints/2/key", "value": "k"},
                {"op": "remove", "path": "/spec/taints/2"},
                {"op": "test", "path": "/spec/taints/0/key", "value": "k"},
                {"op": "remove", "path": "/spec/taints/0"},
            ])
        );
    }
}

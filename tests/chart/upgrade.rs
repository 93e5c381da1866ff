//! From the existing driver's chart to this one: what can't be changed in a cluster isn't, and what its values say is done.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::helm::{Chart, Variant, objects, rendered, template_set, text};

fn legacy() -> impl Iterator<Item = Variant> {
    Variant::all().into_iter().filter(|variant| variant.name.starts_with("legacy"))
}

fn old() -> Vec<Value> {
    let secret = ["secret.enabled=true", "secret.create=true", "secret.name=cinder-csi-cloud-config"];
    let data = ["secret.data.cloud\\.conf=[Global]"];
    objects(&rendered(template_set(Chart::OLD, &[&secret[..], &data[..]].concat())))
}

/// By kind and name, what an API server lets nobody change.
fn fixed(all: &[Value]) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    for object in all {
        let kind = text(&object["kind"]);
        let spec = &object["spec"];
        let part = match kind {
            "Deployment" | "DaemonSet" => json!({"selector": spec["selector"]}),
            "CSIDriver" => json!({"modes": spec["volumeLifecycleModes"], "attach": spec["attachRequired"]}),
            "ClusterRoleBinding" | "RoleBinding" => json!({"role": object["roleRef"]}),
            "StorageClass" => json!({
                "provisioner": object["provisioner"],
                "parameters": object["parameters"],
                "reclaim": object["reclaimPolicy"],
                // The API server's default.
                "binding": object["volumeBindingMode"].as_str().unwrap_or("Immediate"),
            }),
            "Secret" => json!({"type": object["type"]}),
            "ServiceAccount" | "ClusterRole" => json!({}),
            _ => continue,
        };
        found.insert((kind.to_owned(), text(&object["metadata"]["name"]).to_owned()), part);
    }
    found
}

#[test]
fn what_cannot_be_changed_stays_as_the_existing_chart_made_it() {
    let before = fixed(&old());
    assert_eq!(before.len(), 18, "{:?}", before.keys());
    for variant in legacy() {
        let after = fixed(&variant.objects());
        for ((kind, name), part) in &before {
            // The nodes need no rights any more; and a Secret may not be the chart's.
            let gone = name.starts_with("csi-nodeplugin-") || kind == "Secret" && variant.name == "legacy";
            match after.get(&(kind.clone(), name.clone())) {
                Some(now) => assert_eq!(now, part, "{}: {kind} {name}", variant.name),
                None => assert!(gone, "{}: {kind} {name} is gone", variant.name),
            }
        }
    }
}

#[test]
fn the_kubelet_treats_old_volumes_as_before_unless_it_is_told() {
    for variant in legacy() {
        let spec = variant.find("CSIDriver")["spec"].clone();
        // The API server's defaults, which the existing chart's object has.
        let before = (json!("ReadWriteOnceWithFSType"), json!(false));
        let told = (json!("File"), json!(true));
        let wanted = if variant.name == "legacy-file" { told } else { before };
        assert_eq!((spec["fsGroupPolicy"].clone(), spec["seLinuxMount"].clone()), wanted, "{}", variant.name);
    }
}

#[test]
fn the_pods_of_both_charts_are_selected_by_either() {
    let old = old();
    for variant in legacy() {
        for kind in ["Deployment", "DaemonSet"] {
            let ours = variant.find(kind);
            let theirs = old.iter().find(|object| object["kind"] == kind).unwrap();
            let wanted = theirs["spec"]["selector"]["matchLabels"].as_object().unwrap();
            let labels = &ours["spec"]["template"]["metadata"]["labels"];
            for (key, value) in wanted {
                assert_eq!(&labels[key], value, "{}: {kind}", variant.name);
            }
            assert_eq!(
                ours["spec"]["template"]["spec"]["serviceAccountName"],
                theirs["spec"]["template"]["spec"]["serviceAccount"]
            );
        }
    }
}

#[test]
fn an_old_file_of_values_means_what_it_meant() {
    let variant = Variant::named("legacy-file");
    let has = |kind: &str, container: &str, wanted: &[&str]| {
        let args = variant.args(kind, container);
        for arg in wanted {
            assert!(args.iter().any(|one| one == arg), "{container}: {arg} isn't in {args:?}");
        }
    };
    has(
        "Deployment",
        "cinder-csi-plugin",
        &[
            "-v=4",
            "--cluster=prod-1",
            "--pvc-annotations",
            "--http-endpoint=:8080",
            "--user-agent=prod-1",
            "--cloud-config=/etc/kubernetes/cloud.conf",
        ],
    );
    has("Deployment", "csi-attacher", &["--timeout=5m", "--reconcile-sync=2m"]);
    has(
        "Deployment",
        "csi-provisioner",
        &["--strict-topology", "--extra-create-metadata", "--default-fstype=ext4"],
    );
    has(
        "DaemonSet",
        "cinder-csi-plugin",
        &["--additional-topology=topology.kubernetes.io/region=east", "--user-agent=prod-1"],
    );
    // A flag that is given twice counts as the user gave it.
    let attacher = variant.args("Deployment", "csi-attacher");
    let workers: Vec<_> = attacher.iter().filter(|arg| arg.starts_with("--worker-threads")).collect();
    assert_eq!(workers.last().unwrap().as_str(), "--worker-threads=50");
    let all = variant.objects();
    for (kind, name) in [
        ("StorageClass", "sas"),
        ("VolumeSnapshotClass", "csi-cinder-snapclass"),
        ("PodMonitor", "openstack-cinder-csi-controllerplugin"),
    ] {
        assert!(
            all.iter().any(|object| object["kind"] == kind && object["metadata"]["name"] == name),
            "{kind} {name}"
        );
    }
}

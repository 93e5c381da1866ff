//! The Helm chart: what it renders, what it refuses, and that nothing in it is out of date.
//!
//! `tests/run chart` gets Helm and the schemas. `tests/chart/update` writes the snapshots, the README and the defaults anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "chart/documents.rs"]
mod documents;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/refused.rs"]
mod refused;
#[path = "docs_manifests/schema.rs"]
mod schema;
#[path = "chart/upgrade.rs"]
mod upgrade;

use cinder_csi::cli;
use cinder_csi::config::Fixed;
use serde_json::Value;

use helm::{Chart, Variant, show_only, text};
use refused::NEEDED;
use schema::Schemas;

#[test]
fn helm_lint_finds_nothing_in_any_variant() {
    for variant in Variant::all() {
        variant.lint();
    }
}

#[test]
fn every_variant_renders_as_its_reviewed_snapshot() {
    let mut changed = Vec::new();
    for variant in Variant::all() {
        let place = format!("tests/chart/snapshots/{}.yaml", variant.name);
        changed.extend(documents::differs(&place, &variant.manifest()));
    }
    assert!(changed.is_empty(), "{}: look at `tests/chart/update; git diff`", changed.join(", "));
}

#[test]
fn an_api_server_takes_every_object() {
    let schemas = Schemas::load();
    let mut wrong = Vec::new();
    for variant in Variant::all() {
        for object in variant.objects() {
            let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
            // These come with the Prometheus operator.
            if version.starts_with("monitoring.coreos.com/") {
                continue;
            }
            let errors = schemas.errors(version, kind, &object);
            let name = text(&object["metadata"]["name"]);
            wrong.extend(errors.into_iter().map(|error| format!("{}: {kind} {name}: {error}", variant.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_node_gets_a_secret() {
    for variant in Variant::all() {
        let found = variant.find("DaemonSet");
        let mut spec = found["spec"]["template"]["spec"].clone();
        spec.as_object_mut().unwrap().remove("imagePullSecrets");
        let secrets = mentions(&spec, &["secret", "secretKeyRef", "secretRef", "secretName"]);
        assert!(secrets.is_empty(), "{}: {secrets:?}", variant.name);
        let containers = spec["containers"].as_array().unwrap();
        let all = containers.iter().flat_map(|container| container["env"].as_array().into_iter().flatten());
        let credentials: Vec<_> = all.filter(|variable| text(&variable["name"]).starts_with("OS_")).collect();
        assert!(credentials.is_empty(), "{}: {credentials:?}", variant.name);
        // Nor the directory of the host where the existing driver's credentials may be.
        let volumes = spec["volumes"].as_array().unwrap();
        let paths: Vec<_> = volumes.iter().map(|volume| text(&volume["hostPath"]["path"])).collect();
        assert!(!paths.iter().any(|path| path.starts_with("/etc")), "{}: {paths:?}", variant.name);
        for map in variant.objects().iter().filter(|object| object["kind"] == "ConfigMap") {
            for word in ["[Global", "auth-url", "password"] {
                assert!(!map["data"].to_string().contains(word), "{}: {map}", variant.name);
            }
        }
    }
}

#[test]
fn the_notes_say_the_next_step_and_what_the_old_values_do_no_more() {
    for variant in Variant::all() {
        let notes = variant.notes();
        for words in ["helm test cinder-csi -n kube-system", "The nodes get no credentials."] {
            assert!(notes.contains(words), "{}: {notes}", variant.name);
        }
        let limit = "sets node-volume-attach-limit, which nodes don't read any more: set node.config.nodeVolumeAttachLimit";
        assert_eq!(notes.contains(limit), variant.name == "legacy-file", "{}: {notes}", variant.name);
        // Without a cluster nobody sees what is in a Secret that the chart doesn't make.
        let unseen =
            notes.contains("any more, and this chart can't see it: where it sets node-volume-attach");
        assert_eq!(unseen, variant.name == "legacy", "{}: {notes}", variant.name);
        let left = notes.contains("The nodes' Pods have left the host's network.");
        assert_eq!(left, variant.name.starts_with("legacy"), "{}: {notes}", variant.name);
    }
}

#[test]
fn a_node_has_no_rights_unless_it_needs_the_api() {
    for variant in Variant::all() {
        let token = &variant.find("DaemonSet")["spec"]["template"]["spec"]["automountServiceAccountToken"];
        let account =
            text(&variant.find("DaemonSet")["spec"]["template"]["spec"]["serviceAccountName"]).to_owned();
        let bound = variant.objects().into_iter().any(|object| {
            object["subjects"].as_array().into_iter().flatten().any(|subject| subject["name"] == account)
        });
        assert_eq!(
            (token.as_bool(), bound),
            (Some(variant.name == "everything"), variant.name == "everything")
        );
    }
}

/// docs/clouds.md, "With Helm".
#[test]
fn another_cloud_gets_a_daemonset_of_its_own_from_the_same_values() {
    let west = [
        "legacyNames=false",
        "fullnameOverride=cinder-csi-west",
        "csi.plugin.nodePlugin.nodeSelector.cloud=west",
        "csi.plugin.nodePlugin.extraArgs={--additional-topology=topology.kubernetes.io/region=west}",
    ];
    let first = Variant::named("legacy").find("DaemonSet");
    let set = [&NEEDED[..], &["legacyNames=true"], &west].concat();
    let shown = show_only("cinder-csi-west", "templates/node.yaml", &set);
    let [second] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!(second["kind"], "DaemonSet");
    assert_eq!(second["metadata"]["name"], "cinder-csi-west-node");
    assert_ne!(second["metadata"]["name"], first["metadata"]["name"]);
    let pod = &second["spec"]["template"];
    assert_eq!(pod["spec"]["serviceAccountName"], "cinder-csi-west-node");
    assert_eq!(
        pod["spec"]["nodeSelector"],
        serde_json::json!({"kubernetes.io/os": "linux", "cloud": "west"})
    );
    let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    assert!(
        args.iter().any(|arg| arg == "--additional-topology=topology.kubernetes.io/region=west"),
        "{args:?}"
    );
    // Neither takes the other's Pods.
    let default = Variant::named("default").find("DaemonSet");
    for other in [&first, &default] {
        for (ours, theirs) in [(second, other), (other, second)] {
            let wanted = ours["spec"]["selector"]["matchLabels"].as_object().unwrap();
            let labels = &theirs["spec"]["template"]["metadata"]["labels"];
            assert!(wanted.iter().any(|(key, value)| &labels[key] != value), "{wanted:?}: {labels}");
        }
    }
}

#[test]
fn the_scheduler_asks_for_capacity_only_where_the_provisioner_tells_it() {
    for variant in Variant::all() {
        let told = variant.args("Deployment", "csi-provisioner").contains(&"--enable-capacity".to_owned());
        let asked = variant.find("CSIDriver")["spec"]["storageCapacity"] == true;
        assert_eq!(told, asked, "{}", variant.name);
    }
}

#[test]
fn what_is_made_of_the_values_is_up_to_date() {
    let made = [("README.md", documents::readme()), ("defaults.yaml", documents::defaults())];
    let changed: Vec<_> = made
        .iter()
        .filter_map(|(name, text)| documents::differs(&format!("charts/cinder-csi/{name}"), text))
        .collect();
    assert!(changed.is_empty(), "{}: run tests/chart/update", changed.join(", "));
}

#[test]
fn every_value_has_a_comment_and_a_place_in_the_schema() {
    let silent: Vec<_> = documents::values().into_iter().filter(|value| value.comment.is_empty()).collect();
    assert!(silent.is_empty(), "{silent:?}");
    let known: Vec<_> = documents::values().into_iter().map(|value| value.path).collect();
    let in_schema = documents::schema_paths();
    let unknown: Vec<_> = known.iter().filter(|path| !in_schema.contains(path)).collect();
    assert!(unknown.is_empty(), "in values.yaml, but not in the schema: {unknown:?}");
    let missing: Vec<_> = in_schema
        .iter()
        .filter(|path| !known.iter().any(|value| *path == value || value.starts_with(&format!("{path}."))))
        .collect();
    assert!(missing.is_empty(), "in the schema, but not in values.yaml: {missing:?}");
}

#[test]
fn the_chart_knows_the_parameters_that_the_docs_list() {
    for (kind, page, head) in [
        ("StorageClass", "docs/volumes.md", "| parameter | default | |"),
        ("VolumeSnapshotClass", "docs/snapshots.md", "| parameter | default | meaning |"),
        ("VolumeAttributesClass", "docs/volume-attributes.md", "| parameter | default | |"),
    ] {
        let mut listed = documents::table(page, head);
        // A sidecar's: any of these is taken.
        listed.retain(|name| !name.starts_with("csi.storage.k8s.io/"));
        assert_eq!(documents::names(kind), listed, "{kind}: {page}");
    }
}

#[test]
fn the_chart_knows_the_flags_that_the_driver_takes() {
    let parse = |flag: &str| {
        let line = ["--endpoint=unix:///csi.sock".to_owned(), format!("--{flag}")];
        cli::parse(line, &Fixed::default()).err().map_or_else(String::new, |exit| exit.text)
    };
    let known = documents::names("Flag");
    for flag in &known {
        assert!(!parse(flag).contains("unexpected argument"), "{flag}: {}", parse(flag));
    }
    assert!(parse("pin-zones").contains("unexpected argument"));
    let mut shown = documents::flags(&parse("help"));
    let mut listed = documents::flags(&documents::section("docs/configuration.md", "## Flags"));
    for flag in ["help", "version"] {
        assert!(shown.remove(flag) && listed.remove(flag), "{flag}");
    }
    assert!(shown.is_subset(&known), "{:?}", shown.difference(&known));
    assert_eq!(listed, known);
}

/// tests/run kubernetes runs the sidecars that are built from these modules.
#[test]
fn the_sidecars_of_the_chart_are_those_that_the_tests_run() {
    let values: Value = serde_saphyr::from_str(&documents::read("charts/cinder-csi/values.yaml")).unwrap();
    let modules = documents::read("tests/kubernetes/modules/sidecars/go.mod");
    for sidecar in ["attacher", "provisioner", "resizer", "snapshotter"] {
        let module = format!("github.com/kubernetes-csi/external-{sidecar}/v");
        let required: Vec<_> =
            modules.lines().filter_map(|line| line.trim().strip_prefix(&module)?.split(' ').nth(1)).collect();
        assert_eq!(required, [text(&values["csi"][sidecar]["image"]["tag"])], "{sidecar}");
    }
}

#[test]
fn the_chart_knows_the_fields_that_the_api_server_knows() {
    #[allow(clippy::disallowed_methods, reason = "tests/run says where the schemas are")]
    let directory = std::env::var("KUBERNETES_SCHEMAS").unwrap();
    let core = std::fs::read_to_string(format!("{directory}/api__v1_openapi.json")).unwrap();
    let core: Value = serde_json::from_str(&core).unwrap();
    for kind in ["PodSecurityContext", "SecurityContext", "ResourceRequirements"] {
        let schema = &core["components"]["schemas"][format!("io.k8s.api.core.v1.{kind}")];
        let fields = schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(documents::names(kind), fields, "{kind}");
    }
}

#[test]
fn alerts_and_dashboard_name_only_metrics_that_there_are() {
    let known = documents::read("docs/metrics.md");
    for file in ["charts/cinder-csi/files/alerts.yaml", "charts/cinder-csi/files/dashboard.json"] {
        let all = documents::read(file);
        let words = all.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let metrics = words.filter(|word| word.starts_with("cinder_csi_") || word.starts_with("openstack_"));
        for metric in metrics {
            let family =
                ["_count", "_bucket", "_sum"].iter().fold(metric, |name, end| name.trim_end_matches(end));
            assert!(known.contains(&format!("`{family}`")), "{file}: {metric}");
        }
    }
    serde_json::from_str::<Value>(&documents::read("charts/cinder-csi/files/dashboard.json")).unwrap();
}

#[test]
fn the_dashboard_shows_every_metric() {
    let dashboard = documents::read("charts/cinder-csi/files/dashboard.json");
    let manual = documents::read("docs/metrics.md");
    let rows = manual.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
    for metric in rows.filter_map(|row| row.split('`').next()) {
        assert!(dashboard.contains(metric), "no panel shows {metric}");
    }
}

#[test]
fn every_alert_has_its_runbook() {
    let rules: Value =
        serde_saphyr::from_str(&documents::read("charts/cinder-csi/files/alerts.yaml")).unwrap();
    let (runbooks, manual) = (documents::read("docs/runbooks.md"), documents::read("docs/metrics.md"));
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(!rules.is_empty());
    for rule in rules {
        let name = text(&rule["alert"]);
        let runbook = format!("docs/runbooks.md#{}", name.to_lowercase());
        assert_eq!(text(&rule["annotations"]["runbook_url"]), runbook);
        assert!(runbooks.contains(&format!("\n## {name}\n")), "{name} has no runbook");
        assert!(manual.contains(&format!("| [{name}](")), "docs/metrics.md doesn't list {name}");
    }
}

#[test]
fn the_chart_is_of_the_drivers_version() {
    let chart: Value = serde_saphyr::from_str(&documents::read("charts/cinder-csi/Chart.yaml")).unwrap();
    assert_eq!(text(&chart["appVersion"]), env!("CARGO_PKG_VERSION"));
    assert_eq!(Chart::OURS.name(), text(&chart["name"]));
}

/// The places of these keys.
fn mentions(value: &Value, keys: &[&str]) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| {
                let own = keys.contains(&key.as_str()).then(|| format!("{key}: {inner}"));
                own.into_iter().chain(mentions(inner, keys))
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(|inner| mentions(inner, keys)).collect(),
        _ => Vec::new(),
    }
}

//! Values that can't work are refused before anything is made, with a sentence.

use crate::helm::{Chart, Variant, rendered, template_on, template_set};

const NEEDED: [&str; 3] = [
    "csi.plugin.image.repository=registry.example/cinder-csi",
    "secret.enabled=true",
    "secret.name=cloud-config",
];

fn refusal(set: &[&str]) -> String {
    let output = template_set(Chart::OURS, set);
    assert!(!output.status.success(), "{set:?} was taken");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_must_be_given_is_asked_for() {
    let said = refusal(&[]);
    for words in
        ["no image of the driver is published yet", "The controller has no credentials: set secret.enabled"]
    {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn values_that_cannot_work_together_are_refused_with_a_sentence() {
    for (set, words) in [
        (
            &["csi.plugin.image.repository=registry.k8s.io/provider-os/cinder-csi-plugin"][..],
            "the existing driver, which this chart's flags don't fit",
        ),
        (&["secret.enabled=false"], "The controller has no credentials"),
        (&["secret.name="], "which Secret? Name it by secret.name"),
        (&["secret.create=true"], "secret.create makes a Secret, but secret.data is empty"),
        (&["secret.create=true", "secret.data.clouds\\.yaml=x"], "secret.data has no entry cloud.conf"),
        (&["controller.leaderElection=false"], "each replica would make every volume"),
        (
            &["controller.leaderElection=false", "csi.plugin.controllerPlugin.replicas=1"],
            "set csi.plugin.controllerPlugin.strategy.type to Recreate",
        ),
        (
            &["controller.hostNetwork=true", "node.hostNetwork=true", "node.httpPort=8080"],
            "node.httpPort is 8080, which csi.plugin.httpEndpoint.port is, too",
        ),
        (
            &["controller.hostNetwork=true", "node.hostNetwork=true", "csi.livenessprobe.enabled=true"],
            "node.httpPort is 9808, which the sidecar livenessprobe is, too",
        ),
        (
            &["csi.plugin.nodePlugin.kubeletDir=var/lib/kubelet"],
            "\"var/lib/kubelet\": it must be an absolute path",
        ),
        (&["csi.provisioner.extraArgs={--enable-capacity=false}"], "Set csiDriver.storageCapacity to false"),
        (
            &["csi.plugin.volumeMounts[0].name=ca", "csi.plugin.volumeMounts[0].mountPath=/ca"],
            "names the volume ca, and csi.plugin.volumes has none",
        ),
        (
            &["csi.plugin.podMonitor.enabled=true", "csi.plugin.httpEndpoint.enabled=false"],
            "there would be nothing to look at",
        ),
        (&["csi.plugin.podMonitor.enabled=true", "monitoring.serviceMonitor.enabled=true"], "counted twice"),
        (
            &[
                "csi.plugin.podMonitor.enabled=true",
                "monitoring.nodes=true",
                "csi.livenessprobe.enabled=true",
            ],
            "the nodes' drivers serve no metrics",
        ),
        (
            &["csi.attacher.httpPort=8080"],
            "csi.attacher.httpPort is 8080, which csi.plugin.httpEndpoint.port is, too",
        ),
        (&["csi.resizer.extraArgs={--leader-election=false}"], "set controller.leaderElection to false"),
        (
            &["csi.plugin.extraArgs={--http-endpoint=:9000}"],
            "csi.plugin.extraArgs has --http-endpoint, where the probes wouldn't ask",
        ),
        (
            &["csi.plugin.nodePlugin.extraArgs={--http-endpoint=:9000}"],
            "csi.plugin.nodePlugin.extraArgs has --http-endpoint",
        ),
        (
            &["csi.livenessprobe.enabled=true", "csi.plugin.httpEndpoint.port=9808"],
            "which the sidecar livenessprobe takes",
        ),
        (
            &["storageClass.delete.isDefault=true", "storageClass.deleteWait.isDefault=true"],
            "Only one StorageClass can be the default",
        ),
        (&["storageClass.enabled=false"], "name one of this driver's by test.storageClassName"),
    ] {
        let set: Vec<_> = NEEDED.iter().chain(set).copied().collect();
        let said = refusal(&set);
        assert!(said.contains("These values can't work:") && said.contains(words), "{set:?}: {said}");
    }
}

#[test]
fn a_value_that_nobody_knows_or_of_the_wrong_kind_is_refused_by_its_name() {
    for (set, words) in [
        ("legacyName=true", "additional properties 'legacyName' not allowed"),
        ("csi.plugin.imag.tag=1", "at '/csi/plugin': additional properties 'imag' not allowed"),
        ("secret.names=x", "at '/secret': additional properties 'names' not allowed"),
        (
            "storageClass.delete.default=true",
            "at '/storageClass/delete': additional properties 'default' not allowed",
        ),
        ("csi.snapshotter.images.tag=1", "at '/csi/snapshotter': additional properties 'images' not allowed"),
        (
            "csi.plugin.controllerPlugin.replicas=two",
            "at '/csi/plugin/controllerPlugin/replicas': got string, want integer",
        ),
        ("timeout=3", "at '/timeout': got number, want string"),
        (
            "node.config.nodeVolumeAttachLimit=300",
            "at '/node/config/nodeVolumeAttachLimit': maximum: got 300, want 256",
        ),
        ("node.config.searchOrder=dmi", "at '/node/config/searchOrder': value must be one of"),
        ("node.maxUnavailable=0", "at '/node/maxUnavailable'"),
        ("node.startupTaint.key=not-ready:NoSchedule", "at '/node/startupTaint/key'"),
        ("csi.attacher.extraArgs=--worker-threads=5", "at '/csi/attacher/extraArgs'"),
        (
            "csiDriver.nodeAllocatableUpdatePeriodSeconds=5",
            "at '/csiDriver/nodeAllocatableUpdatePeriodSeconds'",
        ),
        ("volumeAttributesClasses[0].name=gold", "missing property 'parameters'"),
    ] {
        let all: Vec<_> = NEEDED.into_iter().chain([set]).collect();
        let said = refusal(&all);
        assert!(said.contains(words), "{set}: {said}");
    }
}

#[test]
fn another_chart_may_depend_on_this_one() {
    // Helm hands `global` to every chart then.
    let set: Vec<_> = NEEDED.into_iter().chain(["global.registry=example"]).collect();
    assert!(template_set(Chart::OURS, &set).status.success());
}

#[test]
fn a_default_that_is_set_to_null_is_gone() {
    let nothing = Variant::named("nothing");
    let containers = nothing.find("Deployment")["spec"]["template"]["spec"]["containers"].clone();
    let attacher =
        containers.as_array().unwrap().iter().find(|one| one["name"] == "csi-attacher").unwrap().clone();
    assert!(attacher["resources"].is_null());
    let maps = ["commonAnnotations=null", "extraLabels=null"];
    let pods = ["csi.plugin.controllerPlugin.podAnnotations=null", "csi.plugin.nodePlugin.podLabels=null"];
    rendered(template_set(Chart::OURS, &[&NEEDED[..], &maps, &pods].concat()));
}

#[test]
fn an_older_kubernetes_gets_what_it_knows() {
    let said = rendered(template_on("1.32.0", Chart::OURS, &NEEDED));
    assert!(!said.contains("nodeAllocatableUpdatePeriodSeconds"), "{said}");
    let class = ["volumeAttributesClasses[0].name=gold", "volumeAttributesClasses[0].parameters.type=fast"];
    let output = template_on("1.32.0", Chart::OURS, &[&NEEDED[..], &class[..]].concat());
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("volumeAttributesClasses need Kubernetes 1.34 or later, and this is v1.32.0."),
        "{said}"
    );
    assert!(!template_on("1.28.0", Chart::OURS, &NEEDED).status.success());
}

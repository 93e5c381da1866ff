//! Values that can't work are refused before anything is made, with a sentence.

use crate::helm::{Chart, Variant, notes_in_cluster, notes_set, rendered, template_on, template_set};

pub const NEEDED: [&str; 3] = [
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
        (
            &["secret.create=true", "secret.data.cloud\\.conf=  "],
            "secret.data has an entry cloud.conf without a section [Global]",
        ),
        (
            &["secret.create=true", "secret.data.cloud\\.conf=# [Global]\n[BlockStorage]"],
            "secret.data has an entry cloud.conf without a section [Global]",
        ),
        (&["secret.filename="], "the controller reads no cloud.conf, and nothing else names a cloud"),
        (
            &["secret.filename=", "csi.plugin.nodePlugin.extraArgs={--cloud=prod}"],
            "the controller reads no cloud.conf, and nothing else names a cloud",
        ),
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
            "\"var/lib/kubelet\": it must be the absolute path of a directory",
        ),
        (&["csi.plugin.nodePlugin.kubeletDir=/"], "\"/\": it must be the absolute path of a directory"),
        (
            &["csi.plugin.extraArgs=--pin-zone"],
            "csi.plugin.extraArgs is a text, and no list is in it: --pin-zone. Write [--flag=value]",
        ),
        (&["csi.attacher.extraArgs=--worker-threads=5"], "csi.attacher.extraArgs is a text, and no list"),
        (&["csi.plugin.nodePlugin.extraArgs=a: b"], "csi.plugin.nodePlugin.extraArgs is a text, and no list"),
        (
            &["csi.plugin.extraArgs={--cluster,prod,--pin-zones=true}"],
            "csi.plugin.extraArgs has --pin-zones, which is no flag of cinder-csi",
        ),
        (
            &["csi.plugin.nodePlugin.extraArgs=- -with-topolgy"],
            "csi.plugin.nodePlugin.extraArgs has --with-topolgy",
        ),
        (
            &[
                "legacyNames=true",
                concat!("csi.plugin.image.tag=", env!("CARGO_PKG_VERSION")),
                "csi.plugin.controllerPlugin.extraArgs={--cloudname=a}",
            ],
            "csi.plugin.controllerPlugin.extraArgs has --cloudname",
        ),
        (&["csi.provisioner.image.tag="], "csi.provisioner.image has no tag"),
        (&["csi.resizer.image.tag=null"], "csi.resizer.image has no tag"),
        (
            &["csi.livenessprobe.enabled=true", "csi.livenessprobe.image.tag="],
            "csi.livenessprobe.image has no tag",
        ),
        (&["csi.attacher.image.repository="], "csi.attacher.image has no repository"),
        (&["storageClass.custom=abc"], "must be whole manifests, as text, and this is none: \"abc\""),
        (&["storageClass.custom=kind: StorageClass\n---\nmetadata:\n  name: a"], "and this is none: \"kind"),
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
        ("timeout=0s", "at '/timeout': '0s' does not match pattern '[1-9]'"),
        ("retryIntervalMax=0m0.0s", "at '/retryIntervalMax': '0m0.0s' does not match pattern '[1-9]'"),
        (
            "node.config.nodeVolumeAttachLimit=300",
            "at '/node/config/nodeVolumeAttachLimit': maximum: got 300, want 256",
        ),
        ("node.config.searchOrder=dmi", "at '/node/config/searchOrder': value must be one of"),
        ("node.maxUnavailable=0", "at '/node/maxUnavailable'"),
        ("node.startupTaint.key=not-ready:NoSchedule", "at '/node/startupTaint/key'"),
        ("csi.attacher.extraArgs=5", "at '/csi/attacher/extraArgs': got number, want string or array"),
        ("csiDriver.fsGroupPolicy=file", "at '/csiDriver/fsGroupPolicy': value must be one of"),
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

/// A name in a value that goes on as it is; whether the existing chart has that value, too; and the sentence.
const MISTAKES: [(&str, bool, &str); 12] = [
    (
        "storageClass.delete.parameters.tipe=x",
        true,
        "storageClass.delete.parameters: nobody knows tipe there",
    ),
    ("storageClass.retain.parameters.csi=x", true, "storageClass.retain.parameters: nobody knows csi there"),
    ("csi.plugin.resources.limit.memory=1Gi", true, "csi.plugin.resources: nobody knows limit there"),
    ("csi.attacher.resources.cpu=1", true, "csi.attacher.resources: nobody knows cpu there"),
    (
        "csi.plugin.nodePlugin.securityContext.priviledged=true",
        true,
        "csi.plugin.nodePlugin.securityContext: nobody knows priviledged there",
    ),
    (
        "csi.plugin.controllerPlugin.podSecurityContext.privileged=true",
        true,
        "csi.plugin.controllerPlugin.podSecurityContext: nobody knows privileged there",
    ),
    (
        "csi.plugin.nodePlugin.podSecurityContext.capabilities.add[0]=ALL",
        true,
        "csi.plugin.nodePlugin.podSecurityContext: nobody knows capabilities there",
    ),
    (
        "csi.plugin.controllerPlugin.securityContext.fsGroup=1",
        true,
        "csi.plugin.controllerPlugin.securityContext: nobody knows fsGroup there",
    ),
    ("node.securityContext.priviledged=true", false, "node.securityContext: nobody knows priviledged there"),
    (
        "storageClass.deleteWait.parameters.tipe=x",
        false,
        "storageClass.deleteWait.parameters: nobody knows tipe there",
    ),
    (
        "volumeSnapshotClasses[0].name=a,volumeSnapshotClasses[0].parameters.typ=backup",
        false,
        "the parameters of the VolumeSnapshotClass a: nobody knows typ there",
    ),
    (
        "volumeAttributesClasses[0].name=a,volumeAttributesClasses[0].parameters.metadata=x",
        false,
        "the parameters of the VolumeAttributesClass a: nobody knows metadata there",
    ),
];

#[test]
fn a_name_that_nobody_would_read_is_refused_or_where_the_old_chart_took_it_told() {
    for (set, of_the_old_chart, words) in MISTAKES {
        let all: Vec<_> = NEEDED.into_iter().chain([set]).collect();
        let said = refusal(&all);
        assert!(said.contains("These values can't work:") && said.contains(words), "{set}: {said}");
        let legacy: Vec<_> = all.into_iter().chain(["legacyNames=true"]).collect();
        if of_the_old_chart {
            let told = notes_set("mistakes", &legacy);
            assert!(told.contains(&format!("WARNING: {words}")), "{set}: {told}");
        } else {
            assert!(refusal(&legacy).contains(words), "{set}");
        }
    }
}

#[test]
fn what_goes_on_as_it_is_may_have_every_name_that_is_read() {
    let class = r"storageClass.delete.parameters.csi\.storage\.k8s\.io/fstype=xfs";
    let snapshots = r"volumeSnapshotClasses[0].name=a,volumeSnapshotClasses[0].parameters.csi\.storage\.k8s\.io/snapshotter-secret-name=a";
    let attributes =
        r"volumeAttributesClasses[0].name=a,volumeAttributesClasses[0].parameters.metadata\.tier=gold";
    let digest = "csi.attacher.image.tag=,csi.attacher.image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let custom = "storageClass.custom=# mine\n---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\n---\n";
    let text = "csi.attacher.extraArgs=# none";
    let unused = "csi.livenessprobe.image.tag=";
    rendered(template_set(
        Chart::OURS,
        &[&NEEDED[..], &[class, snapshots, attributes, digest, custom, text, unused]].concat(),
    ));
}

#[test]
fn a_cloud_may_be_named_in_every_way_that_the_driver_reads() {
    let made = "secret.create=true";
    for set in [
        &["secret.filename=", "csi.plugin.extraEnv[0].name=OS_CLOUD", "csi.plugin.extraEnv[0].value=prod"][..],
        &["secret.filename=", "csi.plugin.controllerPlugin.extraArgs={--cloud=prod}"],
        &["secret.filename=", "csi.plugin.extraArgs=- \"-cloud-config=/ours/cloud.conf\""],
        &[made, "secret.data.cloud\\.conf=", "csi.plugin.extraArgs={--cloud,prod}"],
        &[made, "secret.data.cloud\\.conf=x", "csi.plugin.extraArgs={--cloud-config=/ours/cloud.conf}"],
        &[made, "secret.data.cloud\\.conf=[Metadata]\n [ global \"east\" ]\nuse-clouds"],
        &[made, "secret.data.cloud\\.conf=# ours\n[GLOBAL]", "secret.data.ca\\.pem="],
    ] {
        let set: Vec<_> = NEEDED.iter().chain(set).copied().collect();
        rendered(template_set(Chart::OURS, &set));
    }
}

#[test]
fn flags_may_be_written_as_the_existing_driver_takes_them() {
    let flags = "csi.plugin.extraArgs=- -v4\n- -v=4\n- --log_dir\n- /x\n- --stderrthreshold=2\n- -nodeid=a\n- --kube-api-qps\n- -1";
    let more = "csi.plugin.nodePlugin.extraArgs={--additional-topology,a=b,--pin-zone}";
    rendered(template_set(Chart::OURS, &[&NEEDED[..], &[flags, more]].concat()));
}

#[test]
fn a_flag_of_a_driver_of_another_version_is_told_and_not_refused() {
    for image in [
        "csi.plugin.image.tag=0.2.0",
        "csi.plugin.image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        let told = notes_set("flags", &[&NEEDED[..], &[image, "csi.plugin.extraArgs={--new}"]].concat());
        let words = "WARNING: csi.plugin.extraArgs has --new, which is no flag of cinder-csi";
        assert!(told.contains(words) && told.contains("of another version"), "{told}");
    }
}

#[test]
fn a_cluster_without_the_snapshot_crds_is_told_of() {
    let told = |apis: &[&str], set: &[&str]| notes_in_cluster("crds", apis, &[&NEEDED[..], set].concat());
    let gate = ["csi.snapshotter.extraArgs={--feature-gates=CSIVolumeGroupSnapshot=true}"];
    let snapshots = "snapshot.storage.k8s.io/v1";
    let advice = "the sidecar snapshotter waits for: install them, or set csi.snapshotter.enabled=false.";
    assert!(told(&[], &[]).contains(advice));
    let groups = "this cluster has no CRDs of group snapshots";
    assert!(told(&[snapshots], &gate).contains(groups));
    for said in [
        told(&[], &["csi.snapshotter.enabled=false"]),
        told(&[snapshots], &[]),
        told(&[snapshots, "groupsnapshot.storage.k8s.io/v1beta2"], &gate),
        notes_set("crds", &NEEDED),
    ] {
        assert!(!said.contains(advice) && !said.contains(groups), "{said}");
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

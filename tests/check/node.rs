//! The node's checks, where the simulated metadata service tells who the server is.

use crate::checked::{Bed, Report};
use cinder_csi::sandbox::Settings;

const NODE: [&str; 9] =
    ["settings", "identity", "zone", "limit", "util-linux", "ext4", "xfs", "btrfs", "device-dir"];

impl Bed {
    /// Of `node-3`, which asks its own metadata service only.
    fn node(&self, flags: &[&str]) -> Report {
        let server = self.cloud.server_id("node-3");
        let metadata = format!("--metadata-url=http://{}/metadata/{server}", self.address);
        let devices = format!("--device-dir={}", self.path("").display());
        self.check(&[&["--node", &metadata, &devices], flags].concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_with_its_sources_and_needs_no_credentials() {
    let bed = Bed::new(Settings::default()).await;
    bed.write(
        "[Global]\nnonsense\n[Metadata]\nsearch-order = metadataService\n[BlockStorage]\n\
         node-volume-attach-limit = 25\naz-map = az2=nova\n",
    );
    let report = bed.node(&[]);
    assert_eq!(report.checks(), NODE);
    assert_eq!(without_tools(&report), [""; 0], "{report:?}");
    let server = bed.cloud.server_id("node-3");
    assert_eq!(report.told("identity").0, format!("server {server}, by metadata service"));
    assert_eq!(report.told("zone").0, "az2, by metadata service, volumes in nova by az-map");
    assert!(report.told("limit").0.starts_with("25 volumes: node-volume-attach-limit is 25"), "{report:?}");
    assert!(report.told("util-linux").0.starts_with("blkid from util-linux"), "{report:?}");
    let calls = bed.cloud.calls();
    assert!(calls.iter().all(|call| call.path.ends_with("meta_data.json")), "{calls:?}");
    let given = bed.node(&["--node-id", GIVEN]);
    assert_eq!(given.told("identity").0, format!("server {GIVEN}, by --node-id"));
    assert_eq!(given.row("zone")["verdict"], "ok");
}

const GIVEN: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";

/// What failed, but for what this machine has not installed.
fn without_tools(report: &Report) -> Vec<&str> {
    let tools = ["util-linux", "ext4", "xfs", "btrfs"];
    report.with("failed").into_iter().filter(|check| !tools.contains(check)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_source_says_where_to_look() {
    let bed = Bed::new(Settings::default()).await;
    bed.write("[Metadata]\nsearch-order = metadataService\n");
    let nobody = ["--node", "--metadata-url=http://127.0.0.1:1", "--device-dir=/nonexistent"];
    let report = bed.check(&[&nobody[..], &["--node-id", GIVEN]].concat());
    assert_eq!(without_tools(&report), ["zone"], "{report:?}");
    assert!(report.told("zone").1.contains("hostNetwork"), "{report:?}");
    assert_eq!(report.row("device-dir")["verdict"], "warning");
    let free = bed.check(&[&nobody[..], &["--node-id", GIVEN, "--with-topology=false"]].concat());
    assert_eq!(without_tools(&free), [""; 0], "{free:?}");
    for (flag, word) in [("--node-id=node-1", "UUID"), ("--metadata-url=https://x", "http://")] {
        let output = bed.run(&["--node", flag]);
        assert_eq!(output.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{output:?}");
    }
}

/// A Pod of a node has no cloud to ask.
#[test]
fn without_a_word_about_a_cloud_the_node_is_checked() {
    let flags = ["check", "--json", "--metadata-url=http://127.0.0.1:1", "--node-id", GIVEN];
    let report = Report::of(&Bed::bare().args(flags).output().unwrap());
    assert_eq!(report.checks(), NODE);
}

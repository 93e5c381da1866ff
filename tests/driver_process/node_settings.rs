//! What a node makes of a cloud.conf that a whole cluster shares: it has no use for credentials.

use std::net::TcpListener;

use cinder_csi::csi::proto::*;
use tonic::Code;

use super::{Bed, PASSWORD, SERVER, conf, ended};

/// A cloud that would be noticed if it were called.
struct Trap(TcpListener);

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn conf(&self, password: &str) -> String {
        conf(self.0.local_addr().unwrap(), password)
    }

    fn was_left_alone(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_works_with_a_cloud_conf_of_garbage_and_calls_no_cloud() {
    let trap = Trap::new();
    let garbage = format!("[Global]\nauth-url = nonsense\n{PASSWORD}= \"\n\\ ] =\n");
    for global in [trap.conf("wrong"), trap.conf(PASSWORD) + "use-clouds = perhaps\n", garbage] {
        let bed = Bed::new();
        bed.write_conf(&format!("{global}[BlockStorage]\nnode-volume-attach-limit = 7\n"));
        let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
        let server = format!("--node-id={SERVER}");
        let flags = [
            &file,
            &server,
            "--provide-controller-service=false",
            "--with-topology=false",
            "--http-endpoint=127.0.0.1:0",
        ];
        let driver = bed.start(&[&flags[..], &["--metadata-url=http://127.0.0.1:9"]].concat()).await;
        let info = driver.node().node_get_info(NodeGetInfoRequest {}).await.unwrap().into_inner();
        assert_eq!(info.node_id, SERVER);
        assert!((1..=7).contains(&info.max_volumes_per_node), "{}", info.max_volumes_per_node);
        let status = driver.node().node_stage_volume(NodeStageVolumeRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let log = driver.log();
        assert!(!log.contains(PASSWORD) && !log.contains("Global"), "{log}");
        ended(driver);
        assert!(trap.was_left_alone(), "{global}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_nodes_own_sections_ends_it_with_64() {
    let bed = Bed::new();
    bed.write_conf("[Global]\n[BlockStorage]\nrescan-on-resize = maybe\n");
    let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let output = bed.command(&[&file, "--provide-controller-service=false"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

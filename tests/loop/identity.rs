//! Who this machine is, by a real metadata server and a real config drive.

use cinder_csi::node::{Condition, Identity, Origin, Whoami};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bed::{Bed, write_at};

const SERVER: &str = "6d530b2e-0f9c-4b6a-9d5e-1c2f3a4b5c6d";

async fn metadata_service(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, served)
}

fn whoami(order: Vec<Origin>, metadata_url: &str) -> Whoami {
    Whoami { order, metadata_url: metadata_url.into(), ..Whoami::default() }
}

/// An ISO 9660 image with openstack/latest/meta_data.json, as far as it's read.
fn config_drive(file: &std::path::Path, document: &str) {
    let record = |name: &str, sector: u32, length: u32| {
        let mut record = vec![0_u8; 33 + name.len() + (name.len() + 1) % 2];
        record[0] = u8::try_from(record.len()).unwrap();
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&length.to_le_bytes());
        record[32] = u8::try_from(name.len()).unwrap();
        record[33..33 + name.len()].copy_from_slice(name.as_bytes());
        record
    };
    let at = |sector: u64| sector * 2048;
    write_at(file, at(16), b"\x01CD001\x01");
    write_at(file, at(16) + 40, b"config-2                        ");
    write_at(file, at(16) + 156, &record("\0", 20, 2048));
    write_at(file, at(20), &record("OPENSTACK", 21, 2048));
    write_at(file, at(21), &record("LATEST", 22, 2048));
    write_at(file, at(22), &record("META_DATA.JSON;1", 23, u32::try_from(document.len()).unwrap()));
    write_at(file, at(23), document.as_bytes());
}

#[tokio::test]
async fn loop_the_metadata_service_tells_server_and_zone() {
    let bed = Bed::new();
    let (url, served) = metadata_service(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"uuid\": \"6d530b2e-0f9c-4b6a-9d5e-1c2f3a4b5c6d\", \"availability_zone\": \"az1\"}",
    )
    .await;
    let found = bed.node().identify(&whoami(vec![Origin::MetadataService], &url)).await.unwrap();
    assert_eq!(found, Identity::new(SERVER, Some("az1".into())));
    assert!(served.await.unwrap().starts_with("GET /openstack/latest/meta_data.json "));
}

#[tokio::test]
async fn loop_the_config_drive_is_read_without_a_mount() {
    let bed = Bed::new();
    let document = format!("{{\"uuid\": \"{SERVER}\", \"availability_zone\": \"az2\"}}");
    bed.unlinked("config", 1 << 20, |file| config_drive(file, &document));
    let found = bed.node().identify(&whoami(vec![Origin::ConfigDrive], "http://127.0.0.1:1")).await.unwrap();
    assert_eq!(found, Identity::new(SERVER, Some("az2".into())));
}

#[tokio::test]
async fn loop_a_machine_that_no_one_names_says_what_was_asked() {
    let bed = Bed::new();
    let (url, _served) = metadata_service("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n").await;
    let error = bed.node().identify(&whoami(vec![Origin::MetadataService], &url)).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Unavailable, "the metadata service may come back");
    let parts = ["node.hostNetwork=true", "config drive", "--node-id", "metadata service: ", "404", "DMI: "];
    let told = error.to_string();
    let at = parts.map(|part| told.rfind(part).unwrap_or_else(|| panic!("{part}: {told}")));
    assert!(at.is_sorted(), "{told}");
    let named =
        Whoami { server: Some(SERVER.into()), ..whoami(vec![Origin::MetadataService], "http://127.0.0.1:1") };
    let found = bed.node().identify(&named).await.unwrap();
    assert_eq!(found, Identity::new(SERVER, None));
}

use super::super::claim;
use super::super::fake::Fake;
use super::super::room;
use super::*;

/// A server that boots from a volume, in a container of the node plugin: of its root only binds of parts of it are seen,
/// or nothing at all.
fn server(volumes: usize, root_is_seen: bool) -> Fake {
    let fake = Fake::default();
    let mut world = fake.world();
    for (file, text) in [
        ("0000:00:00.0/vendor", "0x8086\n"),
        ("0000:00:00.0/device", "0x1237\n"),
        ("0000:00:00.0/class", "0x060000\n"),
        ("0000:00:03.0/class", "0x020000\n"),
    ] {
        world.files.insert(Path::new(PCI).join(file), text.into());
    }
    drop(world);
    blk(&fake, "vda", 0, 4, b"5d1c6c1e-53a2-4c0e-8");
    fake.world().claimed.push("/dev/vda".into());
    if root_is_seen {
        let line = "1 2 252:0 /var/lib/kubelet /var/lib/kubelet rw - ext4 /dev/vda rw";
        fake.world().mounts.push(line.into());
    }
    for n in 0..volumes {
        let (name, minor) = (format!("vd{}", char::from(b'b' + n as u8)), 16 * (n as u64 + 1));
        blk(&fake, &name, minor, 6 + n, format!("0f9c0b2e-6d53-4b6a-{n}").as_bytes());
        // The last one is attached and not yet staged.
        if n + 1 < volumes {
            let point = format!(
                "/var/lib/kubelet/plugins/kubernetes.io/csi/cinder.csi.openstack.org/{n}/globalmount"
            );
            fake.world().mounts.push(format!("1 2 252:{minor} / {point} rw - ext4 /dev/{name} rw"));
            fake.world().claimed.push(Path::new("/dev").join(&name));
        }
    }
    fake
}

fn blk(fake: &Fake, name: &str, minor: u64, slot: usize, serial: &[u8]) {
    let number = format!("252:{minor}\n");
    fake.plug(name, minor, 1 << 30, &[("serial", serial), ("dev", number.as_bytes())]);
    let mut world = fake.world();
    let address = format!("0000:00:{slot:02x}.0");
    world.files.insert(Path::new(PCI).join(&address).join("class"), b"0x010000\n".to_vec());
    let real = format!("/sys/devices/pci0000:00/{address}/virtio{minor}/block/{name}");
    world.files.insert(Path::new(&real).join("size"), b"1".to_vec());
    world.links.insert(format!("/sys/block/{name}").into(), real.into());
}

#[tokio::test]
async fn the_volumes_of_a_node_are_counted_without_its_root() {
    for volumes in [0, 5] {
        let node = super::super::Node::new(std::sync::Arc::new(server(volumes, true)), Default::default());
        assert_eq!(node.attached().await, Some(volumes));
    }
}

#[tokio::test]
async fn the_room_is_the_same_before_and_after_a_restart_with_five_volumes() {
    for root_is_seen in [true, false] {
        for volumes in [0, 1, 5] {
            let machine = observe(&server(volumes, root_is_seen), &Claims::default()).await.unwrap();
            let ours = machine.disks.iter().filter(|disk| disk.ours).count();
            assert_eq!(ours, volumes, "{machine:?}");
            assert_eq!(room::room(&machine), Some(29), "{volumes} volumes");
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_no_volume_is_not_ours() {
    let fake = server(1, true);
    blk(&fake, "vdx", 400, 20, b"config-drive");
    fake.plug("sr0", 500, 1 << 20, &[("dev", b"252:500\n")]);
    blk(&fake, "vdy", 416, 21, b"1f9c0b2e-6d53-4b6a-9");
    fake.world().mounts.push("1 2 252:416 / /srv/data rw - ext4 /dev/vdy rw".into());
    let machine = observe(&fake, &Claims::default()).await.unwrap();
    let ours: Vec<_> = machine.disks.iter().filter(|disk| disk.ours).map(|disk| &disk.name).collect();
    assert_eq!(ours, ["vdb"]);
    assert_eq!(room::room(&machine), Some(27));
}

#[tokio::test]
async fn a_disk_that_our_own_mkfs_has_for_itself_is_ours() {
    let fake = server(1, false);
    fake.world().claimed.push("/dev/vdb".into());
    for (at_work, ours) in [
        ("0f9c0b2e-6d53-4b6a-0d5e-1c2f3a4b5c6d", &["vdb"][..]),
        ("0f9c0b2e-6d53-4b6a-1d5e-1c2f3a4b5c6d", &[]),
    ] {
        let claims = Claims::default();
        let (host, held) = (fake.clone(), claims.clone());
        let work = async move { observe(&host, &held).await };
        let machine = claims.run(&claim::volume(at_work), work).await.unwrap();
        let names: Vec<_> = machine.disks.iter().filter(|disk| disk.ours).map(|disk| &disk.name).collect();
        assert_eq!(names, ours, "{at_work}");
    }
}

#[test]
fn only_the_paths_of_orchestrators_are_theirs() {
    for (point, theirs) in [
        ("/var/lib/kubelet/plugins/kubernetes.io/csi/cinder.csi.openstack.org/x/globalmount", true),
        ("/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pv/mount", true),
        ("/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/publish/pv/1", true),
        ("/var/lib/kubelet", false),
        ("/", false),
        ("/mnt/disks/local", false),
        ("/srv/csi-data", false),
    ] {
        assert_eq!(is_of_an_orchestrator(Path::new(point)), theirs, "{point}");
    }
}

#[test]
fn an_address_is_one_of_pci() {
    assert!(is_address("0000:00:1f.7"));
    for other in ["0000:00", "virtio1", "0000:00:1f", "2:0:0:0", "0000:00:1f.7.1", "host0"] {
        assert!(!is_address(other), "{other}");
    }
}

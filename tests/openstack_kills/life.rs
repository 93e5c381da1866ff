//! The life of a volume and of all that is made of it: each step is asked for until it is done, and then looked at.

use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use cinder_csi::csi::proto::VolumeCapability;
use tonic::Status;

use crate::bed::capability;
use crate::calls::{Calls, Place, RAW};
use crate::campaign::Manner;
use crate::scene::{Caller, Scene};
use crate::sidecar::Sidecar;

const PROVISIONER: Caller = Caller::Sidecar(Sidecar::Provisioner);
const ATTACHER: Caller = Caller::Sidecar(Sidecar::Attacher);
const RESIZER: Caller = Caller::Sidecar(Sidecar::Resizer);
const SNAPSHOTTER: Caller = Caller::Sidecar(Sidecar::Snapshotter);

const WRITTEN: usize = 1 << 20;

const KINDS: [&str; 4] = ["ext4", "xfs", "btrfs", RAW];

impl Scene<'_> {
    /// A life with each file system and one without.
    pub async fn live_in(&mut self, manner: Manner) {
        self.campaign.manner = manner;
        println!("{manner:?}, after {} kills", self.campaign.kills());
        for _ in KINDS {
            self.live_next().await;
        }
    }

    /// A life of the kind whose turn it is.
    pub async fn live_next(&mut self) {
        match KINDS[self.lives % KINDS.len()] {
            RAW => self.live_raw().await,
            fs => self.live(fs).await,
        }
    }

    /// A file system, its snapshot, a copy of that, its backup. Nothing is left at the end.
    async fn live(&mut self, fs: &str) {
        self.lives += 1;
        let number = self.lives;
        let before = self.witness.lab.inventory();
        self.slow_down();
        self.begin().await;
        let name = self.name("fs");
        let volume = self.make("create", &name, 1, None).await;
        let mut place = self.place(&volume, capability(fs));
        let content = content(number);
        self.attach(&mut place).await;
        self.stage(&format!("stage {fs}"), &place).await;
        self.publish("publish", &place).await;
        write(&self.file(&place), &content);
        self.expand(&volume, 2).await;
        // What is mounted of ext4 can't be grown where the test has no CAP_SYS_RESOURCE; its copy is grown at its stage.
        if fs != "ext4" {
            self.converge(&format!("grow {fs}"), Caller::Kubelet, async |calls| {
                calls.node_expand(&place, 2 << 30).await
            })
            .await;
        }
        let snapshot = self.cut("snapshot", &name, &volume).await;
        let backup = self.cut("backup", &name, &volume).await;
        self.copy(fs, &snapshot, &content).await;
        self.unpublish(&place).await;
        self.unstage(&place).await;
        self.detach(&place).await;
        self.attach(&mut place).await;
        self.stage(&format!("stage {fs} again"), &place).await;
        self.publish("publish", &place).await;
        self.compare(&self.file(&place), &content);
        self.unpublish(&place).await;
        self.unstage(&place).await;
        self.detach(&place).await;
        self.discard("snapshot", &snapshot).await;
        self.discard("backup", &backup).await;
        self.remove(&volume).await;
        self.witness.assert_nothing_left(&self.driver.path(""), &before).await;
    }

    /// A volume without a file system.
    async fn live_raw(&mut self) {
        self.lives += 1;
        let number = self.lives;
        let before = self.witness.lab.inventory();
        self.slow_down();
        self.begin().await;
        let volume = self.make("create", &self.name("raw"), 1, None).await;
        let mut place = self.place(&volume, capability(RAW));
        let content = content(number);
        for round in 0..2 {
            self.attach(&mut place).await;
            self.stage("stage a block", &place).await;
            self.publish("publish a block", &place).await;
            match round {
                0 => write(&PathBuf::from(&place.target), &content),
                _ => self.compare(&PathBuf::from(&place.target), &content),
            }
            self.unpublish(&place).await;
            self.unstage(&place).await;
            self.detach(&place).await;
        }
        self.remove(&volume).await;
        self.witness.assert_nothing_left(&self.driver.path(""), &before).await;
    }

    /// Of no other run's volume.
    fn name(&self, kind: &str) -> String {
        format!("kills-{}-{kind}-{}", std::process::id(), self.lives)
    }

    fn slow_down(&mut self) {
        self.witness.lab.heal();
        for (point, seconds) in self.campaign.slowness() {
            self.history.push(format!("{point} takes {seconds:.1} s more"));
            self.witness.lab.inject(point, &format!("delay {seconds:.1}"));
        }
    }

    /// What is in the snapshot, on a larger volume.
    async fn copy(&mut self, fs: &str, snapshot: &str, content: &[u8]) {
        let name = self.name("copy");
        let copy = self.make("create from a snapshot", &name, 3, Some(snapshot)).await;
        let mut place = self.place(&copy, capability(fs));
        self.attach(&mut place).await;
        self.stage(&format!("stage {fs} copy"), &place).await;
        self.publish("publish", &place).await;
        self.compare(&self.file(&place), content);
        self.unpublish(&place).await;
        self.unstage(&place).await;
        self.detach(&place).await;
        self.remove(&copy).await;
    }

    fn place(&self, volume: &str, capability: VolumeCapability) -> Place {
        let path = |kind: &str| self.driver.path(&format!("{kind}-{volume}")).display().to_string();
        std::fs::create_dir_all(path("staging")).unwrap();
        Place {
            volume: volume.to_owned(),
            capability,
            publish_context: Default::default(),
            volume_context: Default::default(),
            staging: path("staging"),
            target: path("target"),
        }
    }

    fn file(&self, place: &Place) -> PathBuf {
        PathBuf::from(&place.target).join("data")
    }

    async fn make(&mut self, operation: &str, name: &str, gib: i64, of: Option<&str>) -> String {
        let made =
            self.converge(operation, PROVISIONER, async |calls| calls.create(name, gib, of).await).await;
        self.volumes += 1;
        self.witness.assert_one_volume(name, &made.volume_id, gib).await;
        made.volume_id
    }

    async fn remove(&mut self, volume: &str) {
        self.converge("delete", PROVISIONER, async |calls| calls.delete(volume).await).await;
        self.witness.assert_gone("volumes", volume).await;
    }

    /// `kind`: snapshot or backup.
    async fn cut(&mut self, kind: &str, name: &str, volume: &str) -> String {
        let name = format!("{name}-{kind}");
        let ready = async |calls: Calls| match calls.snapshot(&name, volume, kind).await {
            Ok(made) if !made.ready_to_use => {
                Err(Status::unavailable("it isn't ready: the snapshotter asks again"))
            }
            answer => answer,
        };
        let made = self.converge(kind, SNAPSHOTTER, ready).await;
        self.witness.assert_one_copy(kind, &name, volume, &made.snapshot_id).await;
        made.snapshot_id
    }

    async fn discard(&mut self, kind: &str, id: &str) {
        let operation = format!("delete {kind}");
        self.converge(&operation, SNAPSHOTTER, async |calls| calls.delete_snapshot(id).await).await;
        self.witness.assert_gone(&format!("{kind}s"), id).await;
    }

    async fn attach(&mut self, place: &mut Place) {
        let (volume, server) = (place.volume.clone(), self.server.clone());
        let attach = async |calls: Calls| calls.attach(&volume, &server, &place.capability).await;
        place.publish_context = self.converge("attach", ATTACHER, attach).await;
        self.witness.assert_attached_to(&volume, &[&server]).await;
    }

    async fn detach(&mut self, place: &Place) {
        let server = self.server.clone();
        self.converge("detach", ATTACHER, async |calls| calls.detach(&place.volume, &server).await).await;
        self.witness.assert_attached_to(&place.volume, &[]).await;
    }

    async fn expand(&mut self, volume: &str, gib: i64) {
        let grown = self.converge("expand", RESIZER, async |calls| calls.expand(volume, gib).await).await;
        assert_eq!(grown.capacity_bytes, gib << 30);
        self.witness.assert_size(volume, gib).await;
    }

    async fn stage(&mut self, operation: &str, place: &Place) {
        self.converge(operation, Caller::Kubelet, async |calls| calls.stage(place).await).await;
        let mounts = if place.capability == capability(RAW) { 0 } else { 1 };
        self.witness.assert_mounts(&place.staging, mounts);
    }

    async fn unstage(&mut self, place: &Place) {
        self.converge("unstage", Caller::Kubelet, async |calls| calls.unstage(place).await).await;
        self.witness.assert_mounts(&place.staging, 0);
    }

    async fn publish(&mut self, operation: &str, place: &Place) {
        self.converge(operation, Caller::Kubelet, async |calls| calls.publish(place).await).await;
        self.witness.assert_mounts(&place.target, 1);
    }

    async fn unpublish(&mut self, place: &Place) {
        self.converge("unpublish", Caller::Kubelet, async |calls| calls.unpublish(place).await).await;
        self.witness.assert_mounts(&place.target, 0);
        assert!(!PathBuf::from(&place.target).exists(), "{}", place.target);
    }

    fn compare(&mut self, file: &PathBuf, content: &[u8]) {
        let mut found = vec![0; content.len()];
        std::fs::File::open(file).unwrap().read_exact(&mut found).unwrap();
        assert!(found == content, "{} has another content", file.display());
        self.bytes += content.len();
    }
}

fn content(number: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    std::iter::repeat_with(|| random.u8(..)).take(WRITTEN).collect()
}

fn write(file: &PathBuf, content: &[u8]) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(!file.exists()).open(file).unwrap();
    file.rewind().unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
}

//! The users: each has a claim, and does with it what users do.

use std::rc::Rc;
use std::time::Duration;

use cinder_csi::pace;
use fastrand::Rng;
use tokio::time::Instant;

use crate::rpc::{FAST, Rpc, SHARED, Source, USUAL};
use crate::scene::Scene;
use crate::sidecars::Patience;

pub struct User {
    scene: Rc<Scene>,
    random: Rng,
    name: String,
    /// How many names it has given out.
    named: usize,
    /// Of its volumes.
    kind: &'static str,
    gib: i64,
}

const NEVER: Patience = Patience(None);

impl User {
    pub fn new(scene: Rc<Scene>, name: String, mut random: Rng) -> Self {
        let kind = if random.u8(..6) == 0 { SHARED } else { USUAL };
        Self { scene, random, name, named: 0, kind, gib: 1 }
    }

    pub async fn live(mut self) {
        self.pause(20).await;
        let Some(volume) = self.claim(Source::Nothing).await else { return };
        for _ in 0..self.random.usize(1..5) {
            self.pause(20).await;
            match self.random.u8(..10) {
                0 => self.grow(&volume).await,
                1 => self.copy(&volume).await,
                2 => self.save(&volume).await,
                3 => self.modify(&volume).await,
                4 => self.save_together(&volume).await,
                5 => self.grow_beside_others(&volume).await,
                _ => self.work(&volume).await,
            }
        }
        match self.random.u8(..4) {
            0 => {}
            1 => self.stay(&volume).await,
            2 => self.tear_down(volume).await,
            _ => self.delete(volume).await,
        }
    }

    /// Somebody who does something else with the same volume at the same time.
    fn hand(&mut self) -> Self {
        let (scene, random, name) = (self.scene.clone(), self.random.fork(), self.next_name());
        Self { scene, random, name, named: 0, ..*self }
    }

    /// Of a hand, while its user attaches or detaches.
    async fn meddle(&mut self, volume: &str) {
        self.pause(10).await;
        match self.random.u8(..5) {
            0 => self.grow(volume).await,
            1 => self.modify(volume).await,
            2 => self.save(volume).await,
            _ => {}
        }
    }

    async fn grow_beside_others(&mut self, volume: &str) {
        self.gib += 1;
        let mut hand = self.hand();
        if self.random.bool() {
            tokio::join!(biased; self.expand(volume), hand.modify(volume));
        } else {
            tokio::join!(biased; self.expand(volume), hand.save(volume));
        }
        self.kind = hand.kind;
    }

    /// The pod and its claim are deleted together, and the detach isn't waited for.
    async fn tear_down(&mut self, volume: String) {
        let server = self.server();
        self.attach(&volume, &server, NEVER).await;
        let mut hand = self.hand();
        let delete = async {
            hand.pause(5).await;
            hand.delete(volume.clone()).await;
        };
        tokio::join!(biased; self.detach(&volume, &server), delete);
    }

    /// A claim, and its volume once it is bound. One that is given up while it is bound is deleted.
    async fn claim(&mut self, source: Source) -> Option<String> {
        let patience = self.patience(250);
        let (name, gib, kind) = (self.next_name(), self.gib, self.kind);
        let made = self.scene.converge(&Rpc::Create { name, gib, kind, source }, patience).await?;
        if patience.has_ended(&self.scene) {
            self.delete(made.id).await;
            return None;
        }
        Some(made.id)
    }

    async fn delete(&self, volume: String) {
        self.scene.converge(&Rpc::Delete { volume }, NEVER).await;
    }

    /// A pod, or two at once, or one that moves; what happens meanwhile; and the end of it.
    async fn work(&mut self, volume: &str) {
        let (server, other) = (self.server(), self.server());
        let patience = self.patience(200);
        let is_second = other != server && self.random.bool();
        let is_shared = is_second && self.kind == SHARED;
        let mut hand = self.hand();
        let beside = async {
            match is_shared {
                true => self.attach(volume, &other, patience).await,
                false => hand.meddle(volume).await,
            }
        };
        tokio::join!(biased; self.attach(volume, &server, patience), beside);
        self.take_back(hand);
        match self.random.u8(..4) {
            0 => self.grow(volume).await,
            1 => self.save(volume).await,
            2 => self.pause(30).await,
            _ => {}
        }
        let mut hand = self.hand();
        let beside = async {
            match (is_shared, is_second) {
                (true, _) => self.detach(volume, &other).await,
                (_, true) => self.attach(volume, &other, patience).await,
                _ => hand.meddle(volume).await,
            }
        };
        tokio::join!(biased; self.detach(volume, &server), beside);
        self.take_back(hand);
        if is_second && !is_shared {
            self.detach(volume, &other).await;
        }
    }

    fn take_back(&mut self, hand: Self) {
        (self.kind, self.gib) = (hand.kind, hand.gib);
    }

    /// A pod that runs for good, or for as long as its node is there.
    async fn stay(&mut self, volume: &str) {
        let server = self.server();
        self.attach(volume, &server, NEVER).await;
        while !self.scene.is_calm() {
            pace::sleep(Duration::from_secs(5)).await;
        }
        if self.scene.ledger.borrow().gone_servers.contains(&server) {
            self.detach(volume, &server).await;
        }
    }

    /// One that is given up is taken back.
    async fn attach(&self, volume: &str, server: &str, patience: Patience) {
        let (volume, server) = (volume.to_owned(), server.to_owned());
        let publish =
            Rpc::Publish { volume: volume.clone(), server: server.clone(), shared: self.kind == SHARED };
        if self.scene.converge(&publish, patience).await.is_none() {
            self.detach(&volume, &server).await;
        }
    }

    async fn detach(&self, volume: &str, server: &str) {
        let (volume, server) = (volume.to_owned(), server.to_owned());
        self.scene.converge(&Rpc::Unpublish { volume, server }, NEVER).await;
    }

    async fn grow(&mut self, volume: &str) {
        self.gib += 1;
        self.expand(volume).await;
    }

    async fn expand(&self, volume: &str) {
        let rpc = Rpc::Expand { volume: volume.to_owned(), gib: self.gib };
        self.scene.converge(&rpc, NEVER).await;
    }

    async fn modify(&mut self, volume: &str) {
        if self.kind == SHARED {
            return;
        }
        self.kind = if self.kind == USUAL { FAST } else { USUAL };
        let rpc = Rpc::Modify { volume: volume.to_owned(), kind: self.kind };
        self.scene.converge(&rpc, NEVER).await;
    }

    async fn copy(&mut self, volume: &str) {
        if let Some(copy) = self.claim(Source::Volume(volume.to_owned())).await {
            self.keep_or_delete(copy).await;
        }
    }

    /// A snapshot or a backup, perhaps a volume of it, and the end of both.
    async fn save(&mut self, volume: &str) {
        let patience = self.patience(100);
        let (name, volume) = (self.next_name(), volume.to_owned());
        let rpc = Rpc::Snapshot { name: name.clone(), volume, is_backup: self.random.u8(..3) == 0 };
        let is_whole = self.scene.converge(&rpc, patience).await.is_some();
        let Some(cut) = self.scene.ledger.borrow().snapshot(&name).cloned() else { return };
        if is_whole
            && !patience.has_ended(&self.scene)
            && self.random.bool()
            && let Some(restored) = self.claim(Source::Snapshot(cut.clone())).await
        {
            self.keep_or_delete(restored).await;
        }
        self.scene.converge(&Rpc::DeleteSnapshot { snapshot: cut }, NEVER).await;
    }

    /// Snapshots of two volumes at once, and their end.
    async fn save_together(&mut self, volume: &str) {
        let Some(other) = self.claim(Source::Nothing).await else { return };
        let patience = self.patience(100);
        let (name, volumes) = (self.next_name(), vec![volume.to_owned(), other.clone()]);
        self.scene.converge(&Rpc::CutGroup { name: name.clone(), volumes }, patience).await;
        let cut = self.scene.ledger.borrow().groups.get(&name).cloned();
        if let Some(group) = cut {
            self.scene.converge(&Rpc::DeleteGroup { group }, NEVER).await;
        }
        self.keep_or_delete(other).await;
    }

    async fn keep_or_delete(&mut self, volume: String) {
        if self.random.bool() {
            self.delete(volume).await;
        }
    }

    fn next_name(&mut self) -> String {
        self.named += 1;
        format!("{}-{}", self.name, self.named)
    }

    /// The server of the next pod: one that is there.
    fn server(&mut self) -> String {
        let gone = self.scene.ledger.borrow().gone_servers.clone();
        let there: Vec<_> = self.scene.servers.iter().filter(|id| !gone.contains(*id)).collect();
        there[self.random.usize(..there.len())].clone()
    }

    /// Half of the users give up after at most so many seconds.
    fn patience(&mut self, seconds: u64) -> Patience {
        let end = Instant::now() + Duration::from_secs(self.random.u64(5..seconds));
        Patience(self.random.bool().then_some(end))
    }

    async fn pause(&mut self, seconds: u64) {
        pace::sleep(Duration::from_millis(self.random.u64(..seconds * 1000))).await;
    }
}

//! Every order of waiters, the poller and the cloud's answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::runtime::Handle;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::openstack::recorded::{Recorded, Reply, options};
use crate::openstack::{Cloud, Http};
use crate::pace::schedules::{Gate, Schedule, Scheduler, every_schedule};
use crate::volume::sample::id;

/// Each volume is as large as the cloud has seen requests: an answer says when it was given.
struct Counted {
    cinder: Cinder,
    requests: Arc<AtomicUsize>,
}

impl Counted {
    /// A cloud whose token and versions are known, and whose answers wait at the gate from now on.
    async fn new(gate: &Gate, volumes: u128) -> Self {
        let (recorded, requests) = (Recorded::default(), Arc::new(AtomicUsize::new(0)));
        let (inner, counter, gate) = (recorded.clone(), Arc::clone(&requests), gate.clone());
        let is_open = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let opened = Arc::clone(&is_open);
        let http = Http::new(service_fn(move |request: http::Request<bytes::Bytes>| {
            let version = counter.fetch_add(1, Ordering::Relaxed) + 1;
            show(&inner, volumes, version);
            let what = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let (reply, gate) = (inner.http().oneshot(request), gate.clone());
            let is_open = opened.load(Ordering::Relaxed);
            async move {
                let reply = reply.await;
                if !is_open {
                    gate.pass(what).await;
                }
                reply
            }
        }));
        let cinder = Cloud::new(http, options()).cinder;
        cinder.list_volumes_changed_since(pace::now()).await.unwrap();
        is_open.store(false, Ordering::Relaxed);
        Self { cinder, requests }
    }
}

fn show(recorded: &Recorded, volumes: u128, version: usize) {
    let all: Vec<_> = (1..=volumes)
        .map(|n| json!({"id": id(n).to_string(), "status": "available", "size": version}))
        .collect();
    for (n, volume) in (1..).zip(&all) {
        let path = format!("GET /volume/v3/p/volumes/{}", id(n));
        recorded.on(&path, [Reply::json(200, json!({ "volume": volume }))]);
    }
    recorded.on("GET /volume/v3/p/volumes/detail", [Reply::json(200, json!({ "volumes": all }))]);
}

async fn play(schedule: &mut Schedule, waiters: &[&'static str], drops: usize, ticks: usize) {
    pace::begin(SystemTime::UNIX_EPOCH, 1);
    let mut scheduler = Scheduler::new(drops);
    scheduler.ticks = ticks;
    let cloud = Counted::new(&scheduler.gate, waiters.len() as u128).await;
    let watch = Watch::new(cloud.cinder.clone());
    for (n, name) in (1..).zip(waiters) {
        let (watch, requests) = (watch.clone(), Arc::clone(&cloud.requests));
        scheduler.add(name, async move {
            let asked = requests.load(Ordering::Relaxed) as u64;
            let seen =
                watch.follow(("attach", "volume"), Interest::Change(id(n))).next().await.unwrap().unwrap();
            assert!(seen.size > asked, "{name} asked after request {asked} and is answered by {}", seen.size);
        });
    }
    let answers = scheduler.play(schedule, one_poller).await;
    assert!(answers.iter().flatten().count() + drops >= waiters.len());
    let state = watch.shared.lock();
    assert!(state.asks.iter().all(|ask| ask.reply.is_closed()), "an ask is left");
}

fn one_poller() {
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert!(tasks <= 1, "{tasks} pollers");
}

#[test]
fn every_waiter_is_answered_by_a_look_that_began_after_it_asked() {
    every_schedule("watch: two waiters, one of whom leaves", async |schedule| {
        play(schedule, &["first", "second"], 1, 1).await;
    });
    every_schedule("watch: three waiters, a list for all", async |schedule| {
        play(schedule, &["first", "second", "third"], 0, 0).await;
    });
}

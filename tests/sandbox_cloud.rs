//! The simulated cloud behaves as the real one: what it claims is asked of a real OpenStack by the same tests.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod sandbox_cloud {
    mod backups;
    pub mod bed;
    pub mod client;
    mod disks;
    mod groups;
    mod lists;
    mod requests;
    mod retypes;
    mod side_by_side;
    mod snapshots;
    mod states;
    pub mod table;
}

use std::path::Path;

use cinder_csi::sandbox::{Latency, Settings};
use sandbox_cloud::bed::cloud_of;
use sandbox_cloud::client::Client;
use sandbox_cloud::table::Walk;
use sandbox_cloud::table::brake::Brake;

/// The clouds to ask: the simulated one, and the lab whose `openrc` the environment names.
async fn clouds() -> Vec<(&'static str, Walk)> {
    let simulated = cloud_of(Settings { latency: Latency::lab(), ..Settings::default() });
    let url = "http://sandbox.test/identity/v3";
    let small = Client::log_in(simulated.http(), url, "csi-small", "labsecret", "k8s-small").await;
    let walk = Walk::new(Client::of(&simulated).await, small, Brake::Simulated(simulated));
    let mut clouds = vec![("simulated", walk)];
    #[allow(clippy::disallowed_methods, reason = "the parameter of this test")]
    if let Ok(path) = std::env::var("OPENSTACK_LAB") {
        let openrc = std::fs::read_to_string(&path).unwrap();
        let read = |name: &str| {
            let lines =
                openrc.lines().filter_map(|line| line.trim().trim_start_matches("export ").split_once('='));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
        };
        let (url, password) = (read("OS_AUTH_URL"), read("OS_PASSWORD"));
        let (user, project) = (read("OS_USERNAME"), read("OS_PROJECT_NAME"));
        let (small_user, small_project) = (format!("{user}-small"), format!("{project}-small"));
        let client = Client::log_in(Client::sockets(), &url, &user, &password, &project).await;
        let small = Client::log_in(Client::sockets(), &url, &small_user, &password, &small_project).await;
        let faults = Path::new(&path).with_file_name("state").join("inject");
        clouds.push(("real", Walk::new(client, small, Brake::Lab(faults))));
    }
    clouds
}

#[tokio::test]
async fn every_cloud_given_answers_as_the_table_says() {
    let expected: Vec<_> = include_str!("sandbox_cloud/table.txt").lines().collect();
    for (name, walk) in clouds().await {
        let seen = walk.whole().await;
        let differences: Vec<_> = (0..expected.len().max(seen.len()))
            .map(|index| {
                (expected.get(index).copied().unwrap_or_default(), seen.get(index).map_or("", String::as_str))
            })
            .filter(|(expected, seen)| expected != seen)
            .map(|(expected, seen)| format!("table: {expected}\n seen: {seen}\n"))
            .collect();
        assert!(differences.is_empty(), "the {name} cloud:\n{}", differences.join("\n"));
    }
}

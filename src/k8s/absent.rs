//! A build without the feature `k8s`: there is never an API.

use super::{Absent, Claim, Listed, Node, Persistent, Result, Settings};

/// Nobody has one.
#[derive(Clone, Debug)]
pub enum Kubernetes {}

impl Kubernetes {
    pub fn connect(_: &Settings) -> std::result::Result<Self, Absent> {
        Err(Absent::NotConfigured(
            "this build of the driver has no Kubernetes client (feature k8s)".to_owned(),
        ))
    }

    pub async fn find_claim(&self, _: &str, _: &str) -> Result<Option<Claim>> {
        match *self {}
    }

    pub async fn find_persistent(&self, _: &str) -> Result<Option<Persistent>> {
        match *self {}
    }

    pub async fn find_node(&self, _: &str) -> Result<Option<Node>> {
        match *self {}
    }

    pub async fn find_listed(&self, _: &str, _: &str) -> Result<Option<Listed>> {
        match *self {}
    }

    pub async fn remove_taints(&self, _: &str, _: &str, _: &[usize]) -> Result<bool> {
        match *self {}
    }

    pub async fn list_attached(&self, _: &str, _: &str) -> Result<Vec<String>> {
        match *self {}
    }
}

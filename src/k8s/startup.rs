//! A node that joins may carry a taint until the driver is there: Pods that came before would find no limit and no volume.

use tracing::info;

use super::{Kubernetes, Listed, Node, Result, looks};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Wait(String),
    /// The taints at these places.
    Remove(Vec<usize>),
    Done,
}

/// A driver that waits for its node.
#[derive(Clone, Debug)]
pub struct Startup {
    pub kubernetes: Kubernetes,
    pub node: String,
    pub driver: &'static str,
    /// The taint's.
    pub key: String,
}

impl Startup {
    /// Removes the taint once the node's CSINode lists the driver, and looks no more.
    pub async fn run(self) {
        let (mut pauses, mut told) = (looks(), String::new());
        loop {
            let why = match self.step().await {
                Ok(Step::Done) => break,
                Ok(Step::Wait(why)) => why,
                Ok(Step::Remove(places)) => match self.remove(&places).await {
                    Ok(true) => break,
                    Ok(false) => format!("the taints of Node {} have just changed", self.node),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if why != told {
                info!(taint = self.key, "the taint stays for now: {why}");
                told = why;
            }
            crate::pace::sleep(pauses.step()).await;
        }
        info!(taint = self.key, node = self.node, "the driver is registered, and the node free of the taint");
    }

    async fn step(&self) -> Result<Step> {
        let listed = self.kubernetes.find_listed(&self.node, self.driver).await?;
        if let Some(why) = self.missing(listed) {
            return Ok(Step::Wait(why));
        }
        Ok(plan(self.kubernetes.find_node(&self.node).await?.as_ref(), &self.node, &self.key))
    }

    async fn remove(&self, places: &[usize]) -> Result<bool> {
        self.kubernetes.remove_taints(&self.node, &self.key, places).await
    }

    /// What the CSINode lacks. The driver always tells a limit, and without one the scheduler sends any number of volumes.
    fn missing(&self, listed: Option<Listed>) -> Option<String> {
        let Self { node, driver, .. } = self;
        match listed {
            None => {
                Some(format!("CSINode {node} doesn't list {driver} yet: the kubelet hasn't registered it"))
            }
            Some(Listed { limit: None }) => {
                Some(format!("CSINode {node} has no count of volumes for {driver} yet"))
            }
            Some(Listed { limit: Some(_) }) => None,
        }
    }
}

fn plan(found: Option<&Node>, node: &str, key: &str) -> Step {
    let Some(found) = found else { return Step::Wait(format!("there is no Node {node}")) };
    let places: Vec<_> = (0..found.taints.len()).filter(|place| found.taints[*place] == key).collect();
    if places.is_empty() { Step::Done } else { Step::Remove(places) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_taint_with_the_key_goes_and_no_other() {
        for (taints, step) in [
            (&[][..], Step::Done),
            (&["other"], Step::Done),
            (&["key"], Step::Remove(vec![0])),
            (&["key", "other", "key", "keys"], Step::Remove(vec![0, 2])),
        ] {
            let node = Node { taints: taints.iter().map(|key| key.to_string()).collect(), ..Node::default() };
            assert_eq!(plan(Some(&node), "n", "key"), step, "{taints:?}");
        }
        assert_eq!(plan(None, "n", "key"), Step::Wait("there is no Node n".to_owned()));
    }
}

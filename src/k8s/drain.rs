//! A node that is taken away: its volumes are detached while its driver still runs, or Kubernetes waits for six minutes before
//! it detaches them by force (`maxWaitForUnmountDuration` in
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/volume/attachdetach/attach_detach_controller.go>).

use super::{Error, Kubernetes, Node, Result, looks};
use crate::pace::{self, Deadline};

/// Taints of a node that is about to go. `node.kubernetes.io/out-of-service` and `node.cloudprovider.kubernetes.io/shutdown`
/// aren't among them: such a node is down, and nothing unmounts there any more.
const LEAVING: [&str; 4] = [
    // https://kubernetes.io/docs/reference/labels-annotations-taints/
    "node.kubernetes.io/unschedulable",
    // https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/utils/taints/taints.go
    "ToBeDeletedByClusterAutoscaler",
    // https://karpenter.sh/docs/concepts/disruption/, and the name that it had before version 1.
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
];

/// How long a line of names may get.
const NAMED: usize = 10;

/// A node whose driver is about to end.
#[derive(Clone, Debug)]
pub struct Drain {
    pub kubernetes: Kubernetes,
    pub node: String,
    pub driver: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// With the last word.
    End(String),
    Wait(String),
}

impl Drain {
    /// Where the node is being taken away, waits until none of the driver's volumes is attached to it, or for the deadline.
    /// `Err`: a sentence on what is still attached, or why that isn't known.
    pub async fn wait(&self, deadline: Deadline, say: impl Fn(&str)) -> std::result::Result<(), String> {
        pace::within(deadline, self.look_until_free(say)).await
    }

    async fn look_until_free(&self, say: impl Fn(&str)) -> std::result::Result<(), String> {
        let (mut pauses, mut told) = (looks(), String::new());
        loop {
            let step = match self.step().await {
                Ok(step) => step,
                // It stays so until somebody mends the role.
                Err(Error::Denied(why)) => return Err(why),
                Err(Error::Unavailable(why)) => Step::Wait(why),
            };
            let (words, ends) = match step {
                Step::End(words) => (words, true),
                Step::Wait(words) => (words, false),
            };
            if words != told {
                say(&words);
                told = words;
            }
            if ends {
                return Ok(());
            }
            if !pace::pause(pauses.step()).await {
                return Err(format!("the time is over: {told}"));
            }
        }
    }

    async fn step(&self) -> Result<Step> {
        let found = self.kubernetes.find_node(&self.node).await?;
        let Some(why) = leaving(found.as_ref()) else {
            return Ok(Step::End(format!("Node {} isn't being drained: nothing to wait for", self.node)));
        };
        let attached = self.kubernetes.list_attached(&self.node, self.driver).await?;
        Ok(plan(&self.node, &why, &attached))
    }
}

/// Why the node is taken away.
fn leaving(node: Option<&Node>) -> Option<String> {
    let Some(node) = node else { return Some("it is gone".to_owned()) };
    if node.is_deleted {
        return Some("it is being deleted".to_owned());
    }
    let taint = node.taints.iter().find(|key| LEAVING.contains(&key.as_str()));
    let cordoned = || node.is_unschedulable.then(|| "it is unschedulable".to_owned());
    taint.map(|key| format!("it has the taint {key}")).or_else(cordoned)
}

fn plan(node: &str, why: &str, attached: &[String]) -> Step {
    if attached.is_empty() {
        return Step::End(format!("Node {node} is being drained ({why}), and no volume is attached to it"));
    }
    let more = if attached.len() > NAMED { " and more" } else { "" };
    let names = attached.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let volumes = match attached.len() {
        1 => "1 volume is".to_owned(),
        number => format!("{number} volumes are"),
    };
    Step::Wait(format!("Node {node} is being drained ({why}): {volumes} still attached: {names}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tainted(keys: &[&str]) -> Node {
        Node { taints: keys.iter().map(|key| key.to_string()).collect(), ..Node::default() }
    }

    #[test]
    fn a_node_is_drained_by_a_cordon_a_taint_or_its_end() {
        let ready = Node::default();
        for (node, why) in [
            (Some(ready.clone()), None),
            (Some(tainted(&["node.kubernetes.io/out-of-service"])), None),
            (Some(tainted(&["node.cloudprovider.kubernetes.io/shutdown"])), None),
            (Some(tainted(&["node.kubernetes.io/not-ready", "DeletionCandidateOfClusterAutoscaler"])), None),
            (Some(Node { is_unschedulable: true, ..ready.clone() }), Some("it is unschedulable")),
            (Some(Node { is_deleted: true, ..ready }), Some("it is being deleted")),
            (
                Some(tainted(&["a", "karpenter.sh/disrupted"])),
                Some("it has the taint karpenter.sh/disrupted"),
            ),
            (None, Some("it is gone")),
        ] {
            assert_eq!(leaving(node.as_ref()).as_deref(), why, "{node:?}");
        }
        for key in LEAVING {
            assert!(leaving(Some(&tainted(&[key]))).unwrap().contains(key));
        }
    }

    #[test]
    fn it_waits_for_every_volume_and_names_some() {
        let names: Vec<_> = (0..12).map(|number| format!("pv-{number}")).collect();
        assert!(matches!(plan("n", "why", &[]), Step::End(words) if words.contains("no volume")));
        let Step::Wait(words) = plan("n", "why", &names[..1]) else { panic!() };
        assert!(words.ends_with(": 1 volume is still attached: pv-0"), "{words}");
        let Step::Wait(words) = plan("n", "why", &names) else { panic!() };
        assert!(
            words.contains("12 volumes are still attached: pv-0, ") && words.ends_with("pv-9 and more"),
            "{words}"
        );
    }
}

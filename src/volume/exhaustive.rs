//! Every order in which things can happen, where there are few things: the plans as they are, on a cloud of a few words.

mod one_name;
mod one_volume;
mod search;

use crate::volume::Condition;

/// Those after which the external-provisioner and the external-attacher certainly call again (`checkError` of
/// <https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go>).
fn is_asked_again(condition: Condition) -> bool {
    matches!(condition, Condition::Unsettled | Condition::TimedOut | Condition::Unavailable)
}

//! What the cloud offers: group types, and whether they are cut at one moment.

use cinder_csi::sandbox::{Fault, Settings, Trouble};
use http::Method;
use tonic::Code;

use super::{MINUTE, Stand, request, taking, within};
use crate::bed::printed;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A cloud with these group types, which doesn't tell which are consistent.
fn offering(types: &[&str]) -> Settings {
    Settings { group_types: names(types), consistent_group_types: None, ..taking(300) }
}

/// A cloud with these group types, which tells that of them only those are consistent.
fn telling(types: &[&str], consistent: &[&str]) -> Settings {
    Settings { consistent_group_types: Some(names(consistent)), ..offering(types) }
}

/// Asks for a group snapshot by this group type, and is refused for good with all of these words.
async fn refused(settings: Settings, group_type: &str, words: &[&str]) {
    let stand = Stand::new(settings).await;
    let mut named = request(&stand.volumes);
    named.parameters.insert("group-type".to_owned(), group_type.to_owned());
    let answer = stand.driver().groups().create_volume_group_snapshot(within(MINUTE, named)).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    for words in words {
        assert!(status.message().contains(words), "{words}: {status}");
    }
    let calls = stand.bed.calls();
    let begun = calls.iter().any(|call| call.method != Method::GET && !call.path.contains("/auth/"));
    assert!(!begun, "{}", printed(&calls));
    assert_eq!(stand.left(), Vec::<String>::new());
}

/// The group type that a group snapshot of this class is cut by.
async fn cut_by(settings: Settings, group_type: &str) -> String {
    let stand = Stand::new(settings).await;
    let mut named = request(&stand.volumes);
    named.parameters.insert("group-type".to_owned(), group_type.to_owned());
    stand.driver().groups().create_volume_group_snapshot(within(MINUTE, named)).await.unwrap();
    let types = stand.bed.get_from_cinder("/group_types").await;
    let group = &stand.bed.get_from_cinder("/groups/detail").await["groups"][0];
    let types = types["group_types"].as_array().unwrap();
    let used = types.iter().find(|one| one["id"] == group["group_type"]).unwrap();
    used["name"].as_str().unwrap().to_owned()
}

const ANY: &str = "";

#[tokio::test(start_paused = true)]
async fn a_cloud_without_the_group_type_refuses_and_says_who_must_make_one() {
    let command = "volume group type create NAME";
    refused(
        offering(&[]),
        ANY,
        &["offers this project no group type", "administrator must make one", command],
    )
    .await;
    refused(offering(&[]), "a", &["offers this project no group type", command]).await;
    refused(offering(&["a", "b"]), "c", &["no group type \"c\" for this project, but a, b"]).await;
    refused(telling(&["a", "b"], &["a", "b"]), ANY, &["several group types (a, b)", "group-type"]).await;
    // Every Cinder has it, and lets nobody use it.
    refused(offering(&[]), "default_cgsnapshot_type", &["administrator must make one"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_group_type_that_is_not_consistent_is_never_used_where_the_cloud_tells() {
    let property = "consistent_group_snapshot_enabled='<is> True'";
    refused(telling(&["a"], &[]), ANY, &["administrator must make one", property]).await;
    refused(telling(&["a", "b"], &[]), ANY, &["administrator must make one", property]).await;
    refused(telling(&["a"], &[]), "a", &["group type a cuts one volume after the other", property]).await;
    refused(telling(&["a", "b"], &["b"]), "a", &["group type a cuts one volume after the other", property])
        .await;
}

/// By Cinder's default policy a tenant sees no group specs.
#[tokio::test(start_paused = true)]
async fn a_group_type_that_nobody_vouches_for_is_not_used() {
    let words = ["name it in the class (parameter group-type)", "administrator must make one"];
    refused(offering(&["a"]), ANY, &words).await;
    refused(offering(&["a", "b"]), ANY, &words).await;
}

#[tokio::test(start_paused = true)]
async fn the_group_type_that_is_named_or_the_only_consistent_one_is_used() {
    assert_eq!(cut_by(telling(&["a", "b"], &["b"]), ANY).await, "b");
    assert_eq!(cut_by(offering(&["a"]), "a").await, "a");
    assert_eq!(cut_by(offering(&["a", "b"]), "b").await, "b");
}

/// Groups came with 3.13, and show their volumes from 3.25 on. A cloud whose versions can't be read for a moment looks the
/// same, and may hold a cut of an earlier call.
#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_too_old_for_groups_is_told_and_never_final() {
    for block_storage in [(3, 10), (3, 24)] {
        let stand = Stand::new(Settings { block_storage, ..taking(300) }).await;
        stand.refused(Code::Aborted, "needs microversion 3.25").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_type_that_goes_meanwhile_is_told_and_leaves_nothing() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(Fault::on(Method::POST, "/groups", Trouble::Refused(404)).always());
    stand.refused(Code::FailedPrecondition, "req-").await;
    stand.delete_volumes().await;
}

//! Creates whose answer was lost, and what they made found later.

use std::time::Duration;

use cinder_csi::openstack::GroupSnapshot;
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Mishap, Operation, Trouble};
use http::Method;
use tonic::{Code, Status};

use super::{NAME, Stand, cut, delete, members, request, taking, within};
use crate::bed::cinder;
use crate::driver::Driver;

const UNLISTED: Duration = Duration::from_secs(90);

/// The answer to this POST is lost, and lists don't show for a while what it made.
fn lose(stand: &Stand, path: &str, operation: Operation) {
    stand.bed.cloud.fault(Fault::on(Method::POST, path, Trouble::ResetAfter));
    stand.bed.cloud.mishap(Mishap::Unlisted(operation, UNLISTED));
}

async fn hurried(driver: &Driver, volumes: &[String]) -> Status {
    let request = within(Duration::from_secs(20), request(volumes));
    driver.groups().create_volume_group_snapshot(request).await.unwrap_err()
}

async fn cuts(stand: &Stand) -> Vec<GroupSnapshot> {
    cinder(&stand.bed.cloud).list_group_snapshots_named(NAME).await.unwrap()
}

async fn delete_all(stand: &Stand, driver: &Driver) {
    let done = cut(driver, &stand.volumes).await.unwrap();
    delete(driver, &done.group_snapshot_id, members(&done)).await.unwrap();
    assert_eq!(stand.left(), Vec::<String>::new());
    stand.delete_volumes().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_post_was_not_answered_is_found_and_gone_on_with() {
    for trouble in [Trouble::ResetAfter, Trouble::FailedAfter(503), Trouble::ReplyLost] {
        for path in ["/groups", "/group_snapshots"] {
            let stand = Stand::new(taking(300)).await;
            let driver = stand.driver();
            stand.bed.cloud.fault(Fault::on(Method::POST, path, trouble.clone()));
            if trouble == Trouble::ReplyLost {
                assert_eq!(hurried(&driver, &stand.volumes).await.code(), Code::DeadlineExceeded, "{path}");
            }
            cut(&driver, &stand.volumes).await.unwrap();
            assert_eq!(cuts(&stand).await.len(), 1, "{path} {trouble:?}");
            delete_all(&stand, &driver).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_final_while_an_earlier_post_is_in_doubt() {
    for (path, operation) in [("/groups", Operation::Group), ("/group_snapshots", Operation::GroupSnapshot)] {
        let stand = Stand::new(taking(300)).await;
        let driver = stand.driver();
        lose(&stand, path, operation);
        assert_eq!(hurried(&driver, &stand.volumes).await.code(), Code::DeadlineExceeded, "{path}");
        stand.bed.cloud.fault(Fault::on(Method::POST, path, Trouble::Refused(413)).always());
        let status = hurried(&driver, &stand.volumes).await;
        assert_eq!(status.code(), Code::Aborted, "{path}: {status}");
        stand.bed.cloud.clear_faults();
        pace::sleep(UNLISTED).await;
        delete_all(&stand, &driver).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_ends_with_the_answer() {
    let stand = Stand::new(taking(300)).await;
    let driver = stand.driver();
    stand.bed.cloud.fault(Fault::on(Method::POST, "/groups", Trouble::ResetAfter));
    delete_all(&stand, &driver).await;
    let status = cut(&driver, &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

/// The second call sees nothing of the first one's cut, and makes and promises one of its own.
#[tokio::test(start_paused = true)]
async fn a_cut_that_lists_show_after_another_was_promised_goes_with_that_one() {
    let stand = Stand::new(taking(300)).await;
    let driver = stand.driver();
    lose(&stand, "/group_snapshots", Operation::GroupSnapshot);
    hurried(&driver, &stand.volumes).await;
    let promised = cut(&driver, &stand.volumes).await.unwrap();
    pace::sleep(UNLISTED).await;
    assert_eq!(cuts(&stand).await.len(), 2);
    assert!(cuts(&stand).await.iter().any(|cut| cut.id.to_string() == promised.group_snapshot_id));
    delete(&driver, &promised.group_snapshot_id, members(&promised)).await.unwrap();
    assert_eq!(stand.left(), Vec::<String>::new());
    stand.delete_volumes().await;
}

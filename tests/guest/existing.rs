//! What the driver does that people run today, unchanged: `tests/run guest all` builds it.

use crate::disk::{Bus, Disk, Fault, KIB};
use crate::driver::Guest;
use crate::kubelet::staging;
use crate::unreadable::{filled, read};

/// Should this fail, the existing driver has been mended: then docs/reliability.md says too much.
#[tokio::test(flavor = "multi_thread")]
async fn existing_driver_answers_ok_to_one_unreadable_block_and_the_data_is_gone() {
    let guest = Guest::boot_existing().await;
    let disk: Disk = filled(&guest, "ext4").await;
    assert_eq!(read(&guest, &disk, "ext4").await, "precious\n", "a healthy disk keeps its data");
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::unreadable(Some(64 * KIB..68 * KIB))).await;
    guest.staged(&disk, "ext4").await;
    let names = guest.machine.shell(&format!("ls {}", staging(&disk))).await;
    assert_eq!(names, "lost+found\n", "the file is still there\n{}", guest.log().await);
    guest.unstage(&disk).await.unwrap();
    guest.machine.unplug(&disk).await;
    println!(
        "the existing driver answered OK to one unreadable block, and made a new file system over the old one"
    );
}

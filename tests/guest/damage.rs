//! What a journal doesn't mend: errors in the file system itself.

use tonic::Code;

use crate::disk::{Bus, Disk, Fault};
use crate::driver::Guest;
use crate::unreadable::{filled, read};

#[tokio::test(flavor = "multi_thread")]
async fn what_e2fsck_mends_without_a_question_is_mended_at_stage() {
    let guest = Guest::boot().await;
    let disk = filled(&guest, "ext4").await;
    // Counts that are wrong, and a file system that says it wasn't unmounted.
    damage(&guest, &disk, "set_super_value free_blocks_count 1\nset_super_value state 0\nset_bg 0 free_inodes_count 3\nset_bg 0 checksum calc").await;
    assert_ne!(checked(&guest, &disk).await, 0, "it's sound");
    assert_eq!(read(&guest, &disk, "ext4").await, "precious\n");
    assert_eq!(checked(&guest, &disk).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_human_is_neither_mended_nor_mounted_nor_formatted() {
    let guest = Guest::boot().await;
    let disk = filled(&guest, "ext4").await;
    // The root directory's inode is gone: e2fsck asks before it makes another one.
    damage(&guest, &disk, "clri <2>\nset_super_value state 0").await;
    guest.machine.plug(&disk, Bus::VirtioBlk, &Fault::none()).await;
    let refusal = guest.stage(&disk, "ext4").await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
    assert!(refusal.message().contains("e2fsck"), "{refusal}");
    let name = guest.machine.device(&disk).await;
    let mounts = guest.machine.shell("cat /proc/self/mountinfo").await;
    assert!(!mounts.contains(&disk.volume), "{mounts}");
    guest.machine.run(&format!("e2fsck -fy /dev/{name}")).await;
    let text = format!(
        "mount /dev/{name} /mnt && cat /mnt/lost+found/*/file /mnt/lost+found/* /mnt/file 2>/dev/null; umount /mnt"
    );
    assert!(guest.machine.run(&text).await.1.contains("precious"), "by hand it's found again");
}

async fn damage(guest: &Guest, disk: &Disk, commands: &str) {
    guest.machine.plug(disk, Bus::VirtioBlk, &Fault::none()).await;
    let name = guest.machine.device(disk).await;
    guest
        .machine
        .shell(&format!(
            "printf '{}\\n' >/tmp/damage; debugfs -w -f /tmp/damage /dev/{name}; sync",
            commands.replace('\n', "\\n")
        ))
        .await;
    guest.machine.unplug(disk).await;
}

/// e2fsck's code where it only looks.
async fn checked(guest: &Guest, disk: &Disk) -> i32 {
    guest.machine.plug(disk, Bus::VirtioBlk, &Fault::none()).await;
    let name = guest.machine.device(disk).await;
    let (code, text) = guest.machine.run(&format!("e2fsck -fn /dev/{name}")).await;
    println!("{text}");
    guest.machine.unplug(disk).await;
    code
}

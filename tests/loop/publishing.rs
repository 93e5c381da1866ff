//! A staged volume at one more path, and away again.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use cinder_csi::node::{Access, Condition, FsType, Publish, Stage};

use crate::bed::{Bed, Disk, MIB, VOLUME, mounted, read, run, write};

async fn staged(bed: &Bed) -> Disk {
    let disk = bed.disk(96 * MIB);
    bed.node().stage(bed.stage(FsType::Ext4, &disk)).await.unwrap();
    disk
}

#[tokio::test]
async fn loop_published_three_times_and_unpublished_once_leaves_nothing() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    let request = bed.publish(mounted(FsType::Ext4), &disk);
    for _ in 0..3 {
        bed.node().publish(request.clone()).await.unwrap();
        assert_eq!(bed.mounts_at(&request.target), 1);
    }
    write(&request.target.join("file"), "seen");
    assert_eq!(read(&bed.staging().join("file")), "seen");
    for _ in 0..2 {
        bed.node().unpublish(VOLUME, &request.target).await.unwrap();
        assert!(!request.target.exists());
    }
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
}

#[tokio::test]
async fn loop_a_raw_disk_published_three_times_and_unpublished_once_leaves_nothing() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let node = bed.node();
    node.stage(Stage { access: Access::Block, ..bed.stage(FsType::Ext4, &disk) }).await.unwrap();
    let request = bed.publish(Access::Block, &disk);
    for _ in 0..3 {
        node.publish(request.clone()).await.unwrap();
        assert_eq!(bed.mounts_at(&request.target), 1);
    }
    assert!(fs::metadata(&request.target).unwrap().file_type().is_block_device());
    let stats = node.stats(VOLUME, &request.target).await.unwrap();
    assert_eq!(stats.bytes.unwrap().total, disk.size);
    assert_eq!(stats.inodes, None);
    node.unpublish(VOLUME, &request.target).await.unwrap();
    assert!(!request.target.exists());
    node.unstage(VOLUME, &bed.staging()).await.unwrap();
}

#[tokio::test]
async fn loop_staging_that_is_no_mount_of_the_disk_is_not_published() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    let node = bed.node();
    node.unstage(VOLUME, &bed.staging()).await.unwrap();
    let request = bed.publish(mounted(FsType::Ext4), &disk);
    let error = node.publish(request.clone()).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains("isn't staged there"), "{error}");
    nix::mount::mount(
        Some("none"),
        &bed.staging(),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
    let error = node.publish(request.clone()).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains("not its disk"), "{error}");
    assert!(!request.target.exists());
}

#[tokio::test]
async fn loop_a_read_only_target_takes_no_writes_and_staging_does() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    let request = Publish { read_only: true, ..bed.publish(mounted(FsType::Ext4), &disk) };
    bed.node().publish(request.clone()).await.unwrap();
    assert!(fs::write(request.target.join("file"), "x").is_err());
    write(&bed.staging().join("file"), "x");
    let writing = Publish { read_only: false, ..request };
    assert_eq!(bed.node().publish(writing).await.unwrap_err().condition(), Condition::Exists);
}

#[tokio::test]
async fn loop_a_target_that_is_written_to_is_not_made_read_only() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    let request = bed.publish(mounted(FsType::Ext4), &disk);
    bed.node().publish(request.clone()).await.unwrap();
    let read_only = Publish { read_only: true, ..request };
    let error = bed.node().publish(read_only.clone()).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Exists, "{error}");
    assert_eq!(bed.mounts_at(&read_only.target), 1);
    write(&read_only.target.join("file"), "x");
}

#[tokio::test]
async fn loop_an_exclusive_volume_has_one_target() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    for (access, name) in [(mounted(FsType::Ext4), "mount"), (Access::Block, "raw")] {
        let first = Publish { exclusive: true, target: bed.path(name), ..bed.publish(access, &disk) };
        bed.node().publish(first.clone()).await.unwrap();
        bed.node().publish(first.clone()).await.unwrap();
        let second = Publish { target: bed.path("second"), ..first.clone() };
        let error = bed.node().publish(second).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition, "{error}");
        assert!(error.to_string().contains(first.target.to_str().unwrap()), "{error}");
        bed.node().unpublish(VOLUME, &first.target).await.unwrap();
    }
}

/// The kubelet binds a raw disk at `volumeDevices/<pv>/dev/<pod>`, and a subPath at `volume-subpaths`; restarted, it
/// publishes again.
#[tokio::test]
async fn loop_an_exclusive_volume_that_the_kubelet_binds_once_more_is_published_again() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    for (access, name) in [(mounted(FsType::Ext4), "mount"), (Access::Block, "raw")] {
        let request =
            Publish { exclusive: true, target: bed.path(name), ..bed.publish(access.clone(), &disk) };
        bed.node().publish(request.clone()).await.unwrap();
        let shown = bed.path(&format!("kubelet-{name}"));
        let source = if access == Access::Block {
            write(&shown, "");
            disk.device.clone()
        } else {
            fs::create_dir_all(&shown).unwrap();
            let sub = request.target.join("sub");
            fs::create_dir_all(&sub).unwrap();
            sub
        };
        run("mount", &["--bind", source.to_str().unwrap(), shown.to_str().unwrap()]);
        bed.node().publish(request.clone()).await.unwrap();
        assert_eq!(bed.mounts_at(&request.target), 1);

        bed.node().unpublish(VOLUME, &request.target).await.unwrap();
        let error = bed.node().publish(request).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition, "{error}");
        assert!(error.to_string().contains(shown.to_str().unwrap()), "{error}");
        run("umount", &[shown.to_str().unwrap()]);
    }
}

#[tokio::test]
async fn loop_a_published_volume_is_not_unstaged() {
    let bed = Bed::new();
    let disk = staged(&bed).await;
    let request = bed.publish(mounted(FsType::Ext4), &disk);
    bed.node().publish(request.clone()).await.unwrap();
    let error = bed.node().unstage(VOLUME, &bed.staging()).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert!(error.to_string().contains(request.target.to_str().unwrap()), "{error}");
    bed.node().unpublish(VOLUME, &request.target).await.unwrap();
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
}

#[tokio::test]
async fn loop_a_volume_with_open_files_is_not_unstaged() {
    let bed = Bed::new();
    staged(&bed).await;
    let mut user = std::process::Command::new("sh")
        .args(["-c", "exec 3> \"$0\"; echo; read end"])
        .arg(bed.staging().join("file"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(user.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let error = bed.node().unstage(VOLUME, &bed.staging()).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    drop(user.stdin.take());
    user.wait().unwrap();
    bed.node().unstage(VOLUME, &bed.staging()).await.unwrap();
}

#[tokio::test]
async fn loop_unpublish_removes_no_files_of_the_nodes_own() {
    let bed = Bed::new();
    let target = bed.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("file"), "the node's").unwrap();
    let error = bed.node().unpublish(VOLUME, &target).await.unwrap_err();
    assert_eq!(error.condition(), Condition::Precondition, "{error}");
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "the node's");
    let file = target.join("file");
    assert_eq!(bed.node().unpublish(VOLUME, &file).await.unwrap_err().condition(), Condition::Precondition);
    assert_eq!(fs::read_to_string(file).unwrap(), "the node's");
}

#[tokio::test]
async fn loop_stats_count_bytes_and_inodes_of_what_is_mounted() {
    let bed = Bed::new();
    staged(&bed).await;
    let stats = bed.node().stats(VOLUME, &bed.staging()).await.unwrap();
    let (bytes, inodes) = (stats.bytes.unwrap(), stats.inodes.unwrap());
    assert!((80 * MIB..=96 * MIB).contains(&bytes.total), "{bytes:?}");
    assert!(bytes.available.unwrap() + bytes.used.unwrap() <= bytes.total, "{bytes:?}");
    assert!(inodes.used.unwrap() >= 11 && inodes.total > 1000, "{inodes:?}");
    for nothing in ["nowhere", "dev"] {
        let error = bed.node().stats(VOLUME, &bed.path(nothing)).await.unwrap_err();
        assert_eq!(error.condition(), Condition::NotFound, "{error}");
    }
}

//! How full a volume is.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{Error, On, Result};
use super::host::{FileKind, Host};
use super::place::Place;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    pub bytes: Option<Usage>,
    /// None for a raw disk, and for btrfs, which has no fixed number of them.
    pub inodes: Option<Usage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub total: u64,
    /// None for a raw disk: only its user knows.
    pub used: Option<u64>,
    pub available: Option<u64>,
}

pub(super) async fn stats(host: Arc<dyn Host>, volume: String, path: PathBuf) -> Result<Stats> {
    let place = Place::observe(&*host, &path).await?;
    let object = format!("volume {volume} at {}", path.display());
    if let Some(FileKind::BlockDevice(_)) = place.kind {
        let total = host.disk_size(&place.path).await.on(object, "read its size")?;
        return Ok(Stats { bytes: Some(Usage { total, used: None, available: None }), inodes: None });
    }
    if place.mount().is_none() {
        return Err(Error::not_found(object, "no volume is published or staged there"));
    }
    let found = host.statfs(&place.path).await.on(object, "ask its file system")?;
    let bytes = usage(found.total, found.free, found.available);
    let inodes = (found.inodes > 0).then(|| usage(found.inodes, found.free_inodes, found.free_inodes));
    Ok(Stats { bytes: Some(bytes), inodes })
}

fn usage(total: u64, free: u64, available: u64) -> Usage {
    Usage { total, used: Some(total.saturating_sub(free)), available: Some(available) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::error::Condition;
    use super::super::fake::Fake;
    use super::super::{Node, Settings};
    use crate::pace::{Deadline, within};

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_is_asked_once_and_holds_up_no_one() {
        let fake = Fake::default();
        fake.world().mounts.push("1 2 252:0 / /target rw - ext4 /dev/vda rw".into());
        fake.world().hung.push("/target".into());
        let node = Node::new(std::sync::Arc::new(fake.clone()), Settings::default());
        let ask = || within(Deadline::after(Duration::from_secs(5)), node.stats("v", Path::new("/target")));
        assert_eq!(ask().await.unwrap_err().condition(), Condition::Unsettled);
        assert_eq!(ask().await.unwrap_err().condition(), Condition::Busy);
        let asked = fake.world().done.iter().filter(|done| done.starts_with("statfs")).count();
        assert_eq!(asked, 1);
        assert!(
            node.idle(Deadline::after(Duration::from_secs(1))).await,
            "the exit of the process waits for it"
        );
    }
}

//! The cloud's own time as a plain client has it at best: an order, and then looks in close succession until it's done.

use std::time::Duration;

use cinder_csi::openstack::{Cloud, NewVolume, ServerId, Status, VolumeId};
use cinder_csi::pace;

use super::super::Outcome;

pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// More than any step takes on a cloud that is well.
const MOST_LOOKS: usize = 6000;

pub struct Plain {
    pub cloud: Cloud,
    pub server: ServerId,
}

impl Plain {
    pub async fn take(&self, step: &str, volume: &mut String, round: usize) -> Outcome<()> {
        if step == "create" {
            let id = self.create(round).await?;
            *volume = id.to_string();
            return Ok(());
        }
        let id = volume.parse()?;
        match step {
            "publish" => self.attach(id).await,
            "unpublish" => self.detach(id).await,
            _ => self.delete(id).await,
        }
    }

    async fn create(&self, round: usize) -> Outcome<VolumeId> {
        let name = format!("bench-plain-{}-{round}", std::process::id());
        let id =
            self.cloud.cinder.create_volume(&NewVolume { name, size: 1, ..NewVolume::default() }).await?.id;
        until(async || Ok(self.cloud.cinder.get_volume(id).await?.status == Status::Available)).await?;
        Ok(id)
    }

    async fn attach(&self, id: VolumeId) -> Outcome<()> {
        self.cloud.nova.attach_volume(self.server, id).await?;
        until(async || {
            let volume = self.cloud.cinder.get_volume(id).await?;
            Ok(volume.status == Status::InUse
                && volume.attachments.iter().any(|one| one.server_id == Some(self.server)))
        })
        .await
    }

    /// Until neither names the attachment, as the driver waits, too. Nova is the later one.
    async fn detach(&self, id: VolumeId) -> Outcome<()> {
        self.cloud.nova.detach_volume(self.server, id).await?;
        until(async || Ok(!self.cloud.nova.has_attachment(self.server, id).await?)).await?;
        until(async || {
            let volume = self.cloud.cinder.get_volume(id).await?;
            Ok(volume.status == Status::Available && volume.attachments.is_empty())
        })
        .await
    }

    async fn delete(&self, id: VolumeId) -> Outcome<()> {
        self.cloud.cinder.delete_volume(id).await?;
        until(async || Ok(self.cloud.cinder.find_volume(id).await?.is_none())).await
    }
}

async fn until(done: impl AsyncFn() -> Outcome<bool>) -> Outcome<()> {
    for _ in 0..MOST_LOOKS {
        if done().await? {
            return Ok(());
        }
        pace::sleep(LOOK_EVERY).await;
    }
    Err("the cloud didn't do what was ordered within a minute".into())
}

//! How volumes are, as the cloud sees them.

mod ailment;
mod diagnosis;

use std::collections::BTreeSet;

pub use ailment::{Ailment, Reason, Severity};

use super::list::Placed;
use super::{Error, Position, Result, ServerId, Volume, VolumeId, Volumes};
use diagnosis::diagnose;

/// A volume with something wrong.
#[derive(Clone, Debug)]
pub struct Patient {
    pub volume: Volume,
    pub ailments: Vec<Ailment>,
}

/// One round through many volumes: Nova lists its servers once for all of them.
#[derive(Debug)]
pub struct Checkup<'a> {
    cloud: &'a Volumes,
    servers: Option<BTreeSet<ServerId>>,
}

impl Volumes {
    /// Everything that is known to be wrong with a volume.
    pub async fn health(&self, id: VolumeId) -> Result<Vec<Ailment>> {
        let volume = self.get(id).await?;
        let mut checkup = Checkup { cloud: self, servers: Some(BTreeSet::new()) };
        checkup.examine(&volume).await
    }

    pub fn checkup(&self) -> Checkup<'_> {
        Checkup { cloud: self, servers: None }
    }
}

impl Checkup<'_> {
    /// The ill ones of the volumes after `after`, `limit` at most, only `cluster`'s where one is given; and the place
    /// after which there may be more.
    pub async fn patients(
        &mut self,
        cluster: Option<&str>,
        limit: Option<u32>,
        mut after: Option<Position>,
    ) -> Result<(Vec<Patient>, Option<Position>)> {
        let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut patients = Vec::new();
        loop {
            let (volumes, next) = self.cloud.rows::<Volume>(cluster, None, after).await?;
            for volume in volumes {
                if patients.len() == most {
                    return Ok((patients, after));
                }
                after = Some(volume.position());
                let ailments = self.examine(&volume).await?;
                if !ailments.is_empty() {
                    patients.push(Patient { volume, ailments });
                }
            }
            if next.is_none() {
                return Ok((patients, None));
            }
            after = next;
        }
    }

    async fn examine(&mut self, volume: &Volume) -> Result<Vec<Ailment>> {
        let mut gone = BTreeSet::new();
        for server in volume.attachments.iter().filter_map(|attachment| attachment.server_id) {
            if !self.is_there(server).await? {
                gone.insert(server);
            }
        }
        Ok(diagnose(volume, self.cloud.cinder.clock(), &gone))
    }

    async fn is_there(&mut self, server: ServerId) -> Result<bool> {
        let nova = &self.cloud.nova;
        let servers = match &mut self.servers {
            Some(servers) => servers,
            unknown => {
                let listed = nova.list_server_ids().await.map_err(Error::reading)?;
                unknown.insert(listed.into_iter().collect())
            }
        };
        if servers.contains(&server) {
            return Ok(true);
        }
        // It may be younger than the list.
        let found = nova.find_server(server).await.map_err(Error::reading)?.is_some();
        if found {
            servers.insert(server);
        }
        Ok(found)
    }
}

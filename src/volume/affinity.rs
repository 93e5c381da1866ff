//! Volumes that another one is to be near to, or apart from: names become ids.

use super::namesakes::{Candidate, doubt_of};
use super::{Condition, Error, Result, Volume, VolumeId, Volumes};

/// Where Cinder's scheduler is to put a volume: with which others, and with which not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    pub same_host: Vec<VolumeId>,
    pub different_host: Vec<VolumeId>,
}

/// A volume as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// An id or a name.
    pub word: String,
    /// The volume of the PVC of this name, where there is one.
    pub of_claim: Option<VolumeId>,
}

/// How far the making of a volume has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    No,
    /// A volume of the name is there.
    There,
    /// A call was sent, and what became of it isn't known.
    Doubtful,
}

impl Volumes {
    /// The ids of the volumes, each once.
    pub async fn resolve(&self, references: &[Reference]) -> Result<Vec<VolumeId>> {
        let mut ids = Vec::new();
        for reference in references {
            let id = self.resolve_one(reference).await?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Whether a volume of this name is there or on its way.
    pub async fn progress_of(&self, name: &str) -> Result<Begun> {
        let named = self.cinder.list_volumes_named(name).await.map_err(Error::unsettled)?;
        Ok(match named.is_empty() {
            false => Begun::There,
            true if self.doubts.are_there(&doubt_of(<Volume as Candidate>::WHAT, name)) => Begun::Doubtful,
            true => Begun::No,
        })
    }

    async fn resolve_one(&self, reference: &Reference) -> Result<VolumeId> {
        let word = reference.word.as_str();
        let by_id = match word.parse() {
            Ok(id) => self.existing(id).await?,
            Err(_) => None,
        };
        if let Some(id) = by_id {
            return Ok(id);
        }
        let named = self.cinder.list_volumes_named(word).await.map_err(Error::reading)?;
        let mut found: Vec<VolumeId> = named.iter().map(|volume| volume.id).collect();
        if let Some(id) = reference.of_claim.filter(|id| !found.contains(id)) {
            found.extend(self.existing(id).await?);
        }
        match found.as_slice() {
            [id] => Ok(*id),
            [] => Err(Error::new(
                Condition::Invalid,
                format!(
                    "{word:?} is neither the id nor the name of a volume of this cloud, nor a PVC of the same namespace"
                ),
            )),
            several => {
                let ids: Vec<_> = several.iter().map(VolumeId::to_string).collect();
                let message =
                    format!("{word:?} means several volumes, {}: name one by its id", ids.join(", "));
                Err(Error::new(Condition::Invalid, message))
            }
        }
    }

    async fn existing(&self, id: VolumeId) -> Result<Option<VolumeId>> {
        let found = self.cinder.find_volume(id).await.map_err(Error::reading)?;
        Ok(found.map(|volume| volume.id))
    }
}

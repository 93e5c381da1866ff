//! Volume types.

use super::{Refusal, World, new_id};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct VolumeType {
    pub id: String,
    pub name: String,
    pub description: Option<&'static str>,
    pub multiattach: bool,
    /// No backend offers it.
    pub nowhere: bool,
}

impl VolumeType {
    /// The default is the first.
    pub fn all(random: &mut fastrand::Rng, more: &[(String, bool)]) -> Vec<Self> {
        let mut kind = |name: &str, multiattach, nowhere| Self {
            id: new_id(random),
            name: name.to_owned(),
            description: None,
            multiattach,
            nowhere,
        };
        let mut all = vec![
            kind("lab", false, false),
            kind("lab-fast", false, false),
            kind("lab-nowhere", false, true),
            kind("lab-multiattach", true, false),
            // Cinder makes it itself, and everybody sees it.
            kind("__DEFAULT__", false, false),
        ];
        all.extend(more.iter().map(|(name, multiattach)| kind(name, *multiattach, false)));
        all
    }
}

impl World {
    /// The type with this name or id.
    pub fn kind_named(&self, name: &str) -> Result<&VolumeType, Refusal> {
        let found = self.types.iter().find(|kind| kind.name == name || kind.id == name);
        found.ok_or_else(|| Refusal::new(404, format!("Volume type with name {name} could not be found.")))
    }
}

//! Affinity and anti-affinity, as a PVC's annotations ask for them.
//!
//! <https://github.com/kubernetes/cloud-provider-openstack/blob/master/docs/cinder-csi-plugin/using-cinder-csi-plugin.md>
//! has the annotations; names of PVCs are an addition of ours.

use std::collections::HashMap;
use std::sync::Once;

use tonic::Status;
use tracing::{info, warn};

use super::controller::Controller;
use super::proto::CreateVolumeRequest;
use super::request::create::Create;
use super::{DRIVER, status};
use crate::k8s::{Claim, Kubernetes};
use crate::volume::{Affinity, Begun, Condition, Error, Reference, VolumeId, Volumes};

const NEAR: &str = "cinder.csi.openstack.org/affinity";
const APART: &str = "cinder.csi.openstack.org/anti-affinity";

/// The external-provisioner's, with `--extra-create-metadata`.
const CLAIM: &str = "csi.storage.k8s.io/pvc/name";
const NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";

/// Volumes of the in-tree plugin are ours, too.
const DRIVERS: [&str; 2] = [DRIVER, "kubernetes.io/cinder"];

/// Each word costs a call or two.
const MOST_WORDS: usize = 64;

/// Reads annotations.
#[derive(Clone, Debug)]
pub struct Annotations {
    kubernetes: Kubernetes,
}

/// The PVC that a volume is made for.
struct Asker<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Controller {
    /// Places the volume as its PVC asks, where PVCs are asked. What the StorageClass asks for stays.
    pub(super) async fn place(
        &self,
        request: &CreateVolumeRequest,
        cloud: &Volumes,
        create: &mut Create,
    ) -> Result<(), Status> {
        let Some(annotations) = &self.annotations else { return Ok(()) };
        let affinity = annotations.affinity(&request.parameters, cloud, &create.wanted.name).await?;
        create.context.extend(context(&affinity));
        let hints = &mut create.wanted.hints;
        add(&mut hints.same_host, affinity.same_host);
        add(&mut hints.different_host, affinity.different_host);
        Ok(())
    }
}

fn add(ids: &mut Vec<VolumeId>, more: Vec<VolumeId>) {
    for id in more {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
}

/// With what a volume is to be, and what not, as the node and `kubectl describe pv` see it.
fn context(affinity: &Affinity) -> impl Iterator<Item = (String, String)> {
    let joined = |ids: &[VolumeId]| ids.iter().map(VolumeId::to_string).collect::<Vec<_>>().join(",");
    [("affinity", joined(&affinity.same_host)), ("anti-affinity", joined(&affinity.different_host))]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(key, ids)| (key.to_owned(), ids))
}

impl Annotations {
    pub fn new(kubernetes: Kubernetes) -> Self {
        Self { kubernetes }
    }

    /// Where the volume `name` is to be made. One that is there already is not moved, so that nothing about the PVC
    /// may stop it from being answered; while that isn't known, no error is final.
    pub async fn affinity(
        &self,
        parameters: &HashMap<String, String>,
        cloud: &Volumes,
        name: &str,
    ) -> Result<Affinity, Status> {
        let asked = match asker(parameters) {
            Some(asker) => self.read(&asker, cloud).await,
            None => Ok(Affinity::default()),
        };
        let Err(error) = asked else { return asked };
        match cloud.begun(name).await? {
            Begun::No => Err(error),
            Begun::There => {
                info!(volume = name, why = error.message(), "the volume is there: its PVC isn't asked again");
                Ok(Affinity::default())
            }
            Begun::Doubtful => {
                let message =
                    format!("{}; and an earlier call may still make volume {name}", error.message());
                Err(Error::new(Condition::Unsettled, message).into())
            }
        }
    }

    async fn read(&self, asker: &Asker<'_>, cloud: &Volumes) -> Result<Affinity, Status> {
        let Some(claim) = self.kubernetes.find_claim(asker.namespace, asker.name).await? else {
            let message = format!(
                "PVC {}/{}, whose annotations place the volume, is gone",
                asker.namespace, asker.name
            );
            return Err(Error::new(Condition::Precondition, message).into());
        };
        let affinity = Affinity {
            same_host: self.volumes(asker, &claim, NEAR, cloud).await?,
            different_host: self.volumes(asker, &claim, APART, cloud).await?,
        };
        match affinity.same_host.iter().find(|id| affinity.different_host.contains(id)) {
            Some(id) => Err(asker.wrong(APART, format!("volume {id} is in {NEAR}, too"))),
            None => Ok(affinity),
        }
    }

    async fn volumes(
        &self,
        asker: &Asker<'_>,
        claim: &Claim,
        annotation: &str,
        cloud: &Volumes,
    ) -> Result<Vec<VolumeId>, Status> {
        let words = words(claim.annotations.get(annotation).map_or("", String::as_str));
        if words.len() > MOST_WORDS {
            return Err(asker.wrong(annotation, format!("names more than {MOST_WORDS} volumes")));
        }
        let mut references = Vec::new();
        for word in words {
            let of_claim = match word.parse::<VolumeId>() {
                Ok(_) => None,
                Err(_) => self.of_claim(asker, annotation, word).await?,
            };
            references.push(Reference { word: word.to_owned(), of_claim });
        }
        cloud.resolve(&references).await.map_err(|error| error.context(asker.place(annotation)).into())
    }

    /// The volume of the PVC `word`, where there is such a PVC.
    async fn of_claim(
        &self,
        asker: &Asker<'_>,
        annotation: &str,
        word: &str,
    ) -> Result<Option<VolumeId>, Status> {
        let Some(claim) = self.kubernetes.find_claim(asker.namespace, word).await? else { return Ok(None) };
        if word == asker.name {
            return Err(asker.wrong(annotation, format!("{word:?} is this PVC itself")));
        }
        let bound = match &claim.volume {
            Some(volume) => self.kubernetes.find_persistent(volume).await?,
            None => {
                let message = format!("PVC {word:?} isn't bound yet: this volume is made once it is");
                return Err(Error::new(Condition::Precondition, message)
                    .context(asker.place(annotation))
                    .into());
            }
        };
        let id = bound
            .filter(|volume| DRIVERS.contains(&volume.driver.as_str()))
            .and_then(|volume| volume.handle.parse().ok());
        id.map(Some)
            .ok_or_else(|| asker.wrong(annotation, format!("PVC {word:?} is bound to no volume of Cinder")))
    }
}

impl Asker<'_> {
    fn place(&self, annotation: &str) -> String {
        format!("annotation {annotation} of PVC {}/{}", self.namespace, self.name)
    }

    fn wrong(&self, annotation: &str, why: String) -> Status {
        status::invalid(&self.place(annotation), why)
    }
}

fn asker(parameters: &HashMap<String, String>) -> Option<Asker<'_>> {
    static TOLD: Once = Once::new();
    let parameter = |key: &str| parameters.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let asker = parameter(NAMESPACE).zip(parameter(CLAIM)).map(|(namespace, name)| Asker { namespace, name });
    if asker.is_none() {
        TOLD.call_once(|| warn!("annotations of PVCs can't be read: the external-provisioner says no PVC's name; it does with --extra-create-metadata"));
    }
    asker
}

fn words(list: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_trimmed_and_told_once() {
        assert_eq!(words(" a, b ,,a,\n c"), ["a", "b", "c"]);
        assert!(words(" , ").is_empty());
    }

    #[test]
    fn the_context_has_what_the_existing_driver_puts_there() {
        let id = "1b4e28ba-2fa1-11ec-8d3d-0242ac130003";
        let other = "2b4e28ba-2fa1-11ec-8d3d-0242ac130003";
        let apart = vec![id.parse().unwrap(), other.parse().unwrap()];
        let affinity = Affinity { same_host: Vec::new(), different_host: apart };
        let context: Vec<_> = context(&affinity).collect();
        assert_eq!(context, [("anti-affinity".to_owned(), format!("{id},{other}"))]);
    }
}

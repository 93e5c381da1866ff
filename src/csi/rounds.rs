//! Looks after the cluster's volumes: Kubernetes 1.36 asks for no volume's health, so what is wrong with one is in the
//! metrics, and on its claim as an Event.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clouds::Clouds;
use super::request::parameters::{CLAIM, CLAIM_NAMESPACE};
use crate::k8s::{Events, Object, Report, Severity};
use crate::pace::{self, Backoff, Deadline};
use crate::volume::{Patient, Reason, Result, Volumes};

/// One round through a cloud of ten thousand volumes takes seconds.
const LONGEST: Duration = Duration::from_secs(120);

/// The rounds through the volumes of one cluster.
#[derive(Clone, Debug)]
pub struct Rounds {
    pub clouds: Clouds,
    /// `--cluster`: others' volumes are others' to look after.
    pub cluster: String,
    pub events: Option<Events>,
}

impl Rounds {
    /// Looks after so long, again and again.
    pub async fn run(self, every: Duration) {
        let mut pauses = Backoff::new(every, every);
        loop {
            pace::sleep(pauses.step()).await;
            self.look().await;
        }
    }

    /// One round through all clouds.
    pub async fn look(&self) {
        for (name, cloud) in self.clouds.all() {
            let patients = pace::within(Deadline::after(LONGEST), self.patients(cloud)).await;
            let result = if patients.is_ok() { "ok" } else { "failed" };
            metrics::counter!("cinder_csi_health_looks_total", "cloud" => name.to_owned(), "result" => result)
                .increment(1);
            match patients {
                Ok(patients) => self.tell_all(name, &patients),
                // What was seen before stands until the next round.
                Err(error) => {
                    tracing::warn!(cloud = name, %error, "the health of its volumes couldn't be read");
                }
            }
        }
    }

    async fn patients(&self, cloud: &Volumes) -> Result<Vec<Patient>> {
        let (patients, _) = cloud.checkup().patients(Some(&self.cluster), None, None).await?;
        Ok(patients)
    }

    fn tell_all(&self, cloud: &str, patients: &[Patient]) {
        let mut ill: BTreeMap<Reason, u32> = Reason::ALL.iter().map(|reason| (*reason, 0)).collect();
        patients.iter().for_each(|patient| self.tell(patient, &mut ill));
        for (reason, count) in ill {
            let labels = [("cloud", cloud.to_owned()), ("reason", reason.name().to_owned())];
            metrics::gauge!("cinder_csi_unhealthy_volumes", &labels).set(count);
        }
    }

    fn tell(&self, patient: &Patient, ill: &mut BTreeMap<Reason, u32>) {
        let volume = &patient.volume;
        for ailment in &patient.ailments {
            *ill.entry(ailment.reason).or_default() += 1;
            tracing::warn!(volume = %volume.id, reason = %ailment.reason, "{}", ailment.message);
            let named = |key| volume.metadata.get(key).cloned();
            if let (Some(events), Some(namespace), Some(claim)) =
                (&self.events, named(CLAIM_NAMESPACE), named(CLAIM))
            {
                events.tell(Report {
                    namespace,
                    object: Object::Claim(claim),
                    severity: Severity::Warning,
                    reason: ailment.reason.to_string(),
                    message: format!("volume {}: {}", volume.id, ailment.message),
                });
            }
        }
    }
}

//! What the metrics and the line of a slow stage tell of it.

use std::time::Duration;

use cinder_csi::node::{FsType, Phases, phased};

use crate::bed::{Bed, MIB};

fn names(phases: &Phases) -> Vec<&'static str> {
    phases.spent(Duration::from_secs(60)).iter().map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn loop_a_stage_has_its_phases_and_measures_each() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let (node, request) = (bed.node(), bed.stage(FsType::Ext4, &disk));
    let (made, phases) = phased(node.stage(request.clone())).await;
    made.unwrap();
    assert_eq!(names(&phases), ["find", "probe", "mkfs", "mount", "grow", "other"]);
    node.unstage(&request.volume, &bed.staging()).await.unwrap();
    let (used, phases) = phased(node.stage(request)).await;
    used.unwrap();
    assert_eq!(names(&phases), ["find", "probe", "check", "grow", "mount", "grow", "other"]);
    let told = recorder.handle().render();
    for (phase, count) in [("find", 2), ("mkfs", 1), ("check", 1), ("mount", 2)] {
        let line = format!("cinder_csi_stage_phase_duration_seconds_count{{phase=\"{phase}\"}} {count}");
        assert!(told.contains(&line), "no {line} in {told}");
    }
}

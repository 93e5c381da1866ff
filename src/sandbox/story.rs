//! A volume's life, told step by step as it happens.

mod life;
mod proof;
mod report;

use std::io;

use super::rig::{NODES, Rig};
use crate::cli::Sandbox;
use life::{Growth, Life};
use report::Report;

/// The step that failed, and the reason.
#[derive(Debug)]
pub(super) struct Trouble {
    pub step: &'static str,
    pub why: String,
}

/// Takes a volume through its life, and answers what was proven.
pub(super) async fn tell(rig: &mut Rig, flags: &Sandbox) -> Result<String, Trouble> {
    let mut report = Report::new(rig.cloud.clone());
    let opened = open(rig, flags, &mut report).await;
    let mut life = opened.map_err(|error| Trouble { step: "start", why: error.to_string() })?;
    report.step("start", life.start()).await?;
    report.step("create", life.create()).await?;
    report.step("attach", life.attach()).await?;
    if rig.has_disks {
        on_the_node(rig, flags, &mut report, &mut life).await?;
    } else {
        report.step("expand", life.expand_in_cloud()).await?;
    }
    report.step("detach", life.detach()).await?;
    report.step("delete", life.delete()).await?;
    report.step("check", async { nothing_left(rig) }).await?;
    Ok(proven(rig, &report, &life))
}

/// The half that needs root.
async fn on_the_node(
    rig: &Rig,
    flags: &Sandbox,
    report: &mut Report,
    life: &mut Life,
) -> Result<(), Trouble> {
    report.step("stage", life.stage()).await?;
    report.step("publish", life.publish()).await?;
    report.step("write", life.write()).await?;
    if flags.pause {
        let shown = report.pause(life.disk(), life.target(), &rig.clouds_yaml()).await;
        shown.map_err(|error| Trouble { step: "pause", why: error.to_string() })?;
    }
    report.step("expand", life.expand()).await?;
    if life.growth() == Growth::Offline {
        report.step("restage", life.restage()).await?;
    }
    report.step("read back", life.read_back()).await?;
    report.step("unpublish", life.unpublish()).await?;
    report.step("unstage", life.unstage()).await
}

async fn open(rig: &mut Rig, flags: &Sandbox, report: &mut Report) -> io::Result<Life> {
    let controller = rig.start_controller().await?;
    let node = rig.start_node(NODES[0]).await?;
    report.say("A volume's life: the real driver on its sockets, a simulated OpenStack over HTTP.\n")?;
    report.fact("cloud", &rig.served.auth_url())?;
    report.fact("controller", &controller.display().to_string())?;
    report.fact(NODES[0], &node.display().to_string())?;
    if !rig.has_disks {
        report.fact(
            "no disks",
            "the controller's half only: stage, publish, write and read back need root and /dev/loop-control",
        )?;
    }
    report.say("")?;
    Life::new(&controller, &node, rig, flags.seed).map_err(io::Error::other)
}

fn nothing_left(rig: &Rig) -> Result<String, String> {
    let mut left = rig.cloud.inventory();
    for on_this_machine in [rig.place.in_use(), rig.place.data()] {
        left.extend(on_this_machine.map_err(|error| error.to_string())?);
    }
    if !left.is_empty() {
        return Err(format!("these are left: {}", left.join(", ")));
    }
    Ok("nothing is left in the cloud or on this machine".to_owned())
}

fn proven(rig: &Rig, report: &Report, life: &Life) -> String {
    let mut lines = vec![format!(
        "Proven in {}, with {} calls to the cloud:",
        report::shown(report.elapsed()),
        report.calls()
    )];
    if rig.has_disks {
        lines.push(format!(
            "  - {} of random bytes on a real ext4 came back equal, read from the disk after it had grown from 1 to 2 GiB{}.",
            proof::SIZE_SHOWN,
            match life.growth() {
                Growth::Online => " under its mount",
                Growth::Offline => "",
            }
        ));
        lines.push(
            "  - Nothing is left: no volume, no attachment, no loop device, no mount, no file.".to_owned(),
        );
    } else {
        lines.push(
            "  - The volume was made, attached, grown from 1 to 2 GiB, detached and deleted.".to_owned(),
        );
        lines.push("  - Nothing is left in the cloud: no volume, no attachment.".to_owned());
    }
    lines.join("\n")
}

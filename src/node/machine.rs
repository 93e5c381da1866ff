//! The disks of this machine and the bus that they are on, as sysfs has them.

use std::path::{Path, PathBuf};

use super::claim::Claims;
use super::device::{claims_to_be_a_volume, identifies, serials};
use super::error::Result;
use super::host::{Host, Number};
use super::mounts::{Mounts, parse_number};
use super::place;

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub disks: Vec<Disk>,
    pub pci: Vec<Function>,
    /// Vendor and device of the host bridge: which kind of machine QEMU plays.
    pub bridge: Option<(u16, u16)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub name: String,
    pub bus: Bus,
    /// A Cinder volume that this driver has, or may get, to do with. Not the root disk, though it may be one, too.
    pub ours: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bus {
    /// The address of its PCI function, where it has one.
    VirtioBlk(Option<String>),
    VirtioScsi,
    Other,
}

/// A PCI function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// `0000:00:05.0`
    pub address: String,
    /// A bridge, which on a PCIe machine is a port.
    pub is_bridge: bool,
    /// The functions behind a bridge.
    pub behind: Vec<String>,
}

const PCI: &str = "/sys/bus/pci/devices";

pub(super) async fn observe(host: &dyn Host, claims: &Claims) -> Result<Machine> {
    let mounts = place::mounts(host).await?;
    let mut disks = Vec::new();
    for name in host.list(Path::new("/sys/block")).await.unwrap_or_default() {
        if let Some(disk) = disk(host, claims, &mounts, &name.to_string_lossy()).await {
            disks.push(disk);
        }
    }
    let mut pci = Vec::new();
    for name in host.list(Path::new(PCI)).await.unwrap_or_default() {
        pci.push(function(host, name.to_string_lossy().into_owned()).await);
    }
    let bridge = Path::new(PCI).join("0000:00:00.0");
    let bridge = hex(host, &bridge.join("vendor")).await.zip(hex(host, &bridge.join("device")).await);
    Ok(Machine { disks, pci, bridge: bridge.map(|(vendor, device)| (vendor as u16, device as u16)) })
}

/// The device nodes of the disks that are volumes of ours.
pub(super) async fn volumes(host: &dyn Host, claims: &Claims) -> Result<Vec<PathBuf>> {
    let machine = observe(host, claims).await?;
    let ours = machine.disks.iter().filter(|disk| disk.ours);
    Ok(ours.map(|disk| Path::new("/dev").join(&disk.name)).collect())
}

async fn disk(host: &dyn Host, claims: &Claims, mounts: &Mounts, name: &str) -> Option<Disk> {
    let directory = Path::new("/sys/block").join(name);
    let real = host.canonical(&directory).await.unwrap_or_else(|_| directory.clone());
    let number =
        host.read(&directory.join("dev")).await.ok().and_then(|text| parse_number(text.trim_ascii()));
    let serials = serials(host, &directory).await.unwrap_or_default();
    let is_volume = serials.iter().any(|serial| claims_to_be_a_volume(serial));
    let is_worked_on = || claims.any_volume(|volume| serials.iter().any(|serial| identifies(serial, volume)));
    let ours = is_volume && (is_worked_on() || !is_foreign(host, mounts, name, number).await);
    Some(Disk { bus: bus(host, name, &real).await, name: name.to_owned(), ours })
}

/// Whether a disk that is a Cinder volume is someone else's: it's in use, and not where an orchestrator has volumes. The
/// root disk of a server that boots from a volume is one, also where its mount is in another namespace than ours. Our own
/// mkfs and e2fsck have their disk for themselves, too.
async fn is_foreign(host: &dyn Host, mounts: &Mounts, name: &str, number: Option<Number>) -> bool {
    let Some(number) = number else { return false };
    let uses = place::uses(host, mounts, number).await;
    if uses.iter().any(|point| is_of_an_orchestrator(point)) {
        return false;
    }
    !uses.is_empty() || host.is_claimed(&Path::new("/dev").join(name)).await.unwrap_or(false)
}

/// `…/plugins/kubernetes.io/csi/…`, `…/pods/…/volumes/kubernetes.io~csi/…`, or the `csi` directory of another one. A root
/// disk that is bound as `/var/lib/kubelet` is none of these.
fn is_of_an_orchestrator(point: &Path) -> bool {
    point.iter().any(|part| matches!(part.to_str(), Some("csi" | "kubernetes.io~csi" | "volumeDevices")))
}

async fn bus(host: &dyn Host, name: &str, real: &Path) -> Bus {
    let parts: Vec<_> = real.iter().filter_map(|part| part.to_str()).collect();
    let address = parts.iter().rev().find(|part| is_address(part));
    if name.starts_with("vd") {
        return Bus::VirtioBlk(address.map(|address| (*address).to_owned()));
    }
    let adapter = parts.iter().find(|part| part.starts_with("host"));
    if let (true, Some(adapter)) = (name.starts_with("sd"), adapter) {
        let file = Path::new("/sys/class/scsi_host").join(adapter).join("proc_name");
        if host
            .read(&file)
            .await
            .is_ok_and(|text| text.trim_ascii() == b"Virtio SCSI HBA" || text.trim_ascii() == b"virtio_scsi")
        {
            return Bus::VirtioScsi;
        }
    }
    Bus::Other
}

async fn function(host: &dyn Host, address: String) -> Function {
    let directory = Path::new(PCI).join(&address);
    let class = hex(host, &directory.join("class")).await.unwrap_or(0);
    let there = host.list(&directory).await.unwrap_or_default();
    let behind = there.iter().filter_map(|name| name.to_str()).filter(|name| is_address(name));
    Function { is_bridge: class >> 8 == 0x0604, behind: behind.map(str::to_owned).collect(), address }
}

/// `0000:00:05.0`
fn is_address(part: &str) -> bool {
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut fields = part.split([':', '.']);
    matches!((fields.next(), fields.next(), fields.next(), fields.next(), fields.next()),
        (Some(domain), Some(bus), Some(slot), Some(function), None)
            if digits(domain, 4) && digits(bus, 2) && digits(slot, 2) && digits(function, 1))
}

async fn hex(host: &dyn Host, file: &Path) -> Option<u32> {
    let text = host.read(file).await.ok()?;
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests;

//! How many volumes the bus of this machine has room for.
//!
//! room = places for disks - places that others have. Volumes of ours that are attached already count as room, so that the
//! number is the same before and after a restart. docs/node.md says what can't be known from inside a server.

use std::collections::BTreeSet;

use super::machine::{Bus, Function, Machine};

/// QEMU's `pc`: one PCI bus.
const I440FX: (u16, u16) = (0x8086, 0x1237);
/// QEMU's `q35`, and the PCIe bridge of its `virt` machines: a disk is plugged into a port.
const PCIE: [(u16, u16); 2] = [(0x8086, 0x29c0), (0x1b36, 0x0008)];

/// The slots of a PCI bus.
const SLOTS: usize = 32;
/// What one virtio-scsi adapter takes, as Nova and libvirt number its units.
const UNITS: usize = 256;

/// The administrator's limit counts volumes, as the existing driver has it, and stays as it is unless the bus has no room
/// for so many. Never 0, which would mean no limit.
pub fn attach_limit(configured: u16, room: Option<usize>) -> i64 {
    let room = room.and_then(|room| i64::try_from(room).ok()).unwrap_or(i64::MAX);
    i64::from(configured).min(room).max(1)
}

pub(super) fn room(machine: &Machine) -> Option<usize> {
    let ours = |bus: &Bus| machine.disks.iter().any(|disk| disk.ours && disk.bus == *bus);
    let is_blk = |bus: &Bus| matches!(bus, Bus::VirtioBlk(_));
    // Volumes come on the bus of the root disk (the image's `hw_disk_bus`), unless one of ours shows another.
    if ours(&Bus::VirtioScsi) || !machine.disks.iter().any(|disk| is_blk(&disk.bus)) {
        return of_scsi(machine);
    }
    match machine.bridge? {
        I440FX => of_slots(machine),
        bridge if PCIE.contains(&bridge) => of_ports(machine),
        _ => None,
    }
}

fn of_scsi(machine: &Machine) -> Option<usize> {
    let mut disks = machine.disks.iter().filter(|disk| disk.bus == Bus::VirtioScsi).peekable();
    disks.peek()?;
    let others = disks.filter(|disk| !disk.ours).count();
    Some(UNITS.saturating_sub(others))
}

fn of_slots(machine: &Machine) -> Option<usize> {
    let ours = addresses(machine);
    let others: BTreeSet<_> = machine
        .pci
        .iter()
        .filter(|function| {
            function.address.starts_with("0000:00:") && !ours.contains(&function.address.as_str())
        })
        .map(slot)
        .collect();
    Some(SLOTS.saturating_sub(others.len()))
}

fn of_ports(machine: &Machine) -> Option<usize> {
    let ours = addresses(machine);
    let is_room = |port: &&Function| match port.behind.as_slice() {
        [] => true,
        behind => behind.iter().any(|address| ours.contains(&address.as_str())),
    };
    let ports = machine.pci.iter().filter(|f| f.is_bridge && f.address.starts_with("0000:00:"));
    Some(ports.filter(is_room).count())
}

fn addresses(machine: &Machine) -> Vec<&str> {
    let address = |bus| match bus {
        &Bus::VirtioBlk(Some(ref address)) => Some(address.as_str()),
        _ => None,
    };
    machine.disks.iter().filter(|disk| disk.ours).filter_map(|disk| address(&disk.bus)).collect()
}

/// The address without the function.
fn slot(function: &Function) -> &str {
    function.address.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::machine::Disk;
    use super::*;

    fn function(address: &str, behind: &[&str]) -> Function {
        let behind: Vec<_> = behind.iter().map(ToString::to_string).collect();
        Function { address: address.into(), is_bridge: false, behind }
    }

    fn port(n: usize, behind: &[&str]) -> Function {
        Function { is_bridge: true, ..function(&format!("0000:00:02.{n}"), behind) }
    }

    fn blk(name: &str, address: &str, ours: bool) -> Disk {
        Disk { name: name.into(), bus: Bus::VirtioBlk(Some(address.into())), ours }
    }

    /// Host bridge, three functions of the south bridge, VGA, network, root disk, balloon.
    fn pc(volumes: usize) -> Machine {
        let mut pci: Vec<_> = ["00.0", "01.0", "01.1", "01.2", "02.0", "03.0", "04.0", "05.0"]
            .map(|end| function(&format!("0000:00:{end}"), &[]))
            .into();
        let mut disks = vec![blk("vda", "0000:00:04.0", false)];
        for n in 0..volumes {
            let address = format!("0000:00:{:02x}.0", 6 + n);
            pci.push(function(&address, &[]));
            disks.push(blk(&format!("vd{n}"), &address, true));
        }
        Machine { disks, pci, bridge: Some(I440FX) }
    }

    /// A root port for the network, one for the root disk, and six more.
    fn q35(volumes: usize) -> Machine {
        let mut disks = vec![blk("vda", "0000:02:00.0", false)];
        let mut pci =
            vec![function("0000:00:00.0", &[]), port(0, &["0000:01:00.0"]), port(1, &["0000:02:00.0"])];
        for n in 0..6 {
            let address = format!("0000:0{}:00.0", 3 + n);
            let is_taken = n < volumes;
            pci.push(if is_taken { port(2 + n, &[&address]) } else { port(2 + n, &[]) });
            if is_taken {
                disks.push(blk(&format!("vd{n}"), &address, true));
            }
        }
        Machine { disks, pci, bridge: Some(PCIE[0]) }
    }

    fn scsi(others: usize, volumes: usize) -> Machine {
        let disk = |ours| Disk { name: "sd".into(), bus: Bus::VirtioScsi, ours };
        let disks = (0..others).map(|_| disk(false)).chain((0..volumes).map(|_| disk(true))).collect();
        Machine { disks, pci: Vec::new(), bridge: Some(I440FX) }
    }

    #[test]
    fn the_room_is_the_same_with_no_volume_and_with_five() {
        type Row = (&'static str, fn(usize) -> Machine, usize);
        let table: [Row; 3] =
            [("pc", pc, 26), ("q35", q35, 6), ("virtio-scsi", |volumes| scsi(2, volumes), 254)];
        for (name, machine, want) in table {
            for volumes in [0, 1, 5] {
                assert_eq!(room(&machine(volumes)), Some(want), "{name} with {volumes}");
            }
        }
    }

    #[test]
    fn a_disk_of_someone_else_takes_room() {
        let mut machine = pc(5);
        machine.disks[1].ours = false;
        assert_eq!(room(&machine), Some(25));
        let mut machine = q35(5);
        machine.disks[1].ours = false;
        assert_eq!(room(&machine), Some(5));
        assert_eq!(room(&scsi(300, 0)), Some(0));
    }

    #[test]
    fn an_unknown_machine_says_nothing() {
        assert_eq!(room(&Machine::default()), None);
        assert_eq!(room(&Machine { bridge: None, ..pc(1) }), None);
        assert_eq!(room(&Machine { bridge: Some((0x15ad, 1)), ..pc(1) }), None);
        let nvme = Disk { name: "nvme0n1".into(), bus: Bus::Other, ours: true };
        assert_eq!(room(&Machine { disks: vec![nvme], ..pc(0) }), None);
    }

    #[test]
    fn the_administrators_limit_stands_unless_the_bus_has_less_room() {
        for (configured, room, want) in [
            (256, None, 256),
            (256, Some(26), 26),
            (25, Some(26), 25),
            (25, Some(25), 25),
            (25, Some(24), 24),
            (256, Some(0), 1),
        ] {
            assert_eq!(attach_limit(configured, room), want, "{configured} {room:?}");
        }
    }
}

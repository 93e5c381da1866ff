//! Which service goes away, how, and during what; and what follows from how OpenStack works.

use std::fmt;

use crate::service::How;

pub const VOLUME: &str = "cinder-volume";
pub const COMPUTE: &str = "nova-compute-cmp1";
pub const QUEUE: &str = "rabbitmq";
pub const DATABASE: &str = "mariadb";
pub const KEYSTONE: &str = "keystone-api";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Attach,
    Detach,
    Delete,
}

use How::*;
use Operation::*;

#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub service: &'static str,
    pub how: How,
    pub during: Operation,
}

/// What `tests/run openstack` tries.
pub const USUAL: [Outage; 5] = [
    Outage { service: VOLUME, how: Killed, during: Create },
    Outage { service: COMPUTE, how: Frozen, during: Detach },
    Outage { service: QUEUE, how: Killed, during: Attach },
    Outage { service: DATABASE, how: Frozen, during: Delete },
    Outage { service: KEYSTONE, how: Frozen, during: Create },
];

impl Outage {
    /// `all`, or those of one service. Without those after which Nova may keep half an attachment that nobody can detach:
    /// an attach whose nova-compute or database dies isn't taken up again
    /// (`attach_volume` in <https://opendev.org/openstack/nova/src/branch/master/nova/compute/manager.py>).
    pub fn of(wanted: &str) -> Vec<Self> {
        let each =
            |(service, how)| [Create, Attach, Detach, Delete].map(|during| Self { service, how, during });
        let services = [VOLUME, COMPUTE, QUEUE, DATABASE, KEYSTONE];
        let services = services.into_iter().filter(|service| wanted == "all" || wanted == *service);
        let all = services.flat_map(|service| [(service, Killed), (service, Frozen)]).flat_map(each);
        let is_lost = |one: &Self| {
            (one.how, one.during) == (Killed, Attach) && [COMPUTE, DATABASE].contains(&one.service)
        };
        all.filter(|one| !is_lost(one)).collect()
    }

    /// Where the work is when a service is killed: in its own hands, if it has a part in it.
    pub fn point(&self) -> &'static str {
        match (self.during, self.service) {
            (Create, _) => "cinder.create",
            (Delete, _) => "cinder.delete",
            (Attach, VOLUME) => "cinder.connect",
            (Detach, VOLUME) => "cinder.disconnect",
            (Attach, _) => "nova.attach",
            (Detach, _) => "nova.detach",
        }
    }

    /// A process of the service is at that point.
    pub fn is_of_the_worker(&self) -> bool {
        match self.service {
            VOLUME => true,
            COMPUTE => matches!(self.during, Attach | Detach),
            _ => false,
        }
    }

    /// The operation can't end while the service is away. Nova's compute host has no part in a volume's creation and deletion,
    /// and cinder-volume ends those two by the database alone once it has their message.
    pub fn is_of_what_is_needed(&self) -> bool {
        match (self.service, self.how) {
            (COMPUTE, _) => self.is_of_the_worker(),
            (QUEUE, Killed) => matches!(self.during, Attach | Detach),
            _ => true,
        }
    }
}

/// `mariadb Killed during Create`
impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} during {:?}", self.service, self.how, self.during)
    }
}

#[test]
fn each_service_goes_during_each_operation_but_where_nova_loses_it() {
    let all = Outage::of("all");
    assert_eq!(all.len(), 5 * 4 * 2 - 2);
    let spared: Vec<_> =
        all.iter().filter(|one| !one.is_of_what_is_needed()).map(Outage::to_string).collect();
    assert_eq!(
        spared,
        [
            "nova-compute-cmp1 Killed during Create",
            "nova-compute-cmp1 Killed during Delete",
            "nova-compute-cmp1 Frozen during Create",
            "nova-compute-cmp1 Frozen during Delete",
            "rabbitmq Killed during Create",
            "rabbitmq Killed during Delete",
        ]
    );
    assert!(Outage::of("nova").is_empty());
}

//! Whoever writes to a disk alone leaves it free, however many children begin meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cinder_csi::node::{Command, Host, Linux};

use crate::bed::{Bed, MIB};

/// Without a wait for them four of five find the disk claimed by a copy of the last one's descriptor.
const WRITES: usize = 200;
/// The tests beside this one fork, too, and wait for nobody.
const BY_OTHERS: usize = WRITES / 20;
const FORKERS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn loop_no_child_keeps_a_disk_claimed() {
    let bed = Bed::new();
    let disk = bed.disk(96 * MIB);
    let ended = Arc::new(AtomicBool::new(false));
    let forkers: Vec<_> = (0..FORKERS).map(|_| tokio::spawn(fork(ended.clone()))).collect();
    let host = Linux::default();
    let mut claimed = 0;
    for _ in 0..WRITES {
        claimed += usize::from(host.write_disk(&disk.device, 0, vec![0; 4096]).await.is_err());
    }
    ended.store(true, Ordering::Relaxed);
    for forker in forkers {
        forker.await.unwrap();
    }
    assert!(claimed <= BY_OTHERS, "{claimed} of {WRITES} writes found the disk claimed");
}

async fn fork(ended: Arc<AtomicBool>) {
    while !ended.load(Ordering::Relaxed) {
        Linux::default().run(Command::new("true")).await.unwrap();
    }
}

//! The samples as a table, and the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::Taken;
use crate::measured::Size;

/// An RPC ends so where something was done to the cloud; INTERNAL is an operation that the cloud gave up, and
/// RESOURCE_EXHAUSTED a create for which it had no room.
const EXPLAINED: [&str; 5] = ["Aborted", "Unavailable", "DeadlineExceeded", "Internal", "ResourceExhausted"];

/// What is flat: the median of the last third of the samples is not more above that of the second third. The first third
/// is for caches and the allocator to fill.
const MEMORY_PERCENT: u64 = 2;
const FEW: u64 = 2;

type Measure = fn(&Size) -> u64;

#[derive(Default)]
pub struct Samples {
    samples: Vec<Sample>,
}

struct Sample {
    at: Duration,
    size: Size,
    taken: Taken,
    calls: usize,
}

impl Samples {
    pub fn add(&mut self, at: Duration, size: Size, taken: Taken, calls: usize) {
        self.samples.push(Sample { at, size, taken, calls });
    }

    /// Prints all, and fails where something grew, failed or was left.
    pub fn judge(&self, failures: &BTreeMap<String, usize>, injected: usize, left: &[String]) {
        println!("\n minute   memory  threads  tasks  files  in flight   RPCs  HTTP requests");
        for Sample { at, size, taken, calls } in &self.samples {
            let minute = at.as_secs_f64() / 60.0;
            println!(
                "{minute:7.1} {:>8} {:>8} {:>6} {:>6} {:>10} {:>6} {calls:>14}",
                size.memory, size.threads, size.tasks, size.files, taken.under_way, taken.calls
            );
        }
        let rpcs: usize = self.samples.iter().map(|sample| sample.taken.calls).sum();
        let failed: usize = failures.values().sum();
        println!("{rpcs} RPCs, {injected} faults, RPCs that failed: {failed} {failures:?}");
        let mut wrong = self.growth();
        wrong.extend(
            failures
                .keys()
                .filter(|code| !EXPLAINED.contains(&code.as_str()))
                .map(|code| format!("an RPC ended with {code}")),
        );
        if failed > injected {
            wrong.push("more RPCs failed than there were faults".to_owned());
        }
        wrong.extend(left.iter().map(|one| format!("left in the cloud: {one}")));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        println!("flat; nothing is left in the cloud");
    }

    fn growth(&self) -> Vec<String> {
        let third = self.samples.len() / 3;
        let median = |from: usize, of: Measure| {
            let mut values: Vec<_> =
                self.samples[from..from + third].iter().map(|sample| of(&sample.size)).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let measures: [(&str, Measure); 4] = [
            ("KiB of memory", |size| size.memory),
            ("threads", |size| size.threads),
            ("tasks", |size| size.tasks),
            ("open files", |size| size.files),
        ];
        let mut grown = Vec::new();
        for (n, (name, of)) in measures.into_iter().enumerate() {
            let (second, last) = (median(third, of), median(2 * third, of));
            println!("{name}: {second} in the second third, {last} in the last");
            let more = if n == 0 { second * MEMORY_PERCENT / 100 } else { FEW };
            if last > second + more {
                grown.push(format!("{name} grow: {second}, then {last}"));
            }
        }
        grown
    }
}

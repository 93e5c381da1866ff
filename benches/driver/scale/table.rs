//! The figures of a run, as they are printed.

use cinder_csi::sandbox::{ApiLimit, Operation};

use super::super::figures::{COLUMNS, mib};
use super::added::added;
use super::run::Run;

const OPERATIONS: [(Operation, &str); 4] = [
    (Operation::Create, "create"),
    (Operation::Attach, "attach"),
    (Operation::Detach, "detach"),
    (Operation::Delete, "delete"),
];

pub fn head() {
    println!(
        "{:<24} {:>5} {:>7} | {:<6} {COLUMNS} | {:>6} {:>5} {:>6} {:>6} {:>5} {:>6}",
        "", "limit", "seconds", "added:", "calls", "429", "failed", "cpu s", "cpu %", "MiB"
    );
}

/// A row for each kind of operation, the run's own figures on the first; then what was asked for.
pub fn rows(run: &Run, limit: Option<ApiLimit>) {
    let seconds = run.took.as_secs_f64();
    let per_second = limit.map_or("-".to_owned(), |limit| limit.per_second.to_string());
    let cpu = run.processor.as_secs_f64();
    let figures = format!(
        "{:>6.2} {:>5} {:>6} {cpu:>6.2} {:>5.1} {:>6.1}",
        run.calls_an_operation(),
        run.throttled,
        run.failures().count(),
        cpu / seconds * 100.0,
        mib(run.resident)
    );
    let mut kinds = OPERATIONS.iter().filter(|(kind, _)| run.done.iter().any(|done| done.operation == *kind));
    let first = kinds.next().map_or("".to_owned(), |kind| columns(run, kind));
    println!("{:<24} {per_second:>5} {seconds:>7.1} | {first:<33} | {figures}", run.name);
    for kind in kinds {
        println!("{:<24} {:>5} {:>7} | {} |", "", "", "", columns(run, kind));
    }
    let calls: Vec<_> = run.calls.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("    {}", calls.join(", "));
    if let Some(limit) = limit {
        let least = least_time(run, limit);
        println!(
            "    so many requests take {least:.1} s at least with this limit: it took {:.2} times that",
            seconds / least
        );
    }
    if let Some(failure) = run.failures().next() {
        println!("    the first failure: {failure}");
    }
}

/// In seconds: the requests that the cloud took, less the burst, at the limit's rate, and one operation's time in the mean.
fn least_time(run: &Run, limit: ApiLimit) -> f64 {
    let answered = run.calls.values().sum::<usize>().saturating_sub(run.throttled);
    let paced = answered.saturating_sub(limit.burst as usize) as f64 / f64::from(limit.per_second);
    let own: f64 = run.deeds.iter().map(|deed| (deed.ends - deed.begins).as_secs_f64()).sum();
    paced + own / run.deeds.len().max(1) as f64
}

pub fn foot() {
    println!(
        "\nadded: ms, p50, p95, p99 of what a caller waited beyond the cloud's own time. calls: to the cloud, for each operation"
    );
    println!(
        "aims for 1,000 at once. Added by attaches without a limit: 150 (p50), 500 (p95). Calls: 2.5 an attach, 3.5 a create, \
         2.5 a delete. With a limit: none fails, 1.2 times the least time. 20 % of a CPU, 38.1 MiB (40 MB)"
    );
}

fn columns(run: &Run, (operation, name): &(Operation, &str)) -> String {
    format!("{name:<6} {}", added(run, *operation).columns())
}

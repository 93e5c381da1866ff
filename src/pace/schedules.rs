//! For tests: runs futures under every schedule, as loom does with threads. Which woken future is polled or dropped next,
//! when spawned tasks run, when an answer comes and when time passes are choices; a schedule is a list of them.
//!
//! A schedule is played from its beginning each time, the next one with another choice at its end, until there are none.
//! What happens between two awaits is one step: threads that meet inside of a step are not tried.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::oneshot;

/// Which of the steps that were possible was taken, one after the other.
#[derive(Default)]
pub struct Schedule {
    choices: Vec<Choice>,
    at: usize,
    told: Vec<String>,
}

struct Choice {
    taken: usize,
    of: usize,
}

impl Schedule {
    pub fn choose(&mut self, of: usize) -> usize {
        if self.at == self.choices.len() {
            self.choices.push(Choice { taken: 0, of });
        }
        let choice = &self.choices[self.at];
        assert_eq!(choice.of, of, "the same choices led to something else");
        self.at += 1;
        choice.taken
    }

    pub fn tell(&mut self, what: impl Display) {
        self.told.push(what.to_string());
    }

    /// The next schedule; `false`: this was the last one.
    fn turn(&mut self) -> bool {
        (self.at, self.told) = (0, Vec::new());
        while let Some(last) = self.choices.last_mut() {
            if last.taken + 1 < last.of {
                last.taken += 1;
                return true;
            }
            self.choices.pop();
        }
        false
    }
}

/// A schedule that fails is told.
impl Drop for Schedule {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (n, step) in self.told.iter().enumerate() {
                eprintln!("{n:3}. {step}");
            }
        }
    }
}

/// Plays every schedule, and says how many there are.
pub fn every_schedule(what: &str, mut play: impl AsyncFnMut(&mut Schedule)) -> usize {
    let (mut schedule, mut count) = (Schedule::default(), 0);
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(play(&mut schedule));
        count += 1;
        if !schedule.turn() {
            println!("{what}: {count} schedules");
            return count;
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task<'a, T> {
    name: &'static str,
    future: Option<Pin<Box<dyn Future<Output = T> + 'a>>>,
    woken: Arc<Flag>,
    result: Option<T>,
}

/// Answers that futures wait for, each until it is let through.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Vec<Waiting>>>);

type Waiting = (String, oneshot::Sender<()>);

impl Gate {
    pub async fn pass(&self, what: impl Display) {
        let (open, opened) = oneshot::channel();
        self.0.lock().unwrap().push((what.to_string(), open));
        // Whoever closes the gate for good lets nobody through.
        if opened.await.is_err() {
            std::future::pending().await
        }
    }

    /// Those that wait; those that went away do not.
    pub fn waiting(&self) -> usize {
        let mut waiting = self.0.lock().unwrap();
        waiting.retain(|(_, open)| !open.is_closed());
        waiting.len()
    }

    fn open(&self, n: usize) -> String {
        let (what, open) = self.0.lock().unwrap().remove(n);
        let _ = open.send(());
        what
    }
}

/// The futures, and what may happen to them.
pub struct Scheduler<'a, T> {
    tasks: Vec<Task<'a, T>>,
    pub gate: Gate,
    /// How many of them may still be dropped.
    pub drops: usize,
    /// How long time passes at once, and how often it may while something else could go on.
    pub tick: Duration,
    pub ticks: usize,
    /// Something has happened that a spawned task may have waited for.
    stirred: bool,
    idle: usize,
}

enum Step {
    Poll(usize),
    Drop(usize),
    Spawned,
    Open(usize),
    Tick,
}

/// So many ticks with nothing else to do, and whoever still waits is forgotten.
const IDLE_TICKS: usize = 64;

impl<'a, T> Scheduler<'a, T> {
    pub fn new(drops: usize) -> Self {
        let tick = Duration::from_millis(100);
        Self { tasks: Vec::new(), gate: Gate::default(), drops, tick, ticks: 0, stirred: false, idle: 0 }
    }

    pub fn add(&mut self, name: &'static str, future: impl Future<Output = T> + 'a) {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { name, future: Some(Box::pin(future)), woken, result: None });
    }

    /// Plays one schedule to its end, at which nobody waits. `watch` looks at every state in between.
    pub async fn play(self, schedule: &mut Schedule, watch: impl Fn()) -> Vec<Option<T>> {
        let ended = self.end(schedule, watch).await;
        ended.unwrap_or_else(|forgotten| panic!("{forgotten} is never answered"))
    }

    /// As [`Self::play`]. `Err`: this one waits for ever.
    async fn end(
        mut self,
        schedule: &mut Schedule,
        watch: impl Fn(),
    ) -> Result<Vec<Option<T>>, &'static str> {
        loop {
            let steps = self.steps();
            watch();
            let Some(step) = self.chosen(schedule, steps) else { break };
            self.take(schedule, step).await;
        }
        match self.tasks.iter().find(|task| task.future.is_some()) {
            Some(forgotten) => Err(forgotten.name),
            None => Ok(self.tasks.into_iter().map(|task| task.result).collect()),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let alive = |n: &usize| self.tasks[*n].future.is_some();
        let woken = |n: &usize| self.tasks[*n].woken.0.load(Ordering::Relaxed);
        let all = 0..self.tasks.len();
        let mut steps: Vec<_> = all.clone().filter(alive).filter(woken).map(Step::Poll).collect();
        if self.stirred && tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            steps.push(Step::Spawned);
        }
        steps.extend((0..self.gate.waiting()).map(Step::Open));
        let rests = steps.is_empty();
        if !rests && self.ticks > 0 || rests && all.clone().any(|n| alive(&n)) && self.idle < IDLE_TICKS {
            steps.push(Step::Tick);
        }
        if self.drops > 0 && self.idle == 0 {
            steps.extend(all.filter(alive).map(Step::Drop));
        }
        steps
    }

    fn chosen(&self, schedule: &mut Schedule, mut steps: Vec<Step>) -> Option<Step> {
        match steps.len() {
            0 => None,
            1 => steps.pop(),
            of => Some(steps.swap_remove(schedule.choose(of))),
        }
    }

    async fn take(&mut self, schedule: &mut Schedule, step: Step) {
        let rests = self.steps().iter().all(|step| matches!(step, Step::Tick | Step::Drop(_)));
        match step {
            Step::Tick if rests => self.idle += 1,
            Step::Tick | Step::Spawned => {}
            Step::Poll(_) | Step::Drop(_) | Step::Open(_) => self.idle = 0,
        }
        self.stirred = !matches!(step, Step::Spawned);
        match step {
            Step::Poll(n) => self.poll(schedule, n),
            Step::Drop(n) => {
                schedule.tell(format_args!("{} is dropped", self.tasks[n].name));
                self.tasks[n].future = None;
                self.drops -= 1;
            }
            Step::Spawned => {
                schedule.tell("the spawned tasks go on");
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
            }
            Step::Open(n) => schedule.tell(format_args!("an answer comes to {}", self.gate.open(n))),
            Step::Tick => {
                schedule.tell(format_args!("{:?} pass", self.tick));
                self.ticks = self.ticks.saturating_sub(usize::from(!rests));
                tokio::time::advance(self.tick).await;
            }
        }
    }

    fn poll(&mut self, schedule: &mut Schedule, n: usize) {
        let task = &mut self.tasks[n];
        task.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.woken));
        let Some(future) = &mut task.future else { return };
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        schedule.tell(format_args!("{} {}", task.name, if polled.is_ready() { "ends" } else { "waits" }));
        if let Poll::Ready(result) = polled {
            (task.future, task.result) = (None, Some(result));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many schedules of one who sets a flag and one who waits for it end with nobody waiting, and how many not.
    fn schedules(subscribes_first: bool) -> (usize, usize) {
        let forgotten = Cell::new(0);
        let all = every_schedule("a flag and one who waits for it", async |schedule| {
            let (set, asked) = (AtomicBool::new(false), tokio::sync::Notify::new());
            let gate = Gate::default();
            let mut scheduler = Scheduler { gate: gate.clone(), ..Scheduler::new(0) };
            scheduler.add("the setter", async {
                set.store(true, Ordering::Relaxed);
                asked.notify_waiters();
            });
            scheduler.add("the waiter", async {
                let mut told = std::pin::pin!(asked.notified());
                if subscribes_first {
                    told.as_mut().enable();
                }
                if !set.load(Ordering::Relaxed) {
                    gate.pass("a moment").await;
                    if !subscribes_first {
                        told.set(asked.notified());
                    }
                    told.await;
                }
            });
            let ended = scheduler.end(schedule, || {}).await;
            forgotten.set(forgotten.get() + usize::from(ended == Err("the waiter")));
        });
        (all, forgotten.get())
    }

    #[test]
    fn a_missed_wake_is_found() {
        let (all, forgotten) = schedules(true);
        assert!(all > 1 && forgotten == 0);
        let (all, forgotten) = schedules(false);
        assert!(0 < forgotten && forgotten < all);
    }
}

//! When the driver dies: at each point once, or as a seed has it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::mortal::End;

/// The points that were reached, in their order.
pub type Reached = Vec<String>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub nth: u32,
    pub name: String,
}

#[derive(Clone, Debug)]
pub enum Fate {
    Live,
    At(Point),
    /// That long after the call began, alone or with the programs that the driver runs.
    Later {
        after: Duration,
        with_programs: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Nobody dies: what is reached is learned.
    Learn,
    Each,
    /// Until so many have died.
    Random(usize),
}

/// A point that was seen.
struct Known {
    name: String,
    /// In one call, at most.
    often: u32,
    kills: usize,
}

#[derive(Default)]
struct Operation {
    /// In the order of the first crossing.
    points: Vec<Known>,
    took: Duration,
    at_moments: usize,
    /// Processes that were to die at a point, and answered without coming there.
    missed: usize,
    called_again: usize,
}

pub struct Campaign {
    pub manner: Manner,
    random: Rng,
    operations: BTreeMap<String, Operation>,
}

/// The beginning of a process, in which it asks for a token, whoever calls it meanwhile.
pub const START: &str = "start";
const TOKEN: &str = "give a token";
/// How long a process takes until it has one.
const BEGINNING: Duration = Duration::from_millis(300);

/// What of the cloud's work may take longer: the points of tests/openstack/README.md.
const SLOW: [&str; 11] = [
    "cinder.create",
    "cinder.delete",
    "cinder.extend",
    "cinder.snapshot",
    "cinder.connect",
    "cinder.disconnect",
    "cinder.backup",
    "cinder.backup_delete",
    "nova.attach",
    "nova.detach",
    "nova.extend",
];

/// Of an operation only its first calls are disturbed: each must come to its end.
const DISTURBED: usize = 3;

impl Campaign {
    pub fn new(seed: u64) -> Self {
        Self { manner: Manner::Learn, random: Rng::with_seed(seed), operations: BTreeMap::new() }
    }

    /// What becomes of the process that is called so often already.
    pub fn fate(&mut self, operation: &str, calls: usize) -> Fate {
        let kills = self.kills();
        let known = self.operations.entry(operation.to_owned()).or_default();
        let point = |name: &str, nth| Fate::At(Point { nth, name: name.to_owned() });
        match self.manner {
            Manner::Learn => Fate::Live,
            Manner::Each => match known.points.iter().find(|known| known.kills == 0) {
                Some(known) => point(&known.name, 1),
                None => Fate::Live,
            },
            Manner::Random(wanted) if kills >= wanted || calls >= DISTURBED => Fate::Live,
            Manner::Random(_) => match self.random.u8(..10) {
                0..4 if !known.points.is_empty() => {
                    let known = &known.points[self.random.usize(..known.points.len())];
                    point(&known.name, self.random.u32(1..=known.often))
                }
                0..8 => {
                    let longest = known.took.as_secs_f64() * 1.2;
                    let after = Duration::from_secs_f64(self.random.f64() * longest);
                    Fate::Later { after, with_programs: self.random.bool() }
                }
                _ => Fate::Live,
            },
        }
    }

    /// A call was answered, and these were reached since it began.
    pub fn learn(&mut self, operation: &str, reached: Reached, took: Duration) {
        let (start, reached) = reached.into_iter().partition(|point| point.ends_with(TOKEN));
        self.add(START, start, BEGINNING);
        self.add(operation, reached, took);
    }

    fn add(&mut self, operation: &str, reached: Reached, took: Duration) {
        let known = self.operations.entry(operation.to_owned()).or_default();
        known.took = known.took.max(took);
        for name in &reached {
            let often = reached.iter().filter(|other| *other == name).count() as u32;
            match known.points.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.often = known.often.max(often),
                None => known.points.push(Known { name: name.clone(), often, kills: 0 }),
            }
        }
    }

    /// How many seconds more the cloud takes for each thing that it can be slow at.
    pub fn slowness(&mut self) -> Vec<(&'static str, f64)> {
        match self.manner {
            Manner::Random(_) => self
                .random
                .choose_multiple(SLOW, 3)
                .into_iter()
                .map(|point| (point, self.random.f64()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A process has died: where it said, not where it was to.
    pub fn killed(&mut self, operation: &str, end: &End) {
        let known = self.operations.entry(operation.to_owned()).or_default();
        match end {
            End::At(point) => match known.points.iter_mut().find(|known| known.name == point.name) {
                Some(known) => known.kills += 1,
                None => known.points.push(Known { name: point.name.clone(), often: point.nth, kills: 1 }),
            },
            End::Killed => known.at_moments += 1,
        }
    }

    pub fn missed(&mut self, operation: &str) {
        self.operations.entry(operation.to_owned()).or_default().missed += 1;
    }

    pub fn called_again(&mut self, operation: &str) {
        self.operations.entry(operation.to_owned()).or_default().called_again += 1;
    }

    pub fn kills(&self) -> usize {
        self.at_points() + self.all().map(|known| known.at_moments).sum::<usize>()
    }

    pub fn at_points(&self) -> usize {
        self.all().flat_map(|known| &known.points).map(|known| known.kills).sum()
    }

    pub fn misses(&self) -> usize {
        self.all().map(|known| known.missed).sum()
    }

    pub fn calls_again(&self) -> usize {
        self.all().map(|known| known.called_again).sum()
    }

    /// Where nobody has died yet: `stage ext4: before mount`.
    pub fn spared(&self) -> Vec<String> {
        let spared = |(operation, known): (&String, &Operation)| {
            let points = known.points.iter().filter(|known| known.kills == 0);
            points.map(|known| format!("{operation}: {}", known.name)).collect::<Vec<_>>()
        };
        self.operations.iter().flat_map(spared).collect()
    }

    /// Every step that was seen, without its side.
    pub fn steps(&self) -> Vec<String> {
        let names = self.all().flat_map(|known| known.points.iter().map(|known| &known.name));
        let mut steps: Vec<_> = names
            .map(|name| name.split_once(' ').map_or(name.as_str(), |(_, step)| step).to_owned())
            .collect();
        steps.sort();
        steps.dedup();
        steps
    }

    fn all(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }
}

/// Kills by operation and point.
impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (operation, known) in &self.operations {
            let at_points: usize = known.points.iter().map(|known| known.kills).sum();
            writeln!(
                f,
                "{operation:24}{:4} at points {:4} at moments {:4} points missed {:4} called again",
                at_points, known.at_moments, known.missed, known.called_again
            )?;
            for Known { name, kills, .. } in known.points.iter().filter(|known| known.kills > 0) {
                writeln!(f, "    {name:42}{kills:4}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Live => f.write_str("undisturbed"),
            Fate::At(point) => write!(f, "to die {} ({})", point.name, point.nth),
            Fate::Later { after, with_programs } => {
                write!(f, "to die after {after:?}{}", if *with_programs { ", with its programs" } else { "" })
            }
        }
    }
}

#[test]
fn only_a_death_at_the_point_itself_spares_it_no_longer() {
    let mut campaign = Campaign::new(1);
    campaign.learn("attach", vec!["before attach the volume".to_owned()], Duration::ZERO);
    campaign.manner = Manner::Each;
    let Fate::At(point) = campaign.fate("attach", 0) else { panic!("nobody has died there") };
    campaign.missed("attach");
    campaign.killed("attach", &End::Killed);
    campaign.killed("detach", &End::At(point.clone()));
    assert_eq!(campaign.spared(), ["attach: before attach the volume"]);
    campaign.killed("attach", &End::At(point));
    assert!(campaign.spared().is_empty());
    assert_eq!((campaign.kills(), campaign.at_points(), campaign.misses()), (3, 2, 1));
}

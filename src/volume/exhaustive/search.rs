//! Every state that can be reached, the nearest first.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;
use std::thread;

const TOO_MANY: usize = 1_000_000;

/// A world in which all that may happen next can be told.
pub trait Model: Clone + Eq + Hash + Display {
    /// Words cost more than all the rest: `told` says whether they are wanted.
    fn moves(&self, told: bool) -> Vec<Move<Self>>;

    /// The promise that doesn't hold here.
    fn broken(&self) -> Option<String>;

    /// Nobody wants anything any more, and nothing is under way.
    fn is_at_rest(&self) -> bool;

    /// Nothing has gone wrong on the way here: it must come to rest with nobody's patience at its end.
    fn is_unharmed(&self) -> bool;
}

/// Something that may happen, and the world after it.
pub struct Move<W> {
    pub what: String,
    /// Somebody has waited for as long as they can.
    pub is_timeout: bool,
    pub to: W,
}

/// How much there was to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub states: usize,
    pub moves: usize,
    /// Moves to the farthest state.
    pub depth: usize,
    /// States at rest.
    pub rests: usize,
}

/// A promise that doesn't hold, and the shortest way there.
#[derive(Debug)]
pub struct Counterexample {
    pub what: String,
    pub way: Vec<String>,
}

pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Nobody attacks these tables, and most of the time goes into them.
#[derive(Default)]
pub struct FastHasher(u64);

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

struct Edge {
    from: u32,
    to: u32,
    is_timeout: bool,
}

struct Search<W> {
    numbers: FastMap<Rc<W>, u32>,
    states: Vec<Rc<W>>,
    /// From where each was reached first.
    parents: Vec<Option<u32>>,
    depths: Vec<usize>,
    edges: Vec<Edge>,
}

/// Every state, from these on. None breaks a promise, and from each of them the world can come to rest.
pub fn search<W: Model>(begin: impl IntoIterator<Item = W>) -> Result<Count, Counterexample> {
    let mut search = Search {
        numbers: FastMap::default(),
        states: Vec::new(),
        parents: Vec::new(),
        depths: Vec::new(),
        edges: Vec::new(),
    };
    for world in begin {
        search.number(world, None);
    }
    let mut next = 0;
    while let Some(world) = search.states.get(next).cloned() {
        let from = next as u32;
        if let Some(what) = world.broken() {
            return Err(search.finding(what, from));
        }
        for Move { to, is_timeout, .. } in world.moves(false) {
            let to = search.number(to, Some(from));
            search.edges.push(Edge { from, to, is_timeout });
        }
        next += 1;
        assert!(next < TOO_MANY, "{TOO_MANY} states: this world is too large to be seen whole");
    }
    search.come_to_rest()
}

impl<W: Model> Search<W> {
    fn number(&mut self, world: W, parent: Option<u32>) -> u32 {
        if let Some(number) = self.numbers.get(&world) {
            return *number;
        }
        let (number, world) = (self.states.len() as u32, Rc::new(world));
        self.numbers.insert(Rc::clone(&world), number);
        self.states.push(world);
        self.parents.push(parent);
        self.depths.push(parent.map_or(0, |parent| self.depths[parent as usize] + 1));
        number
    }

    /// Whoever can't come to rest goes round for ever, or stands still.
    fn come_to_rest(&self) -> Result<Count, Counterexample> {
        let rests: Vec<_> =
            (0..self.states.len()).filter(|number| self.states[*number].is_at_rest()).collect();
        let (ever, soon) = (self.that_reach(&rests, true), self.that_reach(&rests, false));
        if let Some(lost) = ever.iter().position(|met| !met) {
            return Err(self.finding("from here it never comes to rest".to_owned(), lost as u32));
        }
        if let Some(slow) =
            (0..soon.len()).find(|number| !soon[*number] && self.states[*number].is_unharmed())
        {
            let what = "from here it comes to rest only once somebody has lost patience";
            return Err(self.finding(what.to_owned(), slow as u32));
        }
        Ok(Count {
            states: self.states.len(),
            moves: self.edges.len(),
            depth: self.depths.iter().copied().max().unwrap_or_default(),
            rests: rests.len(),
        })
    }

    /// Those from which one of these can be reached.
    fn that_reach(&self, these: &[usize], slowly: bool) -> Vec<bool> {
        let mut before = vec![Vec::new(); self.states.len()];
        for edge in self.edges.iter().filter(|edge| slowly || !edge.is_timeout) {
            before[edge.to as usize].push(edge.from as usize);
        }
        let mut met = vec![false; self.states.len()];
        let mut open = these.to_vec();
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut met[number], true) {
                open.extend(&before[number]);
            }
        }
        met
    }

    fn finding(&self, what: String, at: u32) -> Counterexample {
        let mut numbers = vec![at];
        while let Some(parent) = self.parents[numbers[numbers.len() - 1] as usize] {
            numbers.push(parent);
        }
        numbers.reverse();
        let states: Vec<_> = numbers.iter().map(|number| &self.states[*number as usize]).collect();
        let mut way = vec![format!("at first: {}", states[0])];
        for pair in states.windows(2) {
            let moves = pair[0].moves(true);
            let step = moves.into_iter().find(|step| step.to == **pair[1]);
            way.push(format!("{}: {}", step.map(|step| step.what).unwrap_or_default(), pair[1]));
        }
        Counterexample { what, way }
    }
}

impl Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (n, step) in self.way.iter().enumerate() {
            writeln!(f, "{n:3}. {step}")?;
        }
        Ok(())
    }
}

type Row<'a> = (String, Box<dyn FnOnce() -> Result<Count, Counterexample> + Send + 'a>);

/// Names and searches for [`table`].
#[derive(Default)]
pub struct Rows<'a>(Vec<Row<'a>>);

impl<'a> Rows<'a> {
    pub fn add<W: Model + Send + 'a>(&mut self, name: impl Into<String>, begin: impl IntoIterator<Item = W>) {
        let begin: Vec<_> = begin.into_iter().collect();
        self.0.push((name.into(), Box::new(|| search(begin))));
    }
}

/// Prints what was seen, or ends the test with the ways to what was found.
pub fn table(rows: Rows) {
    let searched: Vec<_> = thread::scope(|threads| {
        let started: Vec<_> = rows.0.into_iter().map(|(name, row)| (name, threads.spawn(row))).collect();
        started.into_iter().map(|(name, row)| (name, row.join().unwrap())).collect()
    });
    let mut found = Vec::new();
    println!("\n{:<78} {:>9} {:>9} {:>6} {:>6}", "every interleaving of", "states", "moves", "depth", "ends");
    for (name, result) in searched {
        match result {
            Ok(Count { states, moves, depth, rests }) => {
                println!("{name:<78} {states:>9} {moves:>9} {depth:>6} {rests:>6}");
            }
            Err(finding) => found.push(format!("{name}: {finding}")),
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two who each add one to a number that they read before.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Counters {
        number: u8,
        read: [Option<u8>; 2],
        done: [bool; 2],
        is_atomic: bool,
    }

    impl Display for Counters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.number)
        }
    }

    impl Model for Counters {
        fn moves(&self, _: bool) -> Vec<Move<Self>> {
            let mut moves = Vec::new();
            for n in (0..2).filter(|n| !self.done[*n]) {
                let mut to = self.clone();
                match self.read[n] {
                    None if !self.is_atomic => to.read[n] = Some(self.number),
                    read => {
                        to.number = read.unwrap_or(self.number) + 1;
                        to.done[n] = true;
                    }
                }
                let verb = if to.done[n] { "writes" } else { "reads" };
                moves.push(Move { what: format!("{n} {verb}"), is_timeout: false, to });
            }
            moves
        }

        fn broken(&self) -> Option<String> {
            (self.is_at_rest() && self.number != 2).then(|| format!("{} is lost", 2 - self.number))
        }

        fn is_at_rest(&self) -> bool {
            self.done == [true; 2]
        }

        fn is_unharmed(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_lost_update_is_found_by_its_shortest_way() {
        let counters = |is_atomic| Counters { number: 0, read: [None; 2], done: [false; 2], is_atomic };
        let count = search([counters(true)]).unwrap();
        assert_eq!((count.states, count.moves, count.depth, count.rests), (4, 4, 2, 1));
        let finding = search([counters(false)]).unwrap_err();
        assert_eq!(finding.what, "1 is lost");
        assert_eq!(finding.way.len(), 5, "{finding}");
    }
}

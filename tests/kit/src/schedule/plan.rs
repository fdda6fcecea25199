//! What happens when, as a function of the seed: [`Schedule`].

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::backend::Fault;

/// A change of the fleet, made while faults are in force. Whether it succeeds then is not asked; what the server
/// lists afterwards is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The registered instance of this number is registered with this weight, anew or for the first time.
    Register(u8, u32),
    /// The registered instance of this number is deregistered.
    Deregister(u8),
    /// One more instance is announced.
    Join,
    /// One of those that joined leaves.
    Leave,
}

/// A fault, what else happens while it is in force, and the pause after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Counted from one.
    pub number: usize,
    /// The fault.
    pub fault: Fault,
    /// For what is to be chosen when it is injected.
    pub choice: u64,
    /// For how long it is in force; zero if it is momentary.
    pub holds: Duration,
    /// A momentary fault in the middle of it, with its own choice.
    pub within: Option<(Fault, u64)>,
    /// Changes, evenly spread over the time that the fault is in force.
    pub changes: Vec<Change>,
}

/// An endless sequence of steps. In each round every fault comes once, in an order of its own, so that a short run has
/// seen them all.
#[derive(Debug)]
pub struct Schedule {
    random: StdRng,
    faults: Vec<Fault>,
    round: VecDeque<Fault>,
    number: usize,
}

impl Schedule {
    /// The sequence of this seed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lb_testkit::schedule::{Fault, Schedule};
    ///
    /// let faults = [
    ///     Fault::momentary("reset"),
    ///     Fault::lasting("stop", Duration::from_secs(1)..Duration::from_secs(3)),
    /// ];
    /// let steps: Vec<_> = Schedule::new(7, &faults).take(4).collect();
    /// assert_eq!(steps, Schedule::new(7, &faults).take(4).collect::<Vec<_>>());
    /// assert_ne!(steps[0].fault, steps[1].fault);
    /// ```
    pub fn new(seed: u64, faults: &[Fault]) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            faults: faults.to_vec(),
            round: VecDeque::new(),
            number: 0,
        }
    }

    fn change(&mut self) -> Change {
        let number = self.random.random_range(0..6);
        match self.random.random_range(0..10) {
            0..4 => Change::Register(number, self.random.random_range(1..100)),
            4..6 => Change::Deregister(number),
            6..8 => Change::Join,
            _ => Change::Leave,
        }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    /// `None` only if there are no faults at all.
    fn next(&mut self) -> Option<Step> {
        if self.round.is_empty() {
            let mut round = self.faults.clone();
            round.shuffle(&mut self.random);
            self.round = round.into();
        }
        let fault = self.round.pop_front()?;
        self.number += 1;
        let holds = match fault.lasts() {
            Some(range) => self.random.random_range(range.start..range.end),
            None => Duration::ZERO,
        };
        let within = if !holds.is_zero() && self.random.random_bool(0.4) {
            let momentary: Vec<_> = self.faults.iter().filter(|fault| fault.lasts().is_none()).collect();
            momentary.choose(&mut self.random).map(|&fault| fault.clone())
        } else {
            None
        };
        let changes = (0..self.random.random_range(0..5)).map(|_| self.change()).collect();
        Some(Step {
            number: self.number,
            fault,
            choice: self.random.random(),
            holds,
            within: within.map(|fault| (fault, self.random.random())),
            changes,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} {}", self.number, self.fault.name())?;
        if !self.holds.is_zero() {
            write!(f, " for {:.1} s", self.holds.as_secs_f64())?;
        }
        if let Some((fault, _)) = &self.within {
            write!(f, ", {} within", fault.name())?;
        }
        if !self.changes.is_empty() {
            write!(f, ", {} changes", self.changes.len())?;
        }
        Ok(())
    }
}

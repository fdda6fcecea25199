//! Tells how far it is: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::outcome::Outcome;

/// The progress of one run, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    notes: Notes,
    title: &'static str,
    total: usize,
    done: Cell<usize>,
    lost: Cell<usize>,
    /// The calls that had no answer.
    wasted: Cell<usize>,
}

impl Progress {
    pub(crate) fn new(title: &'static str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix:<24} {wide_bar} {pos}/{len}  {elapsed}  {msg}";
            let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
            ProgressBar::new(total as u64).with_style(style).with_prefix(title)
        });
        let none = || Cell::new(0);
        Self { notes: Notes(bar), title, total, done: none(), lost: none(), wasted: none() }
    }

    pub(crate) fn add(&self, outcome: &Outcome) {
        let add = |counter: &Cell<usize>, n| counter.set(counter.get() + n);
        add(&self.done, 1);
        add(&self.lost, usize::from(outcome.answer.is_err()));
        add(&self.wasted, outcome.calls.iter().filter(|call| call.failure.is_some()).count());
        let state = format!("lost {}, calls wasted {}", self.lost.get(), self.wasted.get());
        let quarter = |done: usize| done * 4 / self.total;
        match &self.notes.0 {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(state);
            }
            // A line for every quarter: enough to see that it goes on, few enough for a log.
            None if quarter(self.done.get()) != quarter(self.done.get() - 1) => {
                eprintln!("{}: {}/{}, {state}", self.title, self.done.get(), self.total);
            }
            None => {}
        }
    }

    pub(crate) fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.notes.0.iter().for_each(ProgressBar::abandon);
    }
}

/// Tells what is worth a line of its own, without tearing the bar apart.
#[derive(Clone, Debug)]
pub(crate) struct Notes(Option<ProgressBar>);

impl Notes {
    pub(crate) fn say(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

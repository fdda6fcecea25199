//! How many instances of a pool are in which state, and what follows for the pool: [`Book`].

use super::ejection::max_ejected;
use super::gate::{ASIDE, EJECTED, KEPT, RAMP, SEATED};
use crate::config::OutlierDetection;

/// How many instances of a pool are in which state. Only instances that can be picked from ("seated") count.
///
/// It follows the flags of the [gates](super::Gate): whoever changes one of the counted flags holds the book's lock and
/// [enters](Self::enter) the flags before and after, so the numbers are exact by construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) seated: usize,
    pub(crate) ejected: usize,
    pub(crate) aside: usize,
    /// Those that should be ejected but are not, because too many are.
    pub(crate) kept: usize,
    pub(crate) ramping: usize,
}

/// What holds for the ejected instances of a pool as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// They are left out.
    #[default]
    Normal = 0,
    /// Panic: they are picked as if nothing were held against them.
    Panic = 1,
    /// Panic, but the configuration says that they are left out all the same.
    PanicFails = 2,
}

impl Book {
    /// An instance's flags have changed.
    pub(crate) fn enter(&mut self, before: u32, after: u32) {
        let numbers = [
            (&mut self.seated, SEATED),
            (&mut self.ejected, EJECTED),
            (&mut self.aside, ASIDE),
            (&mut self.kept, KEPT),
            (&mut self.ramping, RAMP),
        ];
        for (number, flag) in numbers {
            let counts = |flags: u32| flags & SEATED != 0 && flags & flag != 0;
            match (counts(before), counts(after)) {
                (false, true) => *number += 1,
                (true, false) => *number = number.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Instances that have not declared themselves unusable: what ejections are measured by.
    fn usable(&self) -> usize {
        self.seated.saturating_sub(self.aside)
    }

    /// Those of them that are not ejected.
    pub(crate) fn left(&self) -> usize {
        self.usable().saturating_sub(self.ejected)
    }

    /// Whether one more may be ejected.
    pub(crate) fn may_eject(&self, config: &OutlierDetection) -> bool {
        self.ejected < max_ejected(self.usable(), config)
    }

    /// What holds for the ejected instances.
    pub(crate) fn mode(&self, config: &OutlierDetection) -> Mode {
        let too_few = self.left() * 100 < self.usable() * config.panic_threshold as usize;
        // Everybody fails: it is not the instances, or there is nothing to lose.
        let no_better = self.kept >= self.left();
        match self.ejected > 0 && (too_few || no_better) {
            false => Mode::Normal,
            true if config.fail_on_panic => Mode::PanicFails,
            true => Mode::Panic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: OutlierDetection = OutlierDetection::DEFAULT;

    #[test]
    fn only_seated_instances_count() {
        let mut book = Book::default();
        book.enter(0, SEATED);
        book.enter(SEATED, SEATED | EJECTED);
        book.enter(0, EJECTED);
        assert_eq!((book.seated, book.ejected), (1, 1));
        book.enter(SEATED | EJECTED, EJECTED);
        assert_eq!(book, Book::default());
    }

    #[test]
    fn panic_begins_below_the_threshold() {
        let mode =
            |seated, ejected, aside, kept| Book { seated, ejected, aside, kept, ramping: 0 }.mode(&CONFIG);
        assert_eq!(mode(10, 5, 0, 0), Mode::Normal, "half is left");
        assert_eq!(mode(9, 5, 0, 0), Mode::Panic, "the others have gone");
        assert_eq!(mode(10, 4, 3, 0), Mode::Panic, "3 of 7");
        assert_eq!(mode(10, 0, 10, 0), Mode::Normal, "keys that are no good are no reason to panic");
        assert_eq!(mode(2, 1, 0, 1), Mode::Panic, "the last one fails, too");
        assert_eq!(mode(10, 5, 0, 4), Mode::Normal);
        assert_eq!(mode(1, 0, 0, 1), Mode::Normal, "nobody is ejected");
    }

    #[test]
    fn without_threshold_it_takes_all() {
        let config = OutlierDetection { panic_threshold: 0, fail_on_panic: true, ..CONFIG };
        let mode = |ejected| Book { seated: 5, ejected, ..Book::default() }.mode(&config);
        assert_eq!([mode(4), mode(5)], [Mode::Normal, Mode::PanicFails]);
    }
}

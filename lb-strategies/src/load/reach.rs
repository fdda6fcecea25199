//! Whom a pick compares: [`Reach`].

use lb_core::strategy::{MemberSet, StrategyError};

use crate::params::in_range;

/// The most members that are all compared.
pub(crate) const MOST_SCANNED: usize = 64;
/// The most members that are drawn to be compared.
pub(crate) const MOST_CHOICES: usize = 10;

/// How many members a pick compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Up to which size of the set all are compared.
    scan_up_to: usize,
    /// How many distinct ones are drawn from a larger set.
    choices: usize,
}

impl Reach {
    /// All of up to 16; else two.
    pub(crate) const DEFAULT: Self = Self { scan_up_to: 16, choices: 2 };

    pub(crate) const fn scan_up_to(mut self, n: usize) -> Self {
        self.scan_up_to = if n > MOST_SCANNED { MOST_SCANNED } else { n };
        self
    }

    pub(crate) const fn choices(mut self, n: usize) -> Self {
        self.choices = match n {
            0..2 => 2,
            2..=MOST_CHOICES => n,
            _ => MOST_CHOICES,
        };
        self
    }

    /// Whether all members of a set are compared.
    #[inline]
    pub(crate) fn is_whole<I>(self, set: &MemberSet<I>) -> bool {
        set.len() <= self.scan_up_to
    }

    /// How many are drawn from a set that is not compared whole.
    #[inline]
    pub(crate) const fn draws(self) -> usize {
        self.choices
    }
}

impl Reach {
    /// With the parameters of the strategy called `name`.
    pub(crate) fn with_params(
        self,
        name: &str,
        scan_up_to: Option<usize>,
        choices: Option<usize>,
    ) -> Result<Self, StrategyError> {
        let scan_up_to = scan_up_to.unwrap_or(self.scan_up_to);
        let choices = choices.unwrap_or(self.choices);
        Ok(Self {
            scan_up_to: in_range(name, "scan_up_to", scan_up_to, 0..=MOST_SCANNED)?,
            choices: in_range(name, "choices", choices, 2..=MOST_CHOICES)?,
        })
    }
}

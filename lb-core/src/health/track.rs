//! What the failure path remembers of one instance: [`Track`].

use super::accrual::Accrual;
use super::checked::Checked;
use super::counts::Counts;
use super::reason::EjectionReason;
use crate::time::Time;

/// What the failure path remembers of one instance. Behind a lock that successes and picks never take.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) accrual: Accrual,
    /// The counters at the beginning of the running interval.
    pub(crate) mark: Counts,
    /// Ejections in close succession: what makes the next one longer.
    pub(crate) in_a_row: u32,
    /// Since when it is not ejected, if it ever was.
    pub(crate) readmitted: Time,
    /// Ejections ever.
    pub(crate) ejections: u64,
    /// Why it was last ejected.
    pub(crate) reason: Option<EjectionReason>,
    /// `Unusable` answers without a success in between: what makes setting aside longer.
    pub(crate) unusable_in_a_row: u32,
    /// What health checks said.
    pub(crate) checked: Checked,
}

impl Track {
    /// Forgets what is held against the instance; what counts for statistics stays.
    pub(crate) fn pardon(&mut self) {
        *self = Self { mark: self.mark, ejections: self.ejections, ..Self::default() };
    }
}

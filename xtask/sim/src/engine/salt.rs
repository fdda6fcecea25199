//! Salts, so that no two parts draw the same numbers.

pub(super) const ARRIVALS: u64 = 1;
pub(super) const BESIDE: u64 = 7;
pub(super) const CALL: u64 = 2;
pub(super) const CLIENT: u64 = 3;
pub(super) const HOSTS: u64 = 4;
pub(super) const LAG: u64 = 5;
pub(super) const POOL: u64 = 6;

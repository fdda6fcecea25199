//! Who is left out because it fails, and how it comes back: the real pool under a clock of the test's own.

mod ejection;
mod events;
mod lab;
mod probing;
mod properties;
mod reference;
mod slow_start;
mod traffic;
mod traps;
mod unusable;

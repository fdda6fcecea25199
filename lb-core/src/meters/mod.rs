//! Metrics of one service, through the `metrics` facade (feature `metrics`). Without the feature every method here is
//! empty and costs nothing.
//!
#![doc = include_str!("table.md")]

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::Meters;
#[cfg(feature = "metrics")]
pub(crate) use on::{Meters, describe};

/// Whether there are metrics, and so every attempt is measured.
pub(crate) const METERED: bool = cfg!(feature = "metrics");

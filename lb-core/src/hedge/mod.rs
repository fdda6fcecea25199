//! A second attempt when the first takes unusually long: when to make it, and how often.
//!
//! The tail of a service's latency is mostly bad luck of single requests (Dean and Barroso, "The Tail at Scale",
//! 2013). A second request to another instance after the time that most requests need cuts the tail by an order of
//! magnitude, for a few per cent of extra load.

mod config;
mod hedger;
mod histogram;

pub use config::HedgeConfig;
pub(crate) use hedger::Hedger;

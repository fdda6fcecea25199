//! The strategies of `loadbalance`: how to choose among the instances of a service. One file per strategy.
//!
//! | Strategy | Name | When |
//! |---|---|---|
//! | [`RoundRobin`] | `round_robin` | by default: strictly in order, and cheap |
//! | [`Random`] | `random` | several threads pick at a very high rate among many members, or clients must not walk in step |
//! | [`Auto`] | `auto` | you do not want to choose: the least loaded of those that are about as fast as the fastest |
//! | [`LeastRequest`] | `least_request` | requests differ much in what they take |
//! | [`PeakEwma`] | `peak_ewma` | the tail counts, and instances are alike |
//! | [`Prequal`] | `prequal` | instances differ in speed, and load is high |
//! | [`SmoothWeighted`] | `smooth_weighted` | in the order of nginx |
//! | [`StaticStride`] | `static_stride` | in the order of gRPC |
//! | [`Ordered`] | `ordered` | one is to serve everything as long as it can |
//! | [`Priority`] | `priority` | some instances are to serve only what others cannot; around another strategy |
//! | [`ZoneAware`] | `zone_aware` | a request to another zone costs time or money; around another strategy |
//!
//! [`BuiltInStrategies`] knows all of them by name, for configuration that comes from a registry.

mod alias;
mod auto;
mod built_in;
mod groups;
mod hashing;
mod inner;
mod least_request;
mod load;
mod ordered;
mod params;
mod peak_ewma;
mod prequal;
mod priority;
mod random;
mod shares;
mod smooth_weighted;
mod static_stride;
mod turns;
mod zone_aware;

pub use auto::Auto;
pub use built_in::{BuiltInStrategies, BuiltInStrategiesInZone};
pub use hashing::{Jump, Ketama, Maglev, Rendezvous, RingHash, ketama_hash};
pub use lb_core::strategy::RoundRobin;
pub use least_request::LeastRequest;
pub use ordered::Ordered;
pub use peak_ewma::PeakEwma;
pub use prequal::Prequal;
pub use priority::{Priority, TierHealth, TierLoad, tier_loads};
pub use random::Random;
pub use smooth_weighted::SmoothWeighted;
pub use static_stride::StaticStride;
pub use zone_aware::{ZoneAware, ZoneState, zone_shares};

//! The strategies of `loadbalance`: how to choose among the instances of a service. One file per strategy.
//!
//! | Strategy | Name | When |
//! |---|---|---|
//! | [`RoundRobin`] | `round_robin` | by default: strictly in order, and cheap |
//! | [`Random`] | `random` | several threads pick at a very high rate among many members, or clients must not walk in step |
//! | [`LeastUsed`] | `least_used` | instances have quotas of different sizes, and bursts are to find room everywhere |
//! | [`Maglev`] | `maglev` | requests with the same key are to go to the same member, in all processes |
//! | [`Rendezvous`] | `rendezvous` | the same, among few members, moving no key that need not move |
//! | [`Jump`] | `jump` | the same, for numbered shards |
//! | [`RingHash`] | `ring_hash` | the same, and in agreement with gRPC or Envoy |
//! | [`Ketama`] | `ketama` | the same, and in agreement with memcached clients |
//! | [`Auto`] | `auto` | you do not want to choose: the least loaded of those that are about as fast as the fastest |
//! | [`LeastRequest`] | `least_request` | requests differ much in what they take |
//! | [`PeakEwma`] | `peak_ewma` | the tail counts, and instances are alike |
//! | [`Prequal`] | `prequal` | instances differ in speed, and load is high; best with a probe |
//! | [`SmoothWeighted`] | `smooth_weighted` | in the order of nginx |
//! | [`StaticStride`] | `static_stride` | in the order of gRPC |
//! | [`Ordered`] | `ordered` | one is to serve everything as long as it can |
//! | [`Priority`] | `priority` | some instances are to serve only what others cannot; around another strategy |
//! | [`ZoneAware`] | `zone_aware` | a request to another zone costs time or money; around another strategy |
//! | [`Sticky`] | `sticky` | a session is to stay where it began; around another strategy |
//! | [`Subset`] | `subset` | there are many clients and many members, and each client shall use a few; around another strategy |
//! | [`Aperture`] | `aperture` | the same, with exactly the same load for all; around another strategy |
//!
//! [`BuiltInStrategies`] knows all of them by name, for configuration that comes from a registry.

mod alias;
mod aperture;
mod auto;
mod built_in;
mod client;
mod groups;
mod hashing;
mod inner;
mod least_request;
mod least_used;
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
mod sticky;
mod subset;
mod turns;
mod zone_aware;

pub use aperture::Aperture;
pub use auto::Auto;
pub use built_in::{BuiltInStrategies, BuiltInStrategiesHere};
pub use client::{ClientIndex, InvalidClientIndex};
pub use hashing::{Jump, Ketama, Maglev, Rendezvous, RingHash, ketama_hash};
pub use lb_core::strategy::RoundRobin;
pub use least_request::LeastRequest;
pub use least_used::LeastUsed;
pub use ordered::Ordered;
pub use peak_ewma::PeakEwma;
pub use prequal::{Prequal, Probe, ProbeReport, ProbeStats, ProbeTarget, ProbedPrequal};
pub use priority::{Priority, TierHealth, TierLoad, tier_loads};
pub use random::Random;
pub use smooth_weighted::SmoothWeighted;
pub use static_stride::StaticStride;
pub use sticky::Sticky;
pub use subset::Subset;
pub use zone_aware::{ZoneAware, ZoneState, zone_shares};

//! The documents of the repository, as pages.
//!
//! They are the same files; their blocks of Rust are doctests. Links that a file makes to another are defined here
//! first, so that they lead to pages: the first definition of a link counts.

#[doc = "[architecture]: architecture"]
#[doc = "[health]: health"]
#[doc = "[operations]: operations"]
#[doc = "[quotas]: quotas"]
#[doc = "[etcd]: crate#a-fleet-that-shares-a-registry-in-etcd"]
#[doc = "[secrets]: secrets"]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = "[guide]: guide"]
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

#[doc = include_str!("../docs/chapters/health.md")]
pub mod health {}

#[doc = include_str!("../docs/chapters/quotas.md")]
pub mod quotas {}

#[doc = include_str!("../docs/chapters/tiers-and-zones.md")]
pub mod tiers_and_zones {}

#[cfg(feature = "etcd")]
#[doc = include_str!("../docs/chapters/etcd.md")]
pub mod etcd {}

#[doc = include_str!("../docs/operations/etcd.md")]
pub mod operations_etcd {}

#[doc = include_str!("../docs/chapters/secrets.md")]
pub mod secrets {}

#[cfg(feature = "redis")]
#[doc = include_str!("../docs/chapters/redis.md")]
pub mod redis {}

#[doc = include_str!("../docs/operations/redis.md")]
pub mod operations_redis {}

#[doc = "[guide]: guide"]
#[doc = "[architecture]: architecture"]
#[doc = "[English]: crate"]
#[doc = include_str!("../README.zh-CN.md")]
pub mod zh_cn {}

/// For its blocks of Rust; as a page it is in the repository, where its plot is.
#[cfg(doctest)]
#[doc = include_str!("../docs/strategies.md")]
pub mod strategies {}

/// The same.
#[cfg(doctest)]
#[doc = include_str!("../docs/strategies/hashing.md")]
pub mod hashing {}

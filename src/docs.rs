//! The documents of the repository, as pages.
//!
//! They are the same files; their blocks of Rust are doctests. Links that a file makes to another are defined here
//! first, so that they lead to pages: the first definition of a link counts.

#[doc = "[architecture]: architecture"]
#[doc = "[health]: health"]
#[doc = "[quotas]: quotas"]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = "[guide]: guide"]
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/chapters/health.md")]
pub mod health {}

#[doc = include_str!("../docs/chapters/quotas.md")]
pub mod quotas {}

#[doc = include_str!("../docs/chapters/tiers-and-zones.md")]
pub mod tiers_and_zones {}

#[doc = "[guide]: guide"]
#[doc = "[architecture]: architecture"]
#[doc = "[English]: crate"]
#[doc = include_str!("../README.zh-CN.md")]
pub mod zh_cn {}

//! Contract tests for what others plug in (feature `testing`).
//!
//! A registry is right if [`registry_contract`] passes with it; its author needs to know no more than the trait's
//! docs, and its user no more than that it passes.

mod registry;

pub use registry::{RegistryContract, registry_contract};

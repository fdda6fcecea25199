//! The ways to send a request: through this library, and the two that people have without it.

mod balanced;
mod plain;

pub(crate) use balanced::{Balanced, SERVICE};
pub(crate) use plain::{Naive, OneVendor};

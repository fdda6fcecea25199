//! What must not be seen: [`Secret`], which is carried as a reference and looked up where it is used.

mod error;
#[allow(clippy::module_inception, reason = "the concept and its folder")]
mod secret;
mod serde;
mod value;

pub use error::SecretError;
pub use secret::Secret;
pub use value::SecretValue;

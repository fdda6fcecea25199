//! Which seed, and for how long: [`Settings`].

use std::time::Duration;

use crate::error::{Error, Result};

/// The variable with the seed.
pub const SEED_VARIABLE: &str = "LB_FAULT_SEED";
/// The variable with the number of seconds during which new faults begin.
pub const LENGTH_VARIABLE: &str = "LB_FAULT_SECONDS";

/// How long a schedule runs, and the seed of all that is random in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The seed.
    pub seed: u64,
    /// Faults begin for so long. The last one is healed and looked at like all others.
    pub length: Duration,
}

impl Settings {
    /// These, unless the environment says otherwise (`LB_FAULT_SEED`, `LB_FAULT_SECONDS`); `cargo xtask soak` does.
    ///
    /// # Errors
    ///
    /// A variable is not a number.
    pub fn from_env(seed: u64, length: Duration) -> Result<Self> {
        let number = |variable: &str| match std::env::var(variable) {
            Ok(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|error| Error::new(format!("{variable} is `{text}`: {error}"))),
            Err(_) => Ok(None),
        };
        Ok(Self {
            seed: number(SEED_VARIABLE)?.unwrap_or(seed),
            length: number(LENGTH_VARIABLE)?.map_or(length, Duration::from_secs),
        })
    }
}

//! What registries that a fleet shares have in common, tested from outside.

mod announcer;
mod catalog;
mod catalog_model;
mod disk_cache;
mod keeper_faults;
mod records;

/// How many schedules are tried: 512, or what `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(512)
}

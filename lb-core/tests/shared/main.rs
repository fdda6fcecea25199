//! What registries that a fleet shares have in common, tested from outside.

mod announcer;
mod catalog;
mod catalog_model;
mod disk_cache;
mod keeper_faults;
mod records;

//! Quotas, from the outside: whole calls against providers that count.

#[path = "../../examples/quotas/provider.rs"]
mod provider;
#[path = "../../examples/quotas/scenario.rs"]
mod scenario;
#[path = "../../examples/quotas/statistics.rs"]
mod statistics;

mod cost;
mod exact;
mod groups;
mod http;
mod learned;
mod targets;

//! `MemoryRegistry` keeps the contract of every registry.

use std::sync::Arc;

use lb_core::testing::{RegistryContract, registry_contract};
use lb_core::{Instance, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    registry_contract(async || MemoryRegistry::new()).await;
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract_behind_pointers() {
    async fn make() -> Box<dyn ServiceRegistry<Instance>> {
        Box::new(Arc::new(MemoryRegistry::new()))
    }
    RegistryContract::new().check(make).await;
}

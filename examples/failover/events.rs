//! What happens in the middle of the run: a vendor joins, and another goes into maintenance. Both through the registry,
//! while requests are under way.

use std::sync::Arc;
use std::time::Duration;

use loadbalance::RegistryError;
use loadbalance::prelude::*;
use tokio::time::Instant;

use crate::mock::{Fleet, SWITCHED_OFF};
use crate::progress::Notes;
use crate::vendor::Vendor;
use crate::ways::{Balanced, SERVICE};

/// Makes things happen, and tells of them.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) way: Balanced,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) notes: Notes,
    pub(crate) started: Instant,
}

impl Events {
    /// From the next request on it gets its share.
    pub(crate) async fn join(&self, vendor: Vendor) -> Result<(), RegistryError> {
        let id = vendor.id.clone();
        self.way.registry.register(SERVICE, vendor).await?;
        self.say(&id, "is registered");
        Ok(())
    }

    /// Takes a vendor out without losing anything: no new requests; those that run are waited for (streams, too, because
    /// they hold their `Picked`); only then it is switched off.
    pub(crate) async fn maintain(self) -> Result<(), RegistryError> {
        let registry = &self.way.registry;
        registry.set_override(SERVICE, SWITCHED_OFF, Override::drain()).await?;
        self.say(SWITCHED_OFF, &format!("is drained: no new requests, {} running", self.running()));
        while self.running() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.fleet.switch_off();
        self.say(SWITCHED_OFF, "has finished its last answer and is switched off");
        registry.deregister(SERVICE, SWITCHED_OFF).await?;
        Ok(())
    }

    /// The requests in flight at the vendor that is to be switched off.
    fn running(&self) -> u64 {
        let stats = self.way.balancer.stats(SERVICE);
        let instances = stats.iter().flat_map(|stats| &stats.instances);
        instances.filter(|instance| &*instance.id == SWITCHED_OFF).map(|instance| instance.in_flight).sum()
    }

    fn say(&self, vendor: &str, text: &str) {
        self.notes.say(&format!("  {:.1} s: {vendor} {text}", self.started.elapsed().as_secs_f64()));
    }
}

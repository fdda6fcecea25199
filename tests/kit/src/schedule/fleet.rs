//! The instances that the drill has: some are announced from the start, others come, change and go.

use std::sync::Arc;
use std::time::Duration;

use lb_core::registry::Announcement;
use lb_core::{Instance, ServiceRegistry};
use tokio::time::timeout;

use super::drill::{SERVICE, SharedLedger};
use super::plan::Change;
use crate::error::{Error, Result};

/// How many are announced from the start, and for good.
const CORE: usize = 8;
/// A write is given up after so long. It is done or not done then.
const WRITE: Duration = Duration::from_secs(3);

/// Instances, and the registries that put them there, as so many processes would.
pub(super) struct Fleet {
    writers: Vec<Arc<dyn ServiceRegistry<Instance>>>,
    ledger: SharedLedger,
    core: Vec<Announcement<Instance>>,
    joined: Vec<Announcement<Instance>>,
    next: usize,
}

impl Fleet {
    /// Announces the core.
    pub(super) async fn assemble(
        writers: Vec<Arc<dyn ServiceRegistry<Instance>>>,
        ledger: SharedLedger,
    ) -> Result<Self> {
        let mut fleet = Self { writers, ledger, core: Vec::new(), joined: Vec::new(), next: 0 };
        for i in 0..CORE {
            let id = format!("core-{i}");
            let announced = fleet.announce(&id, i).await?;
            fleet.core.push(announced);
        }
        Ok(fleet)
    }

    fn writer(&self, n: usize) -> &Arc<dyn ServiceRegistry<Instance>> {
        &self.writers[n % self.writers.len()]
    }

    async fn announce(&self, id: &str, n: usize) -> Result<Announcement<Instance>> {
        let instance = instance(id, 10 + n as u32);
        let announced = timeout(WRITE, self.writer(n).announce(SERVICE, instance)).await;
        let announced =
            announced.map_err(|_| Error::new(format!("`{id}` not announced within {WRITE:?}")))?;
        let announced = announced.map_err(|error| Error::new(format!("`{id}` not announced: {error}")))?;
        self.ledger.lock().joined(id);
        Ok(announced)
    }

    /// Makes a change, or tries to. `false`: it failed or took too long, and may have been made all the same.
    pub(super) async fn change(&mut self, change: Change) -> bool {
        match change {
            Change::Register(n, weight) => {
                let instance = instance(&format!("extra-{n}"), weight);
                let registered = timeout(WRITE, self.writer(n.into()).register(SERVICE, instance)).await;
                matches!(registered, Ok(Ok(())))
            }
            Change::Deregister(n) => {
                let id = format!("extra-{n}");
                let gone = timeout(WRITE, self.writer(n.into()).deregister(SERVICE, &id)).await;
                matches!(gone, Ok(Ok(_)))
            }
            Change::Join => {
                let n = self.next;
                self.next += 1;
                match self.announce(&format!("guest-{n}"), n).await {
                    Ok(announced) => {
                        self.joined.push(announced);
                        true
                    }
                    Err(_) => false,
                }
            }
            Change::Leave => {
                if self.joined.is_empty() {
                    return true;
                }
                let leaving = self.joined.remove(0);
                self.ledger.lock().left(leaving.id());
                let left = timeout(WRITE, leaving.leave(Duration::ZERO)).await;
                matches!(left, Ok(Ok(())))
            }
        }
    }
}

fn instance(id: &str, weight: u32) -> Instance {
    // An address of its own, for registries whose format asks for one.
    Instance::new(id).with_address(format!("{id}.test:80")).with_weight(weight)
}

//! Writing a whole list of instances at once.

use std::collections::HashSet;
use std::sync::Arc;

use lb_core::ServiceInstance;
use lb_core::registry::{Entries, Entry, InstanceState, Override, RegistryError, validate};

use crate::registry::MemoryRegistry;

impl<I: ServiceInstance> MemoryRegistry<I> {
    /// Makes `instances` the instances of the service, in one step: who is not in the list is taken out, the others
    /// are written anew, and no request sees a mixture. What is laid over an id that stays, stays.
    ///
    /// All are checked first; a name or id that cannot be used, or an id that is given twice
    /// ([`RegistryError::InvalidInstance`]), changes nothing. Announced instances are treated like all others: an
    /// announcement no longer owns an id that is written here. Costs O(n log n), one snapshot and one rebuild per
    /// balancer.
    ///
    /// Writing an instance clears what balancers hold against it. To follow a list that is mostly the same every
    /// time, use [`reconcile`](Self::reconcile).
    ///
    /// ```
    /// use lb_core::{Instance, ServiceRegistry};
    /// use lb_registry_memory::MemoryRegistry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lb_core::RegistryError> {
    /// let registry = MemoryRegistry::new();
    /// registry.replace_all("cart", (1..=3).map(|n| Instance::new(format!("cart-{n}"))))?;
    /// registry.replace_all("cart", (3..=4).map(|n| Instance::new(format!("cart-{n}"))))?;
    ///
    /// let ids: Vec<_> = registry.instances("cart").await?.iter().map(|e| e.id().to_owned()).collect();
    /// assert_eq!(ids, ["cart-3", "cart-4"]);
    /// assert!(registry.replace_all("cart", [Instance::new("a"), Instance::new("a")]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn replace_all(
        &self,
        service: &str,
        instances: impl IntoIterator<Item = I>,
    ) -> Result<(), RegistryError> {
        self.replace(service, instances, |_, _| false)
    }

    /// Like [`replace_all`](Self::replace_all), but an instance that is equal to the one registered under its id is
    /// left as it is: for who asks a discovery of their own again and again. If nothing differs, nothing is written.
    ///
    /// ```
    /// use lb_core::{Instance, ServiceRegistry};
    /// use lb_registry_memory::MemoryRegistry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lb_core::RegistryError> {
    /// let registry = MemoryRegistry::new();
    /// registry.reconcile("cart", [Instance::new("a"), Instance::new("b")])?;
    /// let before = registry.instances("cart").await?;
    /// registry.reconcile("cart", [Instance::new("a"), Instance::new("b").with_weight(2)])?;
    /// let after = registry.instances("cart").await?;
    ///
    /// assert_eq!(before[0].revision, after[0].revision);
    /// assert_ne!(before[1].revision, after[1].revision);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconcile(
        &self,
        service: &str,
        instances: impl IntoIterator<Item = I>,
    ) -> Result<(), RegistryError>
    where
        I: PartialEq,
    {
        self.replace(service, instances, |old, new| {
            old.state == InstanceState::Ready && *old.instance == *new
        })
    }

    fn replace(
        &self,
        service: &str,
        instances: impl IntoIterator<Item = I>,
        same: impl Fn(&Entry<I>, &I) -> bool,
    ) -> Result<(), RegistryError> {
        let instances = checked(service, instances)?;
        self.services.write(service, |snapshot, revision| {
            let old = &snapshot.entries;
            let mut kept = 0;
            let entries: Entries<I> = instances
                .iter()
                .map(|instance| match old.get(instance.id()) {
                    Some(entry) if same(entry, instance) => {
                        kept += 1;
                        Arc::clone(entry)
                    }
                    previous => {
                        let over = previous.map_or(Override::NONE, |entry| entry.over);
                        Arc::new(Entry::new(Arc::clone(instance), revision).with_override(over))
                    }
                })
                .collect();
            if kept == entries.len() && kept == old.len() {
                return Ok(None);
            }
            snapshot.entries = entries;
            Ok(Some(()))
        })?;
        Ok(())
    }
}

/// The instances of a list, if all can be used.
fn checked<I: ServiceInstance>(
    service: &str,
    instances: impl IntoIterator<Item = I>,
) -> Result<Vec<Arc<I>>, RegistryError> {
    validate::service(service)?;
    let instances: Vec<Arc<I>> = instances.into_iter().map(Arc::new).collect();
    let mut seen = HashSet::with_capacity(instances.len());
    for instance in &instances {
        let id = instance.id();
        validate::instance(service, id)?;
        if !seen.insert(id) {
            return Err(RegistryError::InvalidInstance {
                service: service.into(),
                id: id.into(),
                problem: "it is given twice in one list; ids are unique within a service".into(),
            });
        }
    }
    Ok(instances)
}

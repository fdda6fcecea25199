//! Announcing, for registries that a fleet shares: [`Announcer`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::action::{Answer, Hint, Step, Ticket};
use super::options::KeeperOptions;
use super::task::{self, Claim, Command, Commands};
use crate::instance::ServiceInstance;
use crate::random::RandomSource;
use crate::registry::announcement::{Announcement, AnnouncementKeeper};
use crate::registry::error::RegistryError;
use crate::registry::shared::catalog::Catalog;
use crate::registry::{InstanceState, validate};

/// Carries out in the store what a [`Keeper`](super::Keeper) decides.
///
/// A registry implements this, and has its announcements kept: the rest is the same for all.
#[async_trait]
pub trait AnnouncementStore<I>: Send + Sync + 'static {
    /// Carries out the steps, at once or in any order, and says what became of each. Must end: put a time-out around
    /// what talks to the store. A step without an answer counts as failed. What a step means, and which answers it may
    /// have, is said at [`Action`](super::Action).
    async fn perform(&self, steps: Vec<Step<I>>) -> Vec<(Ticket, Answer)>;
}

/// Announces instances through a task of its own, which keeps them in the store for as long as somebody holds them.
///
/// Cloning gives another handle on the same task. It ends when all handles and announcements are dropped and what they
/// left behind is taken out.
///
/// # Errors and waiting
///
/// A call waits for the first attempt, and no longer than the store's own time-outs. If that fails it says so:
/// [`announce`](Self::announce) takes back what may have been written; an update, a drain and a removal go on being
/// tried, so that the store gets there when it can be reached.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use std::sync::{Arc, Mutex};
/// use async_trait::async_trait;
/// use lb_core::registry::shared::{
///     Action, AnnouncementStore, Announcer, Answer, Catalog, CatalogOptions, KeeperOptions, Leases, Step, Ticket,
/// };
/// use lb_core::{Instance, RegistryError, ThreadRandom};
///
/// /// A store in memory: a list of ids.
/// struct Ids(Arc<Mutex<Vec<String>>>);
///
/// #[async_trait]
/// impl AnnouncementStore<Instance> for Ids {
///     async fn perform(&self, steps: Vec<Step<Instance>>) -> Vec<(Ticket, Answer)> {
///         let mut ids = self.0.lock().unwrap();
///         for step in &steps {
///             match &step.action {
///                 Action::Put { of, .. } => ids.push(of.id.to_string()),
///                 Action::Delete(of) => ids.retain(|id| *id != *of.id),
///                 _ => {}
///             }
///         }
///         steps.into_iter().map(|step| (step.ticket, Answer::DONE)).collect()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), RegistryError> {
/// let (ids, options) = (Arc::default(), KeeperOptions::new(Leases::Each, Duration::from_secs(15)));
/// let catalog = Catalog::new(CatalogOptions::default(), SystemTime::now());
/// let announcer = Announcer::spawn(Ids(Arc::clone(&ids)), options, catalog, Arc::new(ThreadRandom));
/// let announcement = announcer.announce("cart", Instance::new("cart-1")).await?;
/// assert_eq!(*ids.lock().unwrap(), ["cart-1"]);
/// announcement.leave(Duration::ZERO).await?;
/// assert!(ids.lock().unwrap().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Announcer<I> {
    commands: Commands<I>,
}

impl<I: ServiceInstance> Announcer<I> {
    /// Starts the task that keeps announcements in `store`. It counts in `catalog`'s counters.
    pub fn spawn(
        store: impl AnnouncementStore<I>,
        options: KeeperOptions,
        catalog: Catalog<I>,
        random: Arc<dyn RandomSource>,
    ) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        tokio::spawn(task::run(store, options, catalog, random, received));
        Self { commands }
    }

    /// Announces an instance; see [`ServiceRegistry::announce`](crate::ServiceRegistry::announce). Cancelling this takes
    /// back what may have been written.
    pub async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError> {
        validate::service(service)?;
        validate::instance(service, instance.id())?;
        let id: Arc<str> = Arc::from(instance.id());
        let service: Arc<str> = Arc::from(service);
        let instance = Arc::new(instance);
        let claim = ask(&self.commands, |reply| Command::Announce {
            service: Arc::clone(&service),
            instance,
            commands: self.commands.clone(),
            reply,
        })
        .await?;
        Ok(Announcement::new(&*id, Handle { claim, service, id: Arc::clone(&id) }))
    }

    /// Passes on what the registry's watch has seen of an instance, announced here or not.
    pub fn hint(&self, hint: Hint) {
        // If the task is gone there is nothing to keep.
        let _ = self.commands.send(Command::Hint(hint));
    }
}

/// Sends a command and waits for what became of it.
async fn ask<I, T>(
    commands: &Commands<I>,
    command: impl FnOnce(oneshot::Sender<Result<T, RegistryError>>) -> Command<I>,
) -> Result<T, RegistryError> {
    let (reply, answer) = oneshot::channel();
    commands.send(command(reply)).map_err(|_| RegistryError::Closed)?;
    answer.await.map_err(|_| RegistryError::Closed)?
}

impl<I> Clone for Announcer<I> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone() }
    }
}

impl<I> fmt::Debug for Announcer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").field("closed", &self.commands.is_closed()).finish_non_exhaustive()
    }
}

/// What stands behind an announcement.
struct Handle<I> {
    claim: Claim<I>,
    service: Arc<str>,
    id: Arc<str>,
}

#[async_trait]
impl<I: ServiceInstance> AnnouncementKeeper<I> for Handle<I> {
    async fn update(&mut self, instance: I) -> Result<(), RegistryError> {
        validate::instance(&self.service, instance.id())?;
        if *instance.id() != *self.id {
            return Err(RegistryError::InvalidInstance {
                service: self.service.to_string(),
                id: self.id.to_string(),
                problem: format!(
                    "an update cannot change the id to {:?}; announce that instance on its own",
                    instance.id()
                ),
            });
        }
        let (kept, instance) = (self.claim.kept, Arc::new(instance));
        ask(&self.claim.commands, |reply| Command::Update { kept, instance, reply }).await
    }

    async fn drain(&mut self) -> Result<(), RegistryError> {
        let (kept, state) = (self.claim.kept, InstanceState::Draining);
        ask(&self.claim.commands, |reply| Command::SetState { kept, state, reply }).await
    }

    async fn remove(&mut self) -> Result<(), RegistryError> {
        let kept = self.claim.kept;
        ask(&self.claim.commands, |reply| Command::Remove { kept, reply: Some(reply) }).await
    }

    fn abandon(&mut self) {
        // Dropping the claim is the signal, and follows.
    }
}

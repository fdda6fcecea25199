//! The task that carries out what a keeper decides.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::action::{Answer, Hint, Notice, Ticket};
use super::announcer::AnnouncementStore;
use super::machine::{Keeper, KeptId};
use super::options::KeeperOptions;
use crate::instance::ServiceInstance;
use crate::random::RandomSource;
use crate::registry::InstanceState;
use crate::registry::error::RegistryError;
use crate::registry::shared::catalog::Catalog;
use crate::registry::shared::clock::RuntimeClock;
use crate::registry::shared::record::Generation;
use crate::time::Clock;

type Performing<'a> = Pin<Box<dyn Future<Output = Vec<(Ticket, Answer)>> + Send + 'a>>;
type Reply<T> = oneshot::Sender<Result<T, RegistryError>>;
pub(super) type Commands<I> = mpsc::UnboundedSender<Command<I>>;

/// What users of announcements want.
pub(super) enum Command<I> {
    Announce { service: Arc<str>, instance: Arc<I>, commands: Commands<I>, reply: Reply<Claim<I>> },
    Update { kept: KeptId, instance: Arc<I>, reply: Reply<()> },
    SetState { kept: KeptId, state: InstanceState, reply: Reply<()> },
    Remove { kept: KeptId, reply: Option<Reply<()>> },
    Hint(Hint),
}

/// Holds an announcement. It is taken out when this is dropped, also where it never arrives: in an answer that nobody
/// waits for any more.
pub(super) struct Claim<I> {
    pub(super) kept: KeptId,
    pub(super) commands: Commands<I>,
}

impl<I> Drop for Claim<I> {
    fn drop(&mut self) {
        // If the task is gone, so is the runtime, and the time-to-live cleans up.
        let _ = self.commands.send(Command::Remove { kept: self.kept, reply: None });
    }
}

/// Who waits for an announcement.
enum Waiting<I> {
    /// For its first write.
    Announced { reply: Reply<Claim<I>>, commands: Commands<I> },
    /// For a later one. `lenient`: that it is not ours any more is fine.
    Written { reply: Reply<()>, lenient: bool },
    /// For its end.
    Left(Reply<()>),
}

struct Task<I> {
    keeper: Keeper<I>,
    names: HashMap<KeptId, (Arc<str>, Arc<str>)>,
    waiting: HashMap<KeptId, Vec<Waiting<I>>>,
    random: Arc<dyn RandomSource>,
    clock: RuntimeClock,
}

/// Runs until all commanders are gone and nothing is left to do.
pub(super) async fn run<I: ServiceInstance>(
    store: impl AnnouncementStore<I>,
    options: KeeperOptions,
    catalog: Catalog<I>,
    random: Arc<dyn RandomSource>,
    mut commands: mpsc::UnboundedReceiver<Command<I>>,
) {
    let mut task = Task {
        keeper: Keeper::new(options),
        names: HashMap::new(),
        waiting: HashMap::new(),
        random,
        clock: RuntimeClock::start(),
    };
    let mut open = true;
    let mut performing: Option<Performing<'_>> = None;
    let mut counted = 0;
    loop {
        while let Ok(command) = commands.try_recv() {
            task.command(command);
        }
        let mut wake = None;
        if performing.is_none() {
            let (steps, next) = task.keeper.poll(task.clock.now());
            wake = next;
            if !steps.is_empty() {
                performing = Some(store.perform(steps));
            }
        }
        for _ in counted..task.keeper.re_registrations() {
            catalog.counters().re_registered();
        }
        counted = task.keeper.re_registrations();
        catalog.counters().announcing(task.keeper.len() as u64);
        if !open && performing.is_none() && task.keeper.is_empty() {
            return;
        }

        let performed = async {
            match &mut performing {
                Some(future) => future.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv(), if open => match command {
                Some(command) => task.command(command),
                None => open = false,
            },
            answers = performed => {
                performing = None;
                for (_, answer) in &answers {
                    if let Answer::Failed(_) = answer {
                        catalog.counters().failed();
                    }
                }
                task.answered(answers);
            }
            () = task.clock.sleep_until(wake), if wake.is_some() => {}
        }
    }
}

impl<I: ServiceInstance> Task<I> {
    fn command(&mut self, command: Command<I>) {
        let random = Arc::clone(&self.random);
        match command {
            Command::Announce { service, instance, commands, reply } => {
                let id: Arc<str> = Arc::from(instance.id());
                let kept = self.keeper.announce(&service, instance, Generation::new(&*random));
                self.names.insert(kept, (service, id));
                self.wait(kept, Waiting::Announced { reply, commands });
            }
            Command::Update { kept, instance, reply } => {
                if self.keeper.update(kept, instance) {
                    self.wait(kept, Waiting::Written { reply, lenient: false });
                } else {
                    let _ = reply.send(Err(self.lost(kept)));
                }
            }
            Command::SetState { kept, state, reply } => {
                if self.keeper.set_state(kept, state) {
                    self.wait(kept, Waiting::Written { reply, lenient: true });
                } else {
                    let _ = reply.send(Ok(()));
                }
            }
            Command::Remove { kept, reply } => {
                if let Some(reply) = reply {
                    self.wait(kept, Waiting::Left(reply));
                }
                self.keeper.leave(kept);
            }
            Command::Hint(hint) => self.keeper.hint(&hint, self.clock.now(), &*random),
        }
        self.notify();
    }

    fn wait(&mut self, kept: KeptId, waiting: Waiting<I>) {
        self.waiting.entry(kept).or_default().push(waiting);
    }

    fn answered(&mut self, answers: Vec<(Ticket, Answer)>) {
        let now = self.clock.now();
        let random = Arc::clone(&self.random);
        for (ticket, answer) in answers {
            self.keeper.answer(ticket, answer, now, &*random);
        }
        // One batch is on its way at a time: what was not answered with it will not be.
        let error = RegistryError::backend("keep its announcements", "", "a step was not answered");
        self.keeper.abort(&error, now, &*random);
        self.notify();
    }

    /// Tells who waits what has become of it.
    fn notify(&mut self) {
        loop {
            // Telling one may be the end of another.
            let notices = self.keeper.notices();
            if notices.is_empty() {
                return;
            }
            for notice in &notices {
                self.pass_on(notice);
            }
        }
    }

    fn pass_on(&mut self, notice: &Notice) {
        let (Notice::Written(kept)
        | Notice::Failed(kept, _)
        | Notice::Taken(kept)
        | Notice::Deregistered(kept)
        | Notice::Left(kept)) = *notice;
        let lost = self.lost(kept);
        if let Notice::Left(_) = notice {
            self.names.remove(&kept);
        }
        let waiting = self.waiting.remove(&kept).unwrap_or_default();
        let still: Vec<_> =
            waiting.into_iter().filter_map(|waiting| self.tell(kept, waiting, notice, &lost)).collect();
        if !still.is_empty() {
            self.waiting.insert(kept, still);
        }
    }

    /// Answers one who waits; gives them back if this is not what they wait for.
    fn tell(
        &mut self,
        kept: KeptId,
        waiting: Waiting<I>,
        notice: &Notice,
        lost: &RegistryError,
    ) -> Option<Waiting<I>> {
        let result = match (notice, &waiting) {
            (Notice::Failed(_, error), _) => Err(error.clone()),
            (Notice::Written(_), Waiting::Announced { .. } | Waiting::Written { .. })
            | (Notice::Left(_), Waiting::Left(_))
            | (_, Waiting::Written { lenient: true, .. }) => Ok(()),
            (_, Waiting::Left(_)) => return Some(waiting),
            (_, Waiting::Announced { .. } | Waiting::Written { .. }) => Err(lost.clone()),
        };
        // Who does not wait any more need not be told.
        match waiting {
            Waiting::Announced { reply, commands } => {
                if result.is_err() {
                    self.keeper.leave(kept);
                }
                let _ = reply.send(result.map(|()| Claim { kept, commands }));
            }
            Waiting::Written { reply, .. } | Waiting::Left(reply) => {
                let _ = reply.send(result);
            }
        }
        None
    }

    /// Why an announcement is not its own any more.
    fn lost(&self, kept: KeptId) -> RegistryError {
        let (service, id) = self.names.get(&kept).cloned().unwrap_or_default();
        let (service, id) = (service.to_string(), id.to_string());
        if self.keeper.is_deregistered(kept) {
            return RegistryError::UnknownInstance { service, id };
        }
        let problem = "somebody else has registered this id since; announce it again to take it back".into();
        RegistryError::InvalidInstance { service, id, problem }
    }
}

//! [`Pool`]: the decisions about one service.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::budget::RetryBudget;
use super::build::Members;
use super::context::PoolContext;
use super::home::Home;
use super::outcome::Effect;
use super::published::Published;
use super::stats::{InstanceStats, ServiceStats};
use crate::config::{CallPolicy, HealthCheckConfig, ServiceConfig, StrategySpec};
use crate::health::{Admission, HealthState, PoolHealth};
use crate::hedge::{HedgeConfig, Hedger};
use crate::instance::ServiceInstance;
use crate::limit::QuotaHint;
use crate::member::{Lease, Member, MemberSet, Slot};
use crate::meters::Meters;
use crate::random::RandomSource;
use crate::registry::{Entries, Snapshot};
use crate::strategy::{Background, Candidates, Interest, Outcome, PickRequest, Picker, Strategy};
use crate::time::{Clock, Time};

/// Why nobody was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoPick {
    /// The registry does not know the service.
    #[error("the registry does not know the service, or it has not been called yet")]
    Unknown,
    /// The service has no instance.
    #[error("the service has no instance")]
    Empty,
    /// It has instances, but all drain, start, or have weight 0.
    #[error("all instances drain, start, or have weight 0")]
    Drained,
    /// There are instances, but none is eligible: tried already, resting, or without room.
    #[error("no instance is eligible at the moment")]
    NoneEligible,
    /// All instances are ejected, and the configuration says that calls fail then (`fail_on_panic`).
    #[error("all instances are ejected")]
    AllEjected,
}

/// The decisions about one service: who is in the set, who is picked, what an outcome means for whom.
///
/// Picks read one immutable value (one atomic load, no lock); [`apply`](Self::apply) replaces it. What a pick reads
/// may be older than the newest snapshot by the time that a concurrent `apply` takes; the member that it leads to is
/// owned by the lease, so it never dangles and is never mistaken for another.
pub struct Pool<I> {
    home: Arc<Home<I>>,
    /// What was published at first.
    nobody: Arc<Published<I>>,
    writer: Mutex<Writer<I>>,
    budget: RetryBudget,
}

struct Writer<I> {
    members: Members<I>,
    applied: Option<Arc<Snapshot<I>>>,
    spec: Option<StrategySpec>,
}

impl<I: ServiceInstance> Pool<I> {
    /// An empty pool.
    pub fn new(service: impl Into<Arc<str>>, context: Arc<PoolContext<I>>, now: Time) -> Arc<Self> {
        let signal = Arc::clone(&context.signal);
        let service = service.into();
        let meters = Arc::new(Meters::new(&service));
        let health = PoolHealth::new(
            Arc::clone(&service),
            Arc::clone(&signal),
            Arc::clone(&meters),
            &context.config,
            context.seed,
        );
        let set = MemberSet::default();
        let picker: Arc<dyn Picker<I>> = context.strategy.picker(&set, None).into();
        let nobody = Arc::new(Published {
            interest: picker.interest(),
            policy: CallPolicy::of(&context.config),
            strategy: Arc::clone(&context.strategy),
            snapshot: Arc::new(Snapshot::new(Entries::default(), None, crate::registry::Revision::NONE)),
            set,
            picker,
            hedger: context.config.hedge().map(|config| Arc::new(Hedger::new(*config, now))),
        });
        let budget = RetryBudget::new(context.config.retry_budget(), now);
        let home = Arc::new(Home::new(service, health, meters, context, &nobody));
        let writer = Writer { members: Members::new(Arc::clone(&home)), applied: None, spec: None };
        Arc::new(Self { home, nobody, writer: Mutex::new(writer), budget })
    }

    /// The service.
    pub fn service(&self) -> &Arc<str> {
        &self.home.service
    }

    /// Takes over the snapshot that `latest` returns, if it is not in force yet. The next pick sees it. When several
    /// threads come with news at once, one rebuild serves those that wait for it meanwhile.
    ///
    /// O(changed instances · log n) and whatever the strategy's picker costs to build.
    pub fn apply(&self, latest: impl FnOnce() -> Arc<Snapshot<I>>, now: Time) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked for under the lock: a thread that waited for it finds that its news is in force already.
        let snapshot = latest();
        if writer.applied.as_ref().is_some_and(|applied| Arc::ptr_eq(applied, &snapshot)) {
            return;
        }
        let current = self.home.published.load();
        let changes = writer.members.apply(&snapshot.entries, &self.home.context.groups, now);
        let config = snapshot.config.as_ref().map_or(&self.home.context.config, |entry| &entry.config);
        self.budget.configure(config.retry_budget());
        if self.health().configure(config, now) {
            writer.members.all().for_each(|member| self.health().readmit(member.state(), now));
        }
        let strategy = self.strategy(&mut writer, config, &current);
        let same = changes == 0 && Arc::ptr_eq(&strategy, &current.strategy);
        let (set, picker) = if same {
            (current.set.clone(), Arc::clone(&current.picker))
        } else {
            let set = writer.members.set();
            let picker = strategy.picker(&set, Some(&*current.picker)).into();
            (set, picker)
        };
        tracing::debug!(
            service = %self.home.service, revision = %snapshot.revision, changes, instances = set.len(), "instance set applied"
        );
        let published = Published {
            interest: picker.interest(),
            policy: CallPolicy::of(config),
            snapshot: Arc::clone(&snapshot),
            strategy,
            set,
            picker,
            hedger: hedger(config.hedge(), current.hedger.as_ref(), now),
        };
        drop(current);
        self.home.publish(published);
        writer.applied = Some(snapshot);
        drop(writer);
        self.home.context.signal.wake_waiting();
    }

    /// The strategy that the configuration asks for; the one in force if that cannot be had.
    fn strategy(
        &self,
        writer: &mut Writer<I>,
        config: &ServiceConfig,
        current: &Published<I>,
    ) -> Arc<dyn Strategy<I>> {
        if writer.spec.as_ref() == config.strategy() && writer.applied.is_some() {
            return Arc::clone(&current.strategy);
        }
        writer.spec = config.strategy().cloned();
        let Some(spec) = config.strategy() else { return Arc::clone(&self.home.context.strategy) };
        self.home.context.factory.build(spec).unwrap_or_else(|error| {
            tracing::warn!(
                service = %self.home.service, %error, in_force = current.strategy.name(),
                "the configured strategy cannot be built; the one in force stays"
            );
            Arc::clone(&current.strategy)
        })
    }

    /// Picks a member and counts a request in.
    pub fn acquire(
        &self,
        request: PickRequest<'_>,
        clock: &dyn Clock,
        random: &dyn RandomSource,
    ) -> Result<Lease<I>, NoPick> {
        let published = self.home.published.load();
        let candidates = Candidates::new(&published.set, request, clock, random);
        self.acquire_from(&published, &candidates).map(|(_, lease)| lease)
    }

    /// The same from a set that was read already, of which `candidates` is the view; tells also where the member sits.
    #[inline]
    pub(crate) fn acquire_from(
        &self,
        published: &Published<I>,
        candidates: &Candidates<'_, I>,
    ) -> Result<(Slot, Lease<I>), NoPick> {
        let set = &published.set;
        if set.is_empty() {
            return Err(nobody(&published.snapshot));
        }
        let mut own_picks = 0;
        loop {
            // A strategy that keeps choosing whom it must not is helped out, so that it cannot stop a call.
            let slot = if own_picks <= set.len() {
                published.picker.pick(candidates)
            } else {
                candidates.any_eligible(set)
            };
            own_picks += 1;
            let Some(slot) = slot else {
                if candidates.allow_last_resort(self.health().fails_on_panic()) {
                    own_picks = 0;
                    continue;
                }
                let shut = self.health().is_shut();
                return Err(if shut { NoPick::AllEjected } else { NoPick::NoneEligible });
            };
            if let Some(seat) = candidates.chosen(slot)
                && let Some(admission) = seat.enter(candidates.lazy_now(), candidates.is_desperate())
            {
                if let Ok(lease) = Lease::acquire(seat.member(), candidates.cost(), candidates.lazy_now()) {
                    self.started(published, &lease);
                    return Ok((slot, lease));
                }
                if admission == Admission::Probe {
                    seat.state().gate().release_probe();
                }
            }
            candidates.refuse(slot);
        }
    }

    #[inline]
    fn started(&self, published: &Published<I>, lease: &Lease<I>) {
        // In batches, because the budget is shared by all threads.
        if lease.ordinal() % 16 == 15 {
            self.budget.deposit(16);
        }
        if published.interest.starts {
            published.picker.on_start(lease.member());
        }
    }

    /// See [`Home::on_publish`]. Under the writer's lock, so that who publishes either has done so before, and is seen by
    /// who sets the listener, or finds it.
    pub(crate) fn on_publish(&self, listener: impl Fn(&Home<I>) + Send + Sync + 'static) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.home.on_publish(listener);
    }

    pub(crate) const fn home(&self) -> &Arc<Home<I>> {
        &self.home
    }

    /// Takes an outcome in: counts it, rests or sets aside the instance if that follows, tells the strategy.
    pub fn record(&self, member: &Member<I>, outcome: &Outcome, now: Time) -> Effect {
        self.home.record(member, outcome, now)
    }

    /// Compares the instances with each other, if an interval of the [outlier
    /// detection](crate::OutlierDetection::interval) has passed since that was last done. Failures do that when it is
    /// due, so nobody has to call this; a simulator may, to have it done at an exact time. O(n).
    pub fn tick(&self, now: Time) {
        self.home.tick(now);
    }

    /// The provider of `member` said how much of its quota is left.
    pub fn hint(&self, member: &Member<I>, hint: QuotaHint, now: Time) {
        self.home.hint(member, hint, now);
    }

    fn health(&self) -> &PoolHealth {
        &self.home.health
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.home.meters
    }

    /// Chance that no call has to do with.
    pub(crate) fn chance(&self) -> &dyn RandomSource {
        self.health().chance()
    }

    /// What the picker in force wants done beside picks. The engine has it done; a simulator has to see to it itself,
    /// after each [`apply`](Self::apply).
    pub fn background(&self) -> Vec<Arc<dyn Background>> {
        self.home.published.load().picker.background()
    }

    /// How the instances are to be checked.
    pub(crate) fn health_check(&self) -> HealthCheckConfig {
        self.health().health_check()
    }

    /// A health check of a member has ended: enough in a row take it out, or bring it back.
    pub fn checked(&self, member: &Member<I>, passed: bool, now: Time) {
        self.meters().checked(passed);
        self.health().checked(member.state(), passed, now);
    }

    /// The members that can be picked from.
    pub(crate) fn members(&self) -> MemberSet<I> {
        self.home.published.load().set.clone()
    }

    /// Whether `set` is still the one that picks are made from.
    pub(crate) fn is_set(&self, set: &MemberSet<I>) -> bool {
        self.home.published.load().set.is_same(set)
    }

    /// The policy of calls to this service.
    pub fn policy(&self) -> CallPolicy {
        self.home.published.load().policy
    }

    /// The services to go on with when this one has nobody left.
    pub fn fallbacks(&self) -> Vec<Arc<str>> {
        let published = self.home.published.load();
        let config =
            published.snapshot.config.as_ref().map_or(&self.home.context.config, |entry| &entry.config);
        config.fallbacks().iter().map(|name| name.as_str().into()).collect()
    }

    /// Which hooks the strategy in force has a use for.
    pub fn interest(&self) -> Interest {
        self.home.published.load().interest
    }

    /// How many members can be picked from.
    pub fn len(&self) -> usize {
        self.home.published.load().set.len()
    }

    /// Whether there is nobody to pick.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the registry knows the service.
    pub fn is_known(&self) -> bool {
        self.home.published.load().snapshot.is_known()
    }

    /// Whether any request is running, also on instances that have left. O(n).
    pub fn is_busy(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = writer.members.all().any(|member| member.in_flight() > 0);
        busy || writer.members.leaving().next().is_some()
    }

    /// The retry budget.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// The instance of that id, with or without a weight.
    pub fn member(&self, id: &str) -> Option<Arc<Member<I>>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).members.get(id).cloned()
    }

    /// Whether the instance of that id gets no requests and has none in flight. If it has, the balancer's signal tells
    /// when one ends.
    pub(crate) fn is_drained(&self, id: &str) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = writer.members.state(id) else { return true };
        if state.gate().is_seated() {
            return false;
        }
        state.gate().await_end();
        state.in_flight() == 0
    }

    /// What is known of the service. O(n log n).
    pub fn stats(&self, waiting: usize, now: Time) -> ServiceStats {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.home.published.load();
        let here = writer.members.all().map(|member| InstanceStats::of(member, now));
        let mut instances: Vec<_> = here
            .chain(writer.members.leaving().map(|state| InstanceStats::gone(state, HealthState::Healthy)))
            .collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        ServiceStats {
            service: Arc::clone(&self.home.service),
            strategy: published.strategy.name().to_owned(),
            revision: published.snapshot.revision,
            freshness: published.snapshot.freshness,
            skipped: published.snapshot.skipped,
            waiting,
            retry_tokens: self.budget.tokens(),
            panic: self.health().is_in_panic(),
            ejected: self.health().ejected_now(),
            instances,
        }
    }
}

/// The hedger for a configuration: the current one, with what it has learned, if that is unchanged.
fn hedger(config: Option<&HedgeConfig>, current: Option<&Arc<Hedger>>, now: Time) -> Option<Arc<Hedger>> {
    let config = config?;
    match current {
        Some(current) if current.config() == config => Some(Arc::clone(current)),
        _ => Some(Arc::new(Hedger::new(*config, now))),
    }
}

fn nobody<I: ServiceInstance>(snapshot: &Snapshot<I>) -> NoPick {
    if !snapshot.entries.is_empty() {
        NoPick::Drained
    } else if snapshot.is_known() {
        NoPick::Empty
    } else {
        NoPick::Unknown
    }
}

impl<I> Drop for Pool<I> {
    fn drop(&mut self) {
        // The members that are published hold the home that publishes them.
        self.home.published.store(Arc::clone(&self.nobody));
    }
}

impl<I> fmt::Debug for Pool<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("service", &self.home.service).finish_non_exhaustive()
    }
}

//! Where it went before: [`Sticky`].

mod memory;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lb_core::StrategySpec;
use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, StrategyError,
    StrategyFactory, previous_as,
};
use serde::Deserialize;

use self::memory::{Fingerprint, Memory};
use crate::inner::build_inner;
use crate::params::{in_range, invalid};

/// Session affinity: requests with the same key (`CallOptions::hash_key`) go to the member that served the first of them,
/// whoever comes and goes; that one is chosen by whatever strategy is wrapped.
///
/// Use it where a member holds something for a session that is lost or dear elsewhere (a conversation's prompt cache, a
/// stateful connection), and where new sessions should go by load or quota. Where all processes of a fleet must agree
/// on where a key goes use one of the strategies that hash, [`Maglev`](crate::Maglev) by default: what this remembers is
/// known to this process only, and gone with it.
///
/// A session moves when its member is not there any more (deregistered, draining, without weight), rests or is
/// ejected: the inner strategy chooses a new one, which is remembered. When the member has only failed or refused *this*
/// request, the retry goes elsewhere, and the session stays: its next request tries the member again. A session of which
/// only one request was ever sent is not worth that, and moves at once. Two first requests of a session at the same time may
/// be served by different members; the later one decides.
///
/// Memory is bounded: [`capacity`](Self::capacity) sessions, 16 bytes each, allocated at once for each service. When its
/// four places are full, a new session takes that of the one that was not used for the longest time; that is chosen anew if
/// it comes back. Half full, a table forgets about 2 % of its sessions before their time. Members are remembered by id, so
/// one that is deregistered and comes back finds the sessions that have not moved on.
///
/// Requests without a key are the inner strategy's. A pick of a known session is O(1): a look into the table, one
/// into a map of members, one read of the clock; of others that and what the inner strategy takes. No lock, no allocation.
/// A new set costs O(n).
///
/// ```
/// use lb_core::Instance;
/// use lb_core::strategy::{Exclusions, PickRequest};
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{RoundRobin, Sticky};
///
/// let bench = StrategyBench::new(Sticky::new(RoundRobin::new()), 7).with_equal_members(3);
/// let tried = Exclusions::new();
/// let served_by = |session| {
///     let request = PickRequest { hash_key: Some(session), ..PickRequest::new(&tried) };
///     let lease = bench.pool().acquire(request, &bench.now(), bench.random())?;
///     Ok::<_, lb_core::pool::NoPick>(lease.member().id().clone())
/// };
/// let first = served_by(42)?;
/// for i in 0..100 {
///     bench.put(Instance::new(format!("new-{i}")));
///     assert_eq!(served_by(42)?, first);
/// }
/// # Ok::<_, lb_core::pool::NoPick>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sticky<S> {
    inner: S,
    capacity: usize,
    ttl: Duration,
}

const CAPACITY: usize = 65_536;
const MAX_CAPACITY: usize = 1 << 24;
const TTL: Duration = Duration::from_secs(3600);
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    capacity: Option<usize>,
    #[serde(with = "lb_core::config::human::option")]
    ttl: Option<Duration>,
    inner: Option<StrategySpec>,
}

impl<S> Sticky<S> {
    /// The name in configuration.
    pub const NAME: &'static str = "sticky";

    /// Remembers where `inner` has sent a session.
    pub const fn new(inner: S) -> Self {
        Self { inner, capacity: CAPACITY, ttl: TTL }
    }

    /// How many sessions are remembered. Default 65,536, which takes 1 MiB per service; kept between 64 and 16,777,216 and
    /// rounded up to a power of two. Take twice the number of sessions that are in use within [`ttl`](Self::ttl).
    #[must_use]
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions.clamp(64, MAX_CAPACITY);
        self
    }

    /// How long a session is remembered that is not used. Default an hour; kept between a second and 30 days; whole seconds
    /// count.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Duration::from_secs(ttl.clamp(MIN_TTL, MAX_TTL).as_secs());
        self
    }
}

impl<I: 'static> Sticky<Arc<dyn Strategy<I>>> {
    /// From configuration: `{ "capacity": 65536, "ttl": "1h", "inner": { "name": "round_robin" } }`, where `factory`
    /// builds the inner strategy.
    pub fn from_params(
        params: &serde_json::Value,
        factory: &dyn StrategyFactory<I>,
    ) -> Result<Self, StrategyError> {
        let Params { capacity, ttl, inner } = StrategySpec::parse_params(Self::NAME, params)?;
        let mut strategy = Self::new(build_inner(inner, factory)?);
        if let Some(capacity) = capacity {
            strategy = strategy.capacity(in_range(Self::NAME, "capacity", capacity, 64..=MAX_CAPACITY)?);
        }
        if let Some(ttl) = ttl {
            if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
                return Err(invalid(Self::NAME, format!("`ttl` is from 1s to 30days, not {ttl:?}")));
            }
            strategy = strategy.ttl(ttl);
        }
        Ok(strategy)
    }
}

impl<I: Send + Sync + 'static, S: Strategy<I>> Strategy<I> for Sticky<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let before = previous_as::<StickyPicker<I>, I>(previous);
        let fresh = || Arc::new(Memory::new(self.capacity, self.ttl));
        let is_same = |memory: &Memory| {
            memory.capacity() == self.capacity.next_power_of_two() && memory.ttl() == self.ttl
        };
        let memory = before.map(|before| &before.memory).filter(|memory| is_same(memory));
        // A picker that is not of sessions may be the inner strategy's, of the time before there was any.
        let inner = before.map_or(previous, |before| Some(&*before.inner));
        Box::new(StickyPicker {
            memory: memory.map_or_else(fresh, Arc::clone),
            slots: set.iter().map(|(slot, member)| (Fingerprint::of(member.id()), slot)).collect(),
            inner: self.inner.picker(set, inner),
        })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct StickyPicker<I> {
    memory: Arc<Memory>,
    slots: HashMap<Fingerprint, Slot, foldhash::fast::RandomState>,
    inner: Box<dyn Picker<I>>,
}

impl<I: Send + Sync + 'static> Picker<I> for StickyPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let Some(key) = candidates.hash_key() else { return self.inner.pick(candidates) };
        let now = candidates.now();
        let mut stays = false;
        if let Some(note) = self.memory.get(key, now)
            && let Some(slot) = self.slots.get(&note.member)
            && let Some(seat) = candidates.seat(*slot)
        {
            if candidates.is_eligible(*slot) {
                self.memory.follow(key, note, now);
                return Some(*slot);
            }
            // It is only this request that cannot be served there.
            stays = note.is_firm && candidates.is_available(seat);
        }
        let slot = self.inner.pick(candidates)?;
        if let Some(member) = candidates.member(slot).filter(|_| !stays) {
            self.memory.put(key, Fingerprint::of(member.id()), false, now);
        }
        Some(slot)
    }

    fn on_start(&self, member: &Member<I>) {
        self.inner.on_start(member);
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.inner.on_outcome(member, outcome);
    }

    fn interest(&self) -> Interest {
        self.inner.interest()
    }

    fn background(&self) -> Vec<Arc<dyn Background>> {
        self.inner.background()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use serde_json::json;

    use crate::BuiltInStrategies;

    #[test]
    fn parameters_are_checked() {
        let parse = |params| Sticky::<Arc<dyn Strategy<Instance>>>::from_params(&params, &BuiltInStrategies);
        let sticky =
            parse(json!({ "capacity": 1000, "ttl": "30min", "inner": { "name": "random" } })).unwrap();
        assert_eq!((sticky.capacity, sticky.ttl), (1000, Duration::from_secs(1800)));
        assert_eq!(sticky.inner.name(), "random");
        for (params, part) in [
            (json!({ "capacity": 10 }), "`capacity` is from 64 to 16777216, not 10"),
            (json!({ "ttl": "500ms" }), "`ttl` is from 1s to 30days, not 500ms"),
            (json!({ "ttl": 30 }), "not a duration"),
            (json!({ "inner": { "name": "randon" } }), "at params.inner"),
        ] {
            let error = parse(params).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

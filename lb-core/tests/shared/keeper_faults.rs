//! The keeper of announcements against a simulated store, by random schedules of faults.
//!
//! Whatever happens: once the faults stop, what is announced is there, in its latest version; and what was left is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lb_core::registry::shared::{
    Action, Announced, Answer, Generation, Hint, HintKind, Keeper, KeeperOptions, KeptId, Leases, Notice,
};
use lb_core::registry::{InstanceState, RegistryError};
use lb_core::{Instance, RandomSource, SeededRandom, Time};
use proptest::prelude::*;

const TTL: Duration = Duration::from_secs(15);
const IDS: [&str; 3] = ["a", "b", "c"];

/// What happens to one step.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// It is not done, and the error says so.
    Before,
    /// It is done, and the answer is lost.
    After,
}

#[derive(Clone, Debug)]
enum Op {
    Announce(usize),
    Update(usize),
    Drain(usize),
    Leave(usize),
    /// Steps are asked for and carried out, with these faults.
    Run(Vec<Fault>),
    /// The store loses all it has.
    Wipe,
    /// The lease, or the beat, of everything runs out.
    Expire,
    /// Somebody deletes the key, and the watch shows it.
    Delete(usize),
    /// Somebody takes the instance out, and the watch shows it.
    Deregister(usize),
    /// Another process registers the id; the watch shows it, or not.
    TakeOver(usize, bool),
    Pass(u64),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![2 => Just(Fault::None), 1 => Just(Fault::Before), 1 => Just(Fault::After)]
}

fn op() -> impl Strategy<Value = Op> {
    let id = 0..IDS.len();
    prop_oneof![
        4 => id.clone().prop_map(Op::Announce),
        2 => id.clone().prop_map(Op::Update),
        1 => id.clone().prop_map(Op::Drain),
        2 => id.clone().prop_map(Op::Leave),
        8 => prop::collection::vec(fault(), 0..4).prop_map(Op::Run),
        1 => Just(Op::Wipe),
        1 => Just(Op::Expire),
        1 => id.clone().prop_map(Op::Delete),
        1 => id.clone().prop_map(Op::Deregister),
        1 => (id, any::<bool>()).prop_map(|(id, seen)| Op::TakeOver(id, seen)),
        4 => (1..20_000_u64).prop_map(Op::Pass),
    ]
}

/// A key of the store.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    generation: Generation,
    weight: u32,
    state: InstanceState,
    lease: Option<u64>,
    expires: Time,
}

struct World {
    leases: Leases,
    keeper: Keeper<Instance>,
    keys: BTreeMap<String, Stored>,
    granted: BTreeMap<u64, Time>,
    next_lease: u64,
    revision: u64,
    now: Time,
    random: SeededRandom,
    /// Who holds which announcement of which id, with the weight that was wanted last.
    held: BTreeMap<usize, (KeptId, u32, InstanceState)>,
    /// Who has ended otherwise.
    ended: BTreeSet<KeptId>,
    left: BTreeSet<KeptId>,
    leaving: BTreeSet<KeptId>,
    owners: BTreeMap<u64, KeptId>,
    weight: u32,
}

fn unreachable_store() -> RegistryError {
    RegistryError::backend("announce", "s", "the store cannot be reached")
}

impl World {
    fn new(leases: Leases) -> Self {
        let options = KeeperOptions::new(leases, TTL);
        let options = if leases == Leases::Shared { options.draining_first() } else { options };
        Self {
            leases,
            keeper: Keeper::new(options),
            keys: BTreeMap::new(),
            granted: BTreeMap::new(),
            next_lease: 1,
            revision: 0,
            now: Time::ORIGIN + TTL,
            random: SeededRandom::new(3),
            held: BTreeMap::new(),
            ended: BTreeSet::new(),
            left: BTreeSet::new(),
            leaving: BTreeSet::new(),
            owners: BTreeMap::new(),
            weight: 1,
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Announce(n) => {
                self.weight += 1;
                let generation = Generation::new(&self.random);
                let kept = self.keeper.announce("s", self.instance(n), generation);
                self.owners.insert(generation.owner(), kept);
                if let Some((former, ..)) = self.held.insert(n, (kept, self.weight, InstanceState::Ready)) {
                    // Its handle is dropped.
                    self.keeper.leave(former);
                    self.leaving.insert(former);
                }
            }
            Op::Update(n) => {
                self.weight += 1;
                let instance = self.instance(n);
                if let Some((kept, weight, _)) = self.held.get_mut(&n)
                    && self.keeper.update(*kept, instance)
                {
                    *weight = self.weight;
                }
            }
            Op::Drain(n) => {
                if let Some((kept, _, state)) = self.held.get_mut(&n)
                    && self.keeper.set_state(*kept, InstanceState::Draining)
                {
                    *state = InstanceState::Draining;
                }
            }
            Op::Leave(n) => {
                if let Some((kept, ..)) = self.held.remove(&n) {
                    self.keeper.leave(kept);
                    self.leaving.insert(kept);
                }
            }
            Op::Run(ref faults) => self.run(faults),
            Op::Wipe => {
                self.keys.clear();
                self.granted.clear();
                self.revision = 0;
                for id in IDS {
                    self.seen(id, u64::MAX, HintKind::Gone);
                }
            }
            Op::Expire => {
                self.granted.clear();
                self.keys.retain(|_, stored| stored.lease.is_none() && stored.expires == Time::MAX);
            }
            Op::Delete(n) => {
                self.revision += 1;
                if self.keys.remove(IDS[n]).is_some() {
                    self.seen(IDS[n], self.revision, HintKind::Gone);
                }
            }
            Op::Deregister(n) => {
                self.revision += 1;
                if self.keys.remove(IDS[n]).is_some() {
                    self.seen(IDS[n], self.revision, HintKind::Deregistered);
                }
            }
            Op::TakeOver(n, seen) => {
                self.revision += 1;
                let (generation, weight) = (Generation::new(&self.random), 0);
                let state = InstanceState::Ready;
                let stored = Stored { generation, weight, state, lease: None, expires: Time::MAX };
                self.keys.insert(IDS[n].into(), stored);
                if seen {
                    self.seen(IDS[n], self.revision, HintKind::Taken);
                }
            }
            Op::Pass(millis) => self.pass(Duration::from_millis(millis)),
        }
        self.notice();
    }

    fn instance(&self, n: usize) -> Instance {
        Instance::new(IDS[n]).with_weight(self.weight)
    }

    fn seen(&mut self, id: &str, revision: u64, kind: HintKind) {
        self.keeper.hint(&Hint::new("s", id, revision, kind), self.now, &self.random);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let now = self.now;
        self.granted.retain(|_, expires| *expires > now);
        let granted = &self.granted;
        self.keys.retain(|_, stored| match stored.lease {
            Some(lease) => granted.contains_key(&lease),
            None => stored.expires > now,
        });
    }

    fn run(&mut self, faults: &[Fault]) {
        let (steps, _) = self.keeper.poll(self.now);
        let mut about = BTreeSet::new();
        for (n, step) in steps.into_iter().enumerate() {
            if let Action::Put { of, .. } | Action::Delete(of) | Action::Beat(of) = &step.action {
                assert!(about.insert(of.id.clone()), "two steps about one key are on their way");
            }
            let answer = match faults.get(n).copied().unwrap_or(Fault::None) {
                Fault::None => self.perform(&step.action),
                Fault::Before => Answer::Failed(unreachable_store()),
                Fault::After => {
                    self.perform(&step.action);
                    Answer::Failed(unreachable_store())
                }
            };
            self.keeper.answer(step.ticket, answer, self.now, &self.random);
        }
    }

    fn own(&self, of: &Announced, stored: &Stored) -> bool {
        match self.leases {
            Leases::Each => stored.generation.owner() == of.generation.owner(),
            Leases::Shared => {
                stored.lease.is_some() && (stored.lease == of.lease || stored.lease == of.former_lease)
            }
        }
    }

    /// What the store does.
    fn perform(&mut self, action: &Action<Instance>) -> Answer {
        self.revision += 1;
        let expires = self.now + TTL;
        match action {
            Action::Grant => {
                let lease = self.next_lease;
                self.next_lease += 1;
                self.granted.insert(lease, expires);
                Answer::Granted { lease, ttl: TTL }
            }
            Action::KeepAlive { lease } => match self.granted.get_mut(lease) {
                Some(until) => {
                    *until = expires;
                    Answer::DONE
                }
                None => Answer::Lost,
            },
            Action::Beat(of) => match self.keys.get(&*of.id) {
                None => Answer::Lost,
                Some(stored) if !self.own(of, stored) => Answer::Taken,
                Some(stored) => {
                    let stored = Stored { expires, ..stored.clone() };
                    self.keys.insert(of.id.to_string(), stored);
                    Answer::DONE
                }
            },
            Action::Put { of, record, takes_over } => {
                if let Some(lease) = of.lease
                    && !self.granted.contains_key(&lease)
                {
                    return Answer::Lost;
                }
                if !takes_over && self.keys.get(&*of.id).is_some_and(|stored| !self.own(of, stored)) {
                    return Answer::Taken;
                }
                let stored = Stored {
                    generation: of.generation,
                    weight: record.instance.weight,
                    state: record.state,
                    lease: of.lease,
                    expires,
                };
                self.keys.insert(of.id.to_string(), stored);
                Answer::Done { revision: self.revision }
            }
            Action::Delete(of) => {
                let owned = self.keys.get(&*of.id).is_some_and(|stored| self.own(of, stored));
                if owned {
                    self.keys.remove(&*of.id);
                }
                Answer::Done { revision: self.revision }
            }
            Action::Revoke { lease } => {
                self.granted.remove(lease);
                self.keys.retain(|_, stored| stored.lease != Some(*lease));
                Answer::DONE
            }
            other => panic!("an action that this store does not know: {other:?}"),
        }
    }

    fn notice(&mut self) {
        for notice in self.keeper.notices() {
            match notice {
                Notice::Left(kept) => {
                    assert!(self.leaving.contains(&kept), "it left and was not asked to");
                    self.left.insert(kept);
                }
                Notice::Taken(kept) | Notice::Deregistered(kept) => drop(self.ended.insert(kept)),
                _ => {}
            }
        }
        for (id, stored) in &self.keys {
            if let Some(kept) = self.owners.get(&stored.generation.owner()) {
                assert!(!self.left.contains(kept), "{id} has left, and is there");
            }
        }
    }

    /// The faults stop: time passes in small steps, and what is asked for is done.
    fn heal(&mut self) {
        for _ in 0..400 {
            self.run(&[]);
            self.notice();
            let (steps, wake) = self.keeper.poll(self.now);
            for step in steps {
                let answer = self.perform(&step.action);
                self.keeper.answer(step.ticket, answer, self.now, &self.random);
            }
            self.notice();
            let wake = wake.unwrap_or(self.now + TTL).max(self.now + Duration::from_millis(1));
            self.pass(wake.since(self.now).min(TTL / 3));
        }
        for (&n, &(kept, weight, state)) in &self.held {
            let stored = self.keys.get(IDS[n]);
            if self.ended.contains(&kept) {
                assert!(!self.keeper.is_present(kept));
                let ours = stored.and_then(|stored| self.owners.get(&stored.generation.owner()));
                assert_ne!(ours, Some(&kept), "{} was taken out by somebody, and is there", IDS[n]);
            } else {
                let stored = stored.unwrap_or_else(|| panic!("{} is not there", IDS[n]));
                assert_eq!(self.owners.get(&stored.generation.owner()), Some(&kept));
                assert_eq!((stored.weight, stored.state), (weight, state));
            }
        }
        for stored in self.keys.values() {
            if let Some(kept) = self.owners.get(&stored.generation.owner()) {
                assert!(!self.leaving.contains(kept), "who has left is there");
            }
        }
        assert_eq!(self.leaving, self.left, "all who leave are told when they have left");
    }
}

fn check(leases: Leases, ops: &[Op]) {
    let mut world = World::new(leases);
    for op in ops {
        world.step(op);
    }
    world.heal();
    // In the end all leave, and nothing is left: no key, no lease, nothing to do.
    for n in 0..IDS.len() {
        world.step(&Op::Leave(n));
    }
    world.heal();
    assert!(world.keys.values().all(|stored| stored.expires == Time::MAX), "{:?}", world.keys);
    assert!(world.granted.is_empty());
    assert!(world.keeper.is_empty());
    assert_eq!(world.keeper.poll(world.now).0.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_shared_lease_survives_every_schedule(ops in prop::collection::vec(op(), 0..60)) {
        check(Leases::Shared, &ops);
    }

    #[test]
    fn beats_survive_every_schedule(ops in prop::collection::vec(op(), 0..60)) {
        check(Leases::Each, &ops);
    }
}

/// How often it is tried while the store is away: never given up, and never in a tight loop.
#[test]
fn an_outage_is_waited_for_without_spinning() {
    for leases in [Leases::Shared, Leases::Each] {
        let mut world = World::new(leases);
        world.step(&Op::Announce(0));
        let mut attempts = 0;
        let end = world.now + Duration::from_secs(3600);
        while world.now < end {
            let (steps, wake) = world.keeper.poll(world.now);
            attempts += steps.len();
            for step in steps {
                world.keeper.answer(
                    step.ticket,
                    Answer::Failed(unreachable_store()),
                    world.now,
                    &world.random,
                );
            }
            world.now = wake.unwrap_or(world.now + Duration::from_millis(1)).max(world.now);
        }
        assert!((1200..4800).contains(&attempts), "{attempts} attempts in an hour, at most 2 s apart");
        world.heal();
        assert!(world.random.next_u64() > 0);
    }
}

/// Somebody who deletes the key again and again is answered, but not in a tight loop.
#[test]
fn a_key_that_is_deleted_in_a_loop_is_written_at_a_bounded_rate() {
    let mut world = World::new(Leases::Each);
    world.step(&Op::Announce(0));
    let (start, mut puts) = (world.now, 0);
    while world.now < start + Duration::from_secs(60) {
        let before = world.keys.contains_key("a");
        world.run(&[]);
        puts += usize::from(!before && world.keys.contains_key("a"));
        world.step(&Op::Delete(0));
        world.pass(Duration::from_millis(1));
    }
    assert!((20..1500).contains(&puts), "{puts} in a minute");
}

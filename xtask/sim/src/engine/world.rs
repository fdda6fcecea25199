//! The loop: [`run`].

use std::sync::Arc;

use lb_core::plan::{Next, RetryPlan};
use lb_core::pool::Pool;
use lb_core::strategy::{Strategy, StrategyError};

use super::arrivals::Source;
use super::beside::Beside;
use super::call::{Call, Client, time};
use super::event::{Agenda, Event};
use super::keys::Keys;
use super::probe::Askable;
use super::registry::Registry;
use super::salt;
use super::server::Server;
use crate::random::{Draw, Stream, hash};
use crate::record::{End, Record};
use crate::scenario::{Scenario, SimHost, What};

/// What a strategy may know of the process that it works in.
#[derive(Clone, Copy, Debug)]
pub struct ClientInfo<'a> {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// Where it is.
    pub zone: Option<&'a str>,
    /// What it asks hosts with what they have to do.
    pub hosts: &'a Askable<'a>,
}

/// Makes the strategy of a client.
pub type Build<'a> = dyn Fn(ClientInfo<'_>) -> Result<Arc<dyn Strategy<SimHost>>, StrategyError> + Sync + 'a;

/// Runs a scenario. The same seed gives the same record, whatever else runs.
pub fn run(scenario: &Scenario, build: &Build<'_>, seed: u64) -> Result<Record, StrategyError> {
    run_from(scenario, build, seed, 0)
}

/// The same, with so many requests at the very start, before those that the scenario asks for.
pub fn run_from(
    scenario: &Scenario,
    build: &Build<'_>,
    seed: u64,
    at_start: usize,
) -> Result<Record, StrategyError> {
    let count = scenario.clients.count;
    if !scenario.clients.alone {
        let mut world = World::new(scenario, 0..count, Registry::new(scenario), build, seed, at_start)?;
        world.run();
        return Ok(world.record);
    }
    let mut record = Record::new(scenario);
    let registry = Registry::new(scenario);
    for client in 0..count {
        let mut world = World::new(scenario, client..client + 1, registry.clone(), build, seed, at_start)?;
        world.run();
        record.add(world.record);
    }
    Ok(record)
}

pub(super) struct World<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) seed: u64,
    pub(super) now: u64,
    pub(super) agenda: Agenda,
    pub(super) calls: Vec<Call>,
    free: Vec<u32>,
    pub(super) clients: Vec<Client>,
    pub(super) servers: Vec<Server>,
    source: Source,
    pub(super) registry: Registry,
    numbers: u64,
    keys: Keys,
    pub(super) askable: Askable<'s>,
    /// What strategies do beside picks, if any does.
    beside: Option<Beside>,
    pub(super) record: Record,
}

impl<'s> World<'s> {
    fn new(
        scenario: &'s Scenario,
        clients: std::ops::Range<usize>,
        registry: Registry,
        build: &Build<'_>,
        seed: u64,
        at_start: usize,
    ) -> Result<Self, StrategyError> {
        let first = clients.start as u64;
        let share = clients.len() as f64 / scenario.clients.count as f64;
        let draw = Draw::new(seed, salt::ARRIVALS, first);
        let source = Source::new(scenario.arrivals.clone(), share, draw, scenario.duration.0, at_start);
        let stops = scenario.changes.iter().any(|change| change.what == What::Stop);
        let mut world = World {
            scenario,
            seed,
            now: 0,
            agenda: Agenda::default(),
            calls: Vec::new(),
            free: Vec::new(),
            clients: Vec::new(),
            servers: scenario.hosts.iter().map(|host| Server::new(host, stops)).collect(),
            source,
            registry,
            numbers: first << 32,
            keys: Keys::new(scenario.clients.keys),
            askable: Askable::new(&scenario.hosts),
            beside: None,
            record: Record::new(scenario),
        };
        for index in clients {
            let client = world.client(index, build)?;
            world.clients.push(client);
            world.do_beside(world.clients.len() - 1);
        }
        for (index, change) in scenario.changes.iter().enumerate() {
            world.agenda.add(change.at.0, Event::Change(index as u32));
        }
        Ok(world)
    }

    fn client(&self, index: usize, build: &Build<'_>) -> Result<Client, StrategyError> {
        let settings = &self.scenario.clients;
        let zones = &settings.zones;
        let zone = (!zones.is_empty()).then(|| &*zones[index % zones.len()]);
        let mut context = crate::strategies::context(settings.limits);
        context.strategy = build(ClientInfo { index, count: settings.count, zone, hosts: &self.askable })?;
        context.config = self.scenario.config.clone();
        context.seed = hash(self.seed, salt::POOL, index as u64);
        let pool = Pool::new("service", Arc::new(context), time(0));
        pool.apply(|| Arc::clone(&self.registry.snapshots[0]), time(0));
        Ok(Client {
            policy: pool.policy(),
            pool,
            random: Stream::new(hash(self.seed, salt::CLIENT, index as u64)),
            line: std::collections::VecDeque::new(),
            looks_at: None,
            version: 0,
            requests: vec![0; self.scenario.hosts.len()],
        })
    }

    /// Has done what the strategy of a client wants done beside picks.
    pub(super) fn do_beside(&mut self, client: usize) {
        let wanted = self.clients[client].pool.background();
        let seed = hash(self.seed, salt::BESIDE, client as u64);
        Beside::sync(&mut self.beside, client, wanted, seed, self.now);
    }

    fn run(&mut self) {
        while let Some(at) = self.source.next() {
            self.agenda.add(at, Event::Arrival);
            if at > 0 {
                break;
            }
        }
        let horizon = self.scenario.duration.0.saturating_add(self.scenario.drain.0);
        while let Some((at, event)) = self.agenda.next() {
            if at > horizon {
                break;
            }
            if let Some(beside) = &mut self.beside {
                beside.go_on_until(at);
            }
            self.now = at;
            self.record.events += 1;
            self.happen(event);
        }
        for call in &self.calls {
            if !call.over {
                self.record.call(call.started, horizon, End::Unfinished);
            }
        }
        for client in &self.clients {
            for (users, requests) in self.record.users.iter_mut().zip(&client.requests) {
                *users += u32::from(*requests > 0);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => {
                // Those at the very start, and the first after it, are on the agenda already.
                if self.now > 0
                    && let Some(at) = self.source.next()
                {
                    self.agenda.add(at, Event::Arrival);
                }
                self.arrive();
            }
            Event::Done { host, life, job, answer } => self.done(host, life, job, answer),
            Event::Answered { job, answer } => self.answered(job, answer),
            Event::TimedOut(job) => self.timed_out(job),
            Event::Wake(job) => {
                let call = &self.calls[job.call as usize];
                if call.step == job.step && !call.over {
                    self.follow(job.call, Next::Attempt);
                }
            }
            Event::GiveUp(job) => self.give_up(job),
            Event::Look { client } => self.look(client),
            Event::Change(index) => self.change(index),
            Event::Learn { client, version } => self.learn(client, version),
        }
    }

    /// A request comes.
    fn arrive(&mut self) {
        let number = self.numbers;
        self.numbers += 1;
        let mut draw = Draw::new(self.seed, salt::CALL, number);
        let client = draw.below(self.clients.len()) as u32;
        let key = self.keys.draw(&mut draw);
        let plan = RetryPlan::new(self.clients[client as usize].policy, time(self.now));
        let call = Call { client, number, started: self.now, key, plan, attempt: None, step: 0, over: false };
        let id = if let Some(id) = self.free.pop() {
            let place = &mut self.calls[id as usize];
            let step = place.step + 1;
            *place = Call { step, ..call };
            id
        } else {
            self.calls.push(call);
            self.calls.len() as u32 - 1
        };
        self.follow(id, Next::Attempt);
    }

    /// A call is over.
    pub(super) fn end(&mut self, id: u32, end: End) {
        let call = &mut self.calls[id as usize];
        call.over = true;
        self.record.call(call.started, self.now, end);
        self.free.push(id);
        if let Some(at) = self.source.again(self.now) {
            // The caller of a closed loop, which comes back by itself.
            self.agenda.add(at, Event::Arrival);
        }
    }
}

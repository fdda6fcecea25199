//! The loop: [`run`].

use std::sync::Arc;

use lb_core::Failure;
use lb_core::member::{Lease, Member};
use lb_core::plan::{Next, RetryPlan};
use lb_core::pool::{NoPick, Pool};
use lb_core::registry::InstanceState;
use lb_core::strategy::{Outcome, PickRequest, Strategy, StrategyError};

use super::arrivals::Source;
use super::beside::Beside;
use super::call::{Attempt, Call, Client, nanos, time};
use super::event::{Agenda, Answer, Event, Job};
use super::keys::Keys;
use super::line::LINE;
use super::probe::Askable;
use super::registry::Registry;
use super::server::{Reception, Server, antagonism, hangs_until, is_down};
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

/// Salts, so that no two parts draw the same numbers.
mod salt {
    pub(super) const ARRIVALS: u64 = 1;
    pub(super) const BESIDE: u64 = 7;
    pub(super) const CALL: u64 = 2;
    pub(super) const CLIENT: u64 = 3;
    pub(super) const HOSTS: u64 = 4;
    pub(super) const LAG: u64 = 5;
    pub(super) const POOL: u64 = 6;
}

pub(super) struct World<'s> {
    scenario: &'s Scenario,
    seed: u64,
    pub(super) now: u64,
    pub(super) agenda: Agenda,
    pub(super) calls: Vec<Call>,
    free: Vec<u32>,
    pub(super) clients: Vec<Client>,
    servers: Vec<Server>,
    source: Source,
    registry: Registry,
    numbers: u64,
    keys: Keys,
    askable: Askable<'s>,
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
    fn do_beside(&mut self, client: usize) {
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

    /// Does what the plan says, as the engine does.
    pub(super) fn follow(&mut self, id: u32, mut next: Next) {
        loop {
            match next {
                Next::Stop(stop) => return self.end(id, Self::end_of(stop)),
                Next::Wait { until, wakes: false } => {
                    let call = &mut self.calls[id as usize];
                    call.step += 1;
                    let job = Job { call: id, step: call.step };
                    return self.agenda.add(nanos(until), Event::Wake(job));
                }
                Next::Wait { wakes: true, .. } => return self.enter_line(id),
                Next::Attempt => {
                    let client = self.calls[id as usize].client;
                    if !self.clients[client as usize].line.is_empty() {
                        next = LINE;
                        continue;
                    }
                    match self.pick(id) {
                        Ok(lease) => return self.begin(id, lease),
                        Err(why) => {
                            let client = &self.clients[client as usize];
                            let plan = &mut self.calls[id as usize].plan;
                            next = plan.nobody(why, &client.pool, time(self.now), &client.random);
                        }
                    }
                }
            }
        }
    }

    #[inline]
    pub(super) fn pick(&mut self, id: u32) -> Result<Lease<SimHost>, NoPick> {
        self.record.picks += 1;
        let call = &self.calls[id as usize];
        let client = &self.clients[call.client as usize];
        let request = PickRequest { exclusions: call.plan.exclusions(), hash_key: call.key, cost: 1 };
        client.pool.acquire(request, &time(self.now), &client.random)
    }

    /// An attempt begins: the request reaches the host.
    pub(super) fn begin(&mut self, id: u32, lease: Lease<SimHost>) {
        let now = self.now;
        let host_id = lease.member().instance().index.get();
        let host = &self.scenario.hosts[host_id];
        let call = &mut self.calls[id as usize];
        self.clients[call.client as usize].requests[host_id] += 1;
        let limit = call.plan.started(time(now));
        call.step += 1;
        let job = Job { call: id, step: call.step };
        let found = self.servers[host_id].load() + 1;
        call.attempt = Some(Attempt { lease, began: now, limit, found });
        if let Some(limit) = limit {
            self.agenda.add(nanos(limit.at), Event::TimedOut(job));
        }
        self.record.attempt(now, host_id, host.faults_at(now).next().is_some());
        // The same for the same attempt of the same call, whoever is picked.
        let mut draw = Draw::new(self.seed ^ salt::HOSTS, call.number, u64::from(call.plan.attempts()));
        let server = &mut self.servers[host_id];
        match server.receive(host, job, now, &mut draw) {
            Reception::Begins => self.work(host_id, job, draw),
            Reception::Waits => {}
            Reception::Answered(answer, after) => {
                self.agenda.add(now + after + host.network.0, Event::Answered { job, answer });
                return;
            }
        }
        let load = self.servers[host_id].load();
        self.record.load(now, load);
        if let Some(reports) = self.askable.asked() {
            reports.load(now, host_id, load);
        }
    }

    /// A host begins to work on something.
    fn work(&mut self, host_id: usize, job: Job, mut draw: Draw) {
        let host = &self.scenario.hosts[host_id];
        let server = &mut self.servers[host_id];
        let (time, answer) = server.work(host, job, self.now, &mut draw);
        let slower = antagonism(self.scenario.antagonists, self.seed, host_id as u32, self.now);
        let time = if slower > 1.0 { (time as f64 * slower) as u64 } else { time };
        let done = Event::Done { host: host_id as u32, life: server.life(), job, answer };
        self.agenda.add(self.now + time, done);
    }

    fn done(&mut self, host_id: u32, life: u32, job: Job, mut answer: Answer) {
        let host = &self.scenario.hosts[host_id as usize];
        if self.servers[host_id as usize].life() != life {
            return;
        }
        if let Some(until) = hangs_until(host, self.now) {
            self.agenda.add(until, Event::Done { host: host_id, life, job, answer });
            return;
        }
        if is_down(host, self.now) {
            answer = Answer::Service;
        }
        let calls = &self.calls;
        let is_awaited = |job: Job| !host.notices || calls[job.call as usize].step == job.step;
        if let Some((next, draw)) = self.servers[host_id as usize].finish(job, is_awaited) {
            self.work(host_id as usize, next, draw);
        }
        self.tell(host_id as usize, job);
        if host.network.0 > 0 {
            self.agenda.add(self.now + host.network.0, Event::Answered { job, answer });
        } else {
            self.answered(job, answer);
        }
    }

    /// A host that may be asked remembers what a request took. Of those that nobody waits for any more it does not know
    /// here when they came.
    fn tell(&self, host: usize, job: Job) {
        let Some(reports) = self.askable.asked() else { return };
        let call = &self.calls[job.call as usize];
        if call.step == job.step
            && let Some(attempt) = &call.attempt
        {
            reports.took(host, attempt.found, self.now - attempt.began);
        }
        reports.load(self.now, host, self.servers[host].load());
    }

    /// The client has an answer.
    fn answered(&mut self, job: Job, answer: Answer) {
        let failure = match answer {
            Answer::Ok => None,
            Answer::Service => Some(Failure::service()),
            Answer::Unreachable => Some(Failure::unreachable()),
            Answer::Unusable => Some(Failure::unusable()),
            Answer::Limited(0) => Some(Failure::limit_exceeded()),
            Answer::Limited(after) => Some(
                Failure::limit_exceeded().with_retry_after(std::time::Duration::from_millis(after.into())),
            ),
        };
        self.attempt_over(job, failure, false);
    }

    fn timed_out(&mut self, job: Job) {
        self.attempt_over(job, Some(Failure::timeout()), true);
    }

    /// An attempt is over: the pool and the plan are told.
    fn attempt_over(&mut self, job: Job, failure: Option<Failure>, timed_out: bool) {
        let now = self.now;
        let call = &mut self.calls[job.call as usize];
        if call.step != job.step {
            return;
        }
        let Some(Attempt { lease, began, limit, .. }) = call.attempt.take() else { return };
        call.step += 1;
        let member: Arc<Member<SimHost>> = Arc::clone(lease.member());
        // The closure's future, and the instance in it, is gone before its outcome is looked at.
        drop(lease);
        let client_id = call.client;
        let client = &self.clients[client_id as usize];
        let elapsed = time(now).since(time(began));
        let timeout = limit.map(|limit| limit.at.since(time(began)));
        match failure {
            None => {
                let outcome = Outcome::success(elapsed).with_timeout(timeout);
                client.pool.record(&member, &outcome, time(now));
                self.end(job.call, End::Ok);
            }
            Some(failure) => {
                let limit = limit.filter(|_| timed_out);
                let outcome = call.plan.outcome(failure, elapsed, limit).with_timeout(timeout);
                client.pool.record(&member, &outcome, time(now));
                let next = call.plan.failed(failure, &member, &client.pool, time(now), &client.random);
                match next {
                    Next::Stop(lb_core::plan::Stop::MaxRetries) if timed_out => {
                        self.end(job.call, End::TimedOut);
                    }
                    next => self.follow(job.call, next),
                }
            }
        }
        if !self.clients[client_id as usize].line.is_empty() {
            self.serve_line(client_id);
        }
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

    /// A host comes, or goes.
    fn change(&mut self, index: u32) {
        let change = self.scenario.changes[index as usize];
        let (host_id, index) = (change.host.get(), change.host.get() as u32);
        let host = &self.scenario.hosts[host_id];
        match change.what {
            What::Stop => {
                self.registry.entries.remove(&index);
                for job in self.servers[host_id].stop() {
                    self.answered(job, Answer::Service);
                }
            }
            What::Join => {
                self.servers[host_id].start(self.now);
                self.registry.put(index, &host.instance, InstanceState::Ready);
            }
            What::Drain => self.registry.put(index, &host.instance, InstanceState::Draining),
            What::Leave => _ = self.registry.entries.remove(&index),
        }
        let version = self.registry.publish();
        let lag = self.scenario.clients.lag.0;
        for client in 0..self.clients.len() as u32 {
            if lag == 0 {
                self.learn(client, version);
            } else {
                let mut draw = Draw::new(self.seed ^ salt::LAG, u64::from(client), u64::from(version));
                let at = self.now + (draw.unit() * lag as f64) as u64;
                self.agenda.add(at, Event::Learn { client, version });
            }
        }
    }

    fn learn(&mut self, client_id: u32, version: u32) {
        let snapshot = &self.registry.snapshots[version as usize];
        let client = &mut self.clients[client_id as usize];
        if version < client.version {
            return;
        }
        client.version = version;
        client.pool.apply(|| Arc::clone(snapshot), time(self.now));
        self.do_beside(client_id as usize);
        self.serve_line(client_id);
    }
}

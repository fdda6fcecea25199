//! Calls and their attempts, as the engine makes them.

use std::sync::Arc;
use std::time::Duration;

use lb_core::Failure;
use lb_core::member::{Lease, Member};
use lb_core::plan::{Next, Stop};
use lb_core::pool::NoPick;
use lb_core::strategy::{Outcome, PickRequest};

use super::call::{Attempt, nanos, time};
use super::event::{Answer, Event, Job};
use super::line::LINE;
use super::salt;
use super::server::Reception;
use super::world::World;
use crate::random::Draw;
use crate::record::End;
use crate::scenario::SimHost;

impl World<'_> {
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

    /// The client has an answer.
    pub(super) fn answered(&mut self, job: Job, answer: Answer) {
        let failure = match answer {
            Answer::Ok => None,
            Answer::Service => Some(Failure::service()),
            Answer::Unreachable => Some(Failure::unreachable()),
            Answer::Unusable => Some(Failure::unusable()),
            Answer::Limited(0) => Some(Failure::limit_exceeded()),
            Answer::Limited(after) => {
                Some(Failure::limit_exceeded().with_retry_after(Duration::from_millis(after.into())))
            }
        };
        self.attempt_over(job, failure, false);
    }

    pub(super) fn timed_out(&mut self, job: Job) {
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
                    Next::Stop(Stop::MaxRetries) if timed_out => {
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
}

//! The line of calls that wait for an instance, as the engine keeps it: first come, first served; only the first looks.

use lb_core::plan::{Next, Stop};
use lb_core::pool::NoPick;

use super::call::{nanos, time};
use super::event::{Event, Job};
use super::world::World;
use crate::record::End;

/// What the engine does with a call that is to stand in line.
pub(super) const LINE: Next = Next::Wait { until: lb_core::Time::MAX, wakes: true };

impl World<'_> {
    /// Gets in line.
    pub(super) fn enter_line(&mut self, id: u32) {
        let now = self.now;
        let call = &mut self.calls[id as usize];
        let client = &mut self.clients[call.client as usize];
        if client.line.len() >= call.plan.policy().max_waiting as usize {
            self.end(id, End::Overloaded);
            return;
        }
        client.line.push_back(id);
        let first = client.line.len() == 1;
        let gives_up = call.plan.gives_up_waiting_at(time(now));
        let (client, job) = (call.client, Job { call: id, step: call.step });
        self.agenda.add(nanos(gives_up), Event::GiveUp(job));
        if first {
            self.serve_line(client);
        }
    }

    /// The first in line looks, and those after it for as long as there is somebody for them.
    pub(super) fn serve_line(&mut self, client_id: u32) {
        while let Some(&id) = self.clients[client_id as usize].line.front() {
            let why = match self.pick(id) {
                Ok(lease) => {
                    self.clients[client_id as usize].line.pop_front();
                    self.begin(id, lease);
                    continue;
                }
                Err(why) => why,
            };
            let client = &mut self.clients[client_id as usize];
            let call = &mut self.calls[id as usize];
            match call.plan.nobody(why, &client.pool, time(self.now), &client.random) {
                Next::Wait { until, wakes: true } => {
                    let until = nanos(until);
                    if client.looks_at != Some(until) {
                        client.looks_at = Some(until);
                        self.agenda.add(until, Event::Look { client: client_id });
                    }
                    return;
                }
                next => {
                    client.line.pop_front();
                    self.follow(id, next);
                }
            }
        }
    }

    /// The first in line was to look again now.
    pub(super) fn look(&mut self, client_id: u32) {
        let client = &mut self.clients[client_id as usize];
        if client.looks_at == Some(self.now) {
            client.looks_at = None;
            self.serve_line(client_id);
        }
    }

    /// A call has stood in line for as long as it may.
    pub(super) fn give_up(&mut self, job: Job) {
        let call = &mut self.calls[job.call as usize];
        if call.step != job.step || call.over {
            return;
        }
        let client_id = call.client;
        let client = &mut self.clients[client_id as usize];
        let Some(place) = client.line.iter().position(|id| *id == job.call) else { return };
        if place == 0 {
            self.serve_line(client_id);
            return;
        }
        client.line.remove(place);
        let next = call.plan.nobody(NoPick::NoneEligible, &client.pool, time(self.now), &client.random);
        self.follow(job.call, next);
    }

    /// How a call ends that stops.
    pub(super) fn end_of(stop: Stop) -> End {
        match stop {
            Stop::Deadline { .. } => End::Deadline,
            Stop::MaxRetries | Stop::NotIdempotent | Stop::Rejected | Stop::Unsuitable => End::Failed,
            _ => End::Nobody,
        }
    }
}

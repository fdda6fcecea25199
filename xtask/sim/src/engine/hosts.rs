//! What hosts do, and how they come and go.

use std::sync::Arc;

use lb_core::registry::InstanceState;

use super::call::time;
use super::event::{Answer, Event, Job};
use super::salt;
use super::server::{antagonism, hangs_until, is_down};
use super::world::World;
use crate::random::Draw;
use crate::scenario::What;

impl World<'_> {
    /// A host begins to work on something.
    pub(super) fn work(&mut self, host_id: usize, job: Job, mut draw: Draw) {
        let host = &self.scenario.hosts[host_id];
        let server = &mut self.servers[host_id];
        let (time, answer) = server.work(host, job, self.now, &mut draw);
        let slower = antagonism(self.scenario.antagonists, self.seed, host_id as u32, self.now);
        let time = if slower > 1.0 { (time as f64 * slower) as u64 } else { time };
        let done = Event::Done { host: host_id as u32, life: server.life(), job, answer };
        self.agenda.add(self.now + time, done);
    }

    pub(super) fn done(&mut self, host_id: u32, life: u32, job: Job, mut answer: Answer) {
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

    /// A host comes, or goes.
    pub(super) fn change(&mut self, index: u32) {
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

    /// A client learns of a change.
    pub(super) fn learn(&mut self, client_id: u32, version: u32) {
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

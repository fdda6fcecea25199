//! A host at work: [`Server`].

use std::collections::VecDeque;

use super::event::{Answer, Job};
use crate::random::{Draw, hash};
use crate::scenario::file::{Antagonists, FailWith, FaultKind};
use crate::scenario::{Host, Span};

/// How soon a refusal comes: connection refused, queue full, quota used up.
const REFUSAL: u64 = 1_000_000;

/// A host at work.
#[derive(Debug)]
pub(super) struct Server {
    busy: u32,
    queue: VecDeque<(Job, Draw)>,
    /// Since when it is up; `None`: it is not.
    up_since: Option<u64>,
    /// Whether it was there from the start, and so is warm.
    warm: bool,
    /// What it works on, where hosts stop.
    running: Option<Vec<Job>>,
    /// Counts stops, so that what was begun before one is known to be lost.
    life: u32,
    tokens: f64,
    refilled: u64,
}

/// What comes of a request that reaches a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// Work on it begins.
    Begins,
    /// It waits.
    Waits,
    /// It is answered at once, after that many nanoseconds.
    Answered(Answer, u64),
}

impl Server {
    /// `stops`: whether hosts stop in this scenario.
    pub(super) fn new(host: &Host, stops: bool) -> Self {
        Self {
            busy: 0,
            queue: VecDeque::new(),
            up_since: host.joins.is_none().then_some(0),
            warm: true,
            running: stops.then(Vec::new),
            life: 0,
            tokens: host.quota.map_or(0.0, |quota| (quota.per_second * quota.bucket.secs()).max(1.0)),
            refilled: 0,
        }
    }

    /// Requests that it works on, and those that wait.
    pub(super) fn load(&self) -> usize {
        self.busy as usize + self.queue.len()
    }

    pub(super) fn start(&mut self, now: u64) {
        self.up_since = Some(now);
        self.warm = false;
    }

    /// Stops. Returns what it worked on and what waited, which is lost.
    pub(super) fn stop(&mut self) -> Vec<Job> {
        self.up_since = None;
        self.life += 1;
        self.busy = 0;
        let mut lost = self.running.as_mut().map(std::mem::take).unwrap_or_default();
        lost.extend(self.queue.drain(..).map(|(job, _)| job));
        lost
    }

    /// Which of its lives it is in.
    pub(super) fn life(&self) -> u32 {
        self.life
    }

    /// A request reaches the host.
    pub(super) fn receive(&mut self, host: &Host, job: Job, now: u64, draw: &mut Draw) -> Reception {
        if self.up_since.is_none() {
            return Reception::Answered(Answer::Unreachable, REFUSAL);
        }
        for fault in host.faults_at(now) {
            match fault.kind {
                FaultKind::Down => return Reception::Answered(Answer::Unreachable, REFUSAL),
                FaultKind::Fail { after: Some(after), rate, with } if draw.unit() < rate => {
                    return Reception::Answered(answer(with), after.0);
                }
                _ => {}
            }
        }
        if let Some(quota) = &host.quota {
            let most = (quota.per_second * quota.bucket.secs()).max(1.0);
            let earned = (now - self.refilled) as f64 / 1e9 * quota.per_second;
            self.tokens = (self.tokens + earned).min(most);
            self.refilled = now;
            if self.tokens < 1.0 {
                let after = ((1.0 - self.tokens) / quota.per_second * 1e3).ceil() as u32;
                let after = if quota.retry_after { after.max(1) } else { 0 };
                return Reception::Answered(Answer::Limited(after), REFUSAL);
            }
            self.tokens -= 1.0;
        }
        if host.workers.is_none_or(|workers| self.busy < workers) {
            self.busy += 1;
            return Reception::Begins;
        }
        if host.queue.is_some_and(|most| self.queue.len() >= most as usize) {
            return Reception::Answered(Answer::Service, REFUSAL);
        }
        self.queue.push_back((job, draw.clone()));
        Reception::Waits
    }

    /// A piece of work is done. Returns what is to be begun next.
    pub(super) fn finish(
        &mut self,
        done: Job,
        mut is_awaited: impl FnMut(Job) -> bool,
    ) -> Option<(Job, Draw)> {
        if let Some(running) = &mut self.running
            && let Some(place) = running.iter().position(|job| *job == done)
        {
            running.swap_remove(place);
        }
        while let Some(next) = self.queue.pop_front() {
            if is_awaited(next.0) {
                return Some(next);
            }
        }
        self.busy = self.busy.saturating_sub(1);
        None
    }

    /// How long work that begins now takes, and what comes of it.
    pub(super) fn work(&mut self, host: &Host, job: Job, now: u64, draw: &mut Draw) -> (u64, Answer) {
        if let Some(running) = &mut self.running {
            running.push(job);
        }
        let mut time = host.service.sample(draw) / host.speed;
        let mut result = Answer::Ok;
        if let Some(cold) = host.cold
            && !self.warm
            && let Some(since) = self.up_since
        {
            let age = (now - since) as f64 / cold.over.0.max(1) as f64;
            if age < 1.0 {
                time *= cold.factor + (1.0 - cold.factor) * age;
            }
        }
        for fault in host.faults_at(now) {
            match fault.kind {
                FaultKind::Slow(factor) => time *= factor,
                FaultKind::Takes(takes) => time = takes.0 as f64,
                FaultKind::Fail { after: None, rate, with } if draw.unit() < rate => result = answer(with),
                _ => {}
            }
        }
        ((time as u64).max(1), result)
    }
}

/// How much slower a host is because of its neighbours.
pub(super) fn antagonism(antagonists: Option<Antagonists>, seed: u64, host: u32, now: u64) -> f64 {
    let Some(Antagonists { share, factor, every: Span(every) }) = antagonists else { return 1.0 };
    let unit = (hash(seed, u64::from(host), now / every) >> 11) as f64 * (1.0 / (1_u64 << 53) as f64);
    if unit < share { factor } else { 1.0 }
}

/// If the host hangs at that time, when it goes on.
pub(super) fn hangs_until(host: &Host, now: u64) -> Option<u64> {
    host.faults_at(now).find(|fault| matches!(fault.kind, FaultKind::Hang)).map(|fault| fault.until)
}

/// Whether connections break at that time.
pub(super) fn is_down(host: &Host, now: u64) -> bool {
    host.faults_at(now).any(|fault| matches!(fault.kind, FaultKind::Down))
}

fn answer(with: FailWith) -> Answer {
    match with {
        FailWith::Service => Answer::Service,
        FailWith::Unreachable => Answer::Unreachable,
        FailWith::Unusable => Answer::Unusable,
    }
}

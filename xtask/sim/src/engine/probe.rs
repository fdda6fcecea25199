//! What hosts say of themselves when they are asked: [`Reports`].

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lb_core::CheckFailed;
use lb_strategies::{Probe, ProbeReport, ProbeTarget};

use super::server::{hangs_until, is_down};
use crate::scenario::{Host, SimHost};

/// So many answers are remembered by a host, to tell how long the next one takes.
const RECENT: usize = 64;
/// Of these, those that began with about as much to do as there is now.
const NEAR: usize = 16;

/// What hosts say of themselves, as in the paper: what is in flight, and the median time of recent requests that came
/// when about as much was. Clones share it.
#[derive(Clone, Default)]
pub struct Reports(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hosts: Vec<(Host, Mutex<State>)>,
    /// The simulator's time.
    now: AtomicU64,
}

/// The [`Reports`] of some hosts, made for the first strategy that wants to ask: most do not, and there may be thousands of
/// hosts.
#[derive(Debug, Default)]
pub struct Askable<'a> {
    hosts: &'a [Host],
    reports: OnceCell<Reports>,
}

impl<'a> Askable<'a> {
    pub(super) fn new(hosts: &'a [Host]) -> Self {
        Self { hosts, reports: OnceCell::new() }
    }

    /// To ask the hosts with.
    pub fn reports(&self) -> Reports {
        self.reports.get_or_init(|| Reports::new(self.hosts)).clone()
    }

    /// If anybody asks.
    pub(super) fn asked(&self) -> Option<&Reports> {
        self.reports.get()
    }
}

#[derive(Default)]
struct State {
    load: usize,
    /// What there was to do when a request came, itself included, and how long it took.
    recent: VecDeque<(usize, u64)>,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("hosts", &self.0.hosts.len()).finish()
    }
}

impl Reports {
    fn new(hosts: &[Host]) -> Self {
        let hosts = hosts.iter().map(|host| (host.clone(), Mutex::default())).collect();
        Self(Arc::new(Inner { hosts, now: AtomicU64::new(0) }))
    }

    fn state(&self, host: usize) -> MutexGuard<'_, State> {
        self.0.hosts[host].1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has so much to do.
    pub(super) fn load(&self, now: u64, host: usize, load: usize) {
        self.0.now.store(now, Ordering::Relaxed);
        self.state(host).load = load;
    }

    /// A host has answered a request that had found so much to do, itself included.
    pub(super) fn took(&self, host: usize, found: usize, nanos: u64) {
        let mut state = self.state(host);
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back((found, nanos));
    }

    fn report(&self, host: usize) -> ProbeReport {
        let state = self.state(host);
        let next = state.load + 1;
        let mut near: Vec<_> = state.recent.iter().copied().collect();
        near.sort_by_key(|(found, _)| found.abs_diff(next));
        near.truncate(NEAR);
        near.sort_by_key(|(_, nanos)| *nanos);
        let median = near.get(near.len() / 2).map_or(0, |(_, nanos)| *nanos);
        ProbeReport::new(state.load as u64, Duration::from_nanos(median))
    }
}

/// Over the host's network, and without an answer while it hangs.
#[async_trait]
impl Probe<SimHost> for Reports {
    async fn probe(&self, server: ProbeTarget<SimHost>) -> Result<ProbeReport, CheckFailed> {
        let index = server.index.get();
        let host = &self.0.hosts[index].0;
        let network = Duration::from_nanos(host.network.0);
        tokio::time::sleep(network).await;
        let now = self.0.now.load(Ordering::Relaxed);
        if is_down(host, now) {
            return Err(CheckFailed::new("connection refused"));
        }
        if hangs_until(host, now).is_some() {
            std::future::pending::<()>().await;
        }
        let report = self.report(index);
        tokio::time::sleep(network).await;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Distribution;

    #[test]
    fn it_tells_how_long_requests_took_that_found_about_as_much_to_do() {
        let host = Host::plain(0, Distribution::Constant(crate::scenario::Span::ms(1)), Some(1));
        let reports = Reports::new(&[host]);
        assert_eq!(reports.report(0), ProbeReport::new(0, Duration::ZERO), "nothing is known yet");
        for found in 1..=4 {
            for nanos in 0..NEAR as u64 {
                reports.took(0, found, found as u64 * 1000 + nanos);
            }
        }
        reports.load(0, 0, 2);
        assert_eq!(reports.report(0), ProbeReport::new(2, Duration::from_nanos(3008)));
        // What is older than the last so many is forgotten.
        (0..RECENT).for_each(|_| reports.took(0, 9, 77));
        assert_eq!(reports.report(0), ProbeReport::new(2, Duration::from_nanos(77)));
    }
}

//! Hosts, laid out: [`Host`], and what the balancer sees of one, [`SimHost`].

use std::sync::Arc;
use std::time::Duration;

use lb_core::{Limits, ServiceInstance};

use super::distribution::Distribution;
use super::file::{self, Cold, FaultKind, Hosts, Limiting, Quota};
use super::span::Span;

/// Which host: its place in [`Scenario::hosts`](super::Scenario::hosts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostIndex(u32);

impl HostIndex {
    /// The host at that place.
    ///
    /// # Panics
    ///
    /// Beyond four billion.
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than four billion hosts"))
    }

    /// The place.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A host as the balancer sees it.
#[derive(Clone, Debug)]
pub struct SimHost {
    /// Where the simulator finds it.
    pub index: HostIndex,
    id: String,
    weight: u32,
    priority: u32,
    zone: Option<String>,
    limits: Limits,
}

impl SimHost {
    /// A host that differs from others only by its place.
    pub fn plain(index: usize) -> Self {
        Self {
            index: HostIndex::new(index),
            id: format!("h-{index}"),
            weight: 1,
            priority: 0,
            zone: None,
            limits: Limits::NONE,
        }
    }
}

impl ServiceInstance for SimHost {
    fn id(&self) -> &str {
        &self.id
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn priority(&self) -> u32 {
        self.priority
    }
    fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }
    fn limits(&self) -> Limits {
        self.limits
    }
}

/// A host, laid out.
#[derive(Clone, Debug)]
pub struct Host {
    /// What the balancer sees of it.
    pub instance: Arc<SimHost>,
    /// How long a request takes.
    pub service: Distribution,
    /// How much faster than that it is.
    pub speed: f64,
    /// Requests that it works on at the same time.
    pub workers: Option<u32>,
    /// How many may wait.
    pub queue: Option<u32>,
    /// Whether it drops what nobody waits for any more.
    pub notices: bool,
    /// Time on the network.
    pub network: Span,
    /// What it grants.
    pub quota: Option<Quota>,
    /// How slow it is at first.
    pub cold: Option<Cold>,
    /// When it comes.
    pub joins: Option<Span>,
    /// When it goes.
    pub leaves: Option<Span>,
    /// What goes wrong with it.
    pub faults: Vec<Fault>,
}

/// What goes wrong with a host, and when.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// When it begins.
    pub from: u64,
    /// When it ends.
    pub until: u64,
    /// What it is.
    pub kind: FaultKind,
}

impl Host {
    /// A host without troubles.
    pub fn plain(index: usize, service: Distribution, workers: Option<u32>) -> Self {
        Self {
            instance: Arc::new(SimHost::plain(index)),
            service,
            speed: 1.0,
            workers,
            queue: None,
            notices: false,
            network: Span(0),
            quota: None,
            cold: None,
            joins: None,
            leaves: None,
            faults: Vec::new(),
        }
    }

    /// The faults that it has at that time.
    pub fn faults_at(&self, now: u64) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| (fault.from..fault.until).contains(&now))
    }
}

/// Adds a group's hosts.
pub(super) fn lay_out(group: &Hosts, limiting: Limiting, hosts: &mut Vec<Host>) -> Result<(), String> {
    let at = |problem: &str| Err(format!("hosts `{}`: {problem}", group.name));
    if group.name.is_empty() || hosts.iter().any(|host| host.instance.id == format!("{}-0", group.name)) {
        return at("give every group a name of its own");
    }
    if !(1e-6..=1e6).contains(&group.speed) {
        return at("`speed` is a factor, such as 0.5 for half as fast");
    }
    if group.workers == Some(0) {
        return at("`workers` is at least 1; leave it out where a host works on everything at once");
    }
    if group.quota.is_some_and(|quota| quota.per_second <= 0.0 || quota.bucket.0 == 0) {
        return at("`quota`: `per_second` and `bucket` are more than 0");
    }
    group.service.check().or_else(|problem| at(&problem))?;
    let limits = match (&group.quota, limiting) {
        (Some(quota), Limiting::Declared) => Limits::NONE
            .requests_per_minute((quota.per_second * 60.0).round() as u32)
            .burst(Duration::from_nanos(quota.bucket.0)),
        _ => Limits::NONE,
    };
    for n in 0..group.count {
        let zone = (!group.zones.is_empty()).then(|| group.zones[n % group.zones.len()].clone());
        let instance = SimHost {
            index: HostIndex::new(hosts.len()),
            id: format!("{}-{n}", group.name),
            weight: group.weight,
            priority: group.priority,
            zone,
            limits,
        };
        hosts.push(Host {
            instance: Arc::new(instance),
            service: group.service.clone(),
            speed: group.speed,
            workers: group.workers,
            queue: group.queue,
            notices: group.notices,
            network: group.network,
            quota: group.quota,
            cold: group.cold,
            joins: group.joins,
            leaves: group.leaves,
            faults: Vec::new(),
        });
    }
    Ok(())
}

/// The hosts of that name, or whose names begin so.
pub(super) fn matching(pattern: &str, hosts: &[Host]) -> Vec<HostIndex> {
    let is = |id: &str| match pattern.strip_suffix('*') {
        Some(prefix) => id.starts_with(prefix),
        None => id == pattern,
    };
    let chosen = hosts.iter().enumerate().filter(|(_, host)| is(&host.instance.id));
    chosen.map(|(index, _)| HostIndex::new(index)).collect()
}

/// Brings a fault upon the hosts that it names.
pub(super) fn strike(fault: &file::Fault, hosts: &mut [Host]) -> Result<(), String> {
    let mut chosen = Vec::new();
    for pattern in &fault.hosts {
        let found = matching(pattern, hosts);
        if found.is_empty() {
            return Err(format!("`faults.hosts`: no host is called `{pattern}`"));
        }
        chosen.extend(found);
    }
    if let Some(zone) = &fault.zone {
        let before = chosen.len();
        let inside = hosts.iter().enumerate().filter(|(_, host)| host.instance.zone() == Some(zone));
        chosen.extend(inside.map(|(index, _)| HostIndex::new(index)));
        if chosen.len() == before {
            return Err(format!("`faults.zone`: no host is in zone `{zone}`"));
        }
    }
    if chosen.is_empty() {
        return Err("`faults`: name the `hosts`, or a `zone`".into());
    }
    match fault.kind {
        FaultKind::Fail { rate, .. } if !(0.0..=1.0).contains(&rate) => {
            return Err(format!("`faults.kind.fail.rate` is from 0 to 1, not {rate}"));
        }
        FaultKind::Slow(factor) if factor <= 0.0 => {
            return Err(format!("`faults.kind.slow` is a factor above 0, not {factor}"));
        }
        _ => {}
    }
    let until = fault.until.map_or(u64::MAX, |until| until.0);
    for host in chosen {
        hosts[host.get()].faults.push(Fault { from: fault.from.0, until, kind: fault.kind });
    }
    Ok(())
}

//! Scenarios: what is simulated. Data in TOML files ([`mod@file`]), checked and laid out for the simulator ([`Scenario`]).

mod distribution;
mod error;
pub mod file;
mod host;
mod load;
mod span;

pub use distribution::Distribution;
pub use error::ScenarioError;
pub use host::{Fault, Host, HostIndex, SimHost};
pub use load::{list, load, parse};
pub use span::Span;

use file::{Antagonists, Arrivals, Clients, Entrant, Expect, File};
use lb_core::ServiceConfig;

/// A scenario, checked and laid out.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `file` or `file/variant`.
    pub name: String,
    /// One line.
    pub title: String,
    /// What happens.
    pub about: String,
    /// How long requests arrive.
    pub duration: Span,
    /// The duration under `--quick`.
    pub quick: Option<Span>,
    /// Whether it is left out under `--quick`.
    pub heavy: bool,
    /// How many runs it takes to check it.
    pub runs: u32,
    /// How long requests are waited for at the end.
    pub drain: Span,
    /// What arrives before this counts for nothing.
    pub warmup: Span,
    /// When requests come.
    pub arrivals: Arrivals,
    /// Who makes them.
    pub clients: Clients,
    /// The configuration of the service.
    pub config: ServiceConfig,
    /// Who serves them.
    pub hosts: Vec<Host>,
    /// Neighbours of the hosts.
    pub antagonists: Option<Antagonists>,
    /// Who comes and goes, in order of time.
    pub changes: Vec<Change>,
    /// The only strategies to run.
    pub only: Option<Vec<String>>,
    /// Built-in strategies that are left out.
    pub without: Vec<String>,
    /// Strategies that take part besides the built-in ones.
    pub strategies: Vec<Entrant>,
    /// Whether `auto` is held to the best other strategy.
    pub compare: bool,
    /// What must come out.
    pub expect: Vec<Expect>,
}

/// A change of who is registered, or alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When.
    pub at: Span,
    /// Which host.
    pub host: HostIndex,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It stops: what it works on is lost, and connections are refused.
    Stop,
    /// It is registered, and up.
    Join,
    /// It is registered as draining.
    Drain,
    /// It is deregistered, and finishes what it has.
    Leave,
}

impl Scenario {
    /// Checks what a file says and lays it out.
    pub fn new(name: String, file: File) -> Result<Self, String> {
        check_arrivals(&file.arrivals)?;
        if file.runs == 0 {
            return Err("`runs`: it takes at least one".into());
        }
        let clients = file.clients;
        if clients.count == 0 {
            return Err("`clients.count`: it takes at least one".into());
        }
        if !(0.0..=10.0).contains(&clients.keys.zipf) {
            return Err("`clients.keys.zipf` is from 0 to 10".into());
        }
        if file.antagonists.is_some_and(|a| a.every.0 == 0 || a.factor <= 0.0) {
            return Err("`antagonists`: `every` and `factor` are more than 0".into());
        }
        let config = config(&clients.config)?;
        let mut hosts = Vec::new();
        for group in &file.hosts {
            host::lay_out(group, clients.limits, &mut hosts)?;
        }
        if hosts.is_empty() {
            return Err("`hosts`: it takes at least one".into());
        }
        if clients.alone && hosts.iter().any(|host| host.workers.is_some() || host.quota.is_some()) {
            return Err(
                "`clients.alone`: clients affect each other through the `workers` and `quota` of hosts; \
                        leave those out"
                    .into(),
            );
        }
        for fault in &file.faults {
            host::strike(fault, &mut hosts)?;
        }
        let mut changes = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            let host_index = HostIndex::new(index);
            changes.extend(host.joins.map(|at| Change { at, host: host_index, what: What::Join }));
            changes.extend(host.leaves.map(|at| Change { at, host: host_index, what: What::Leave }));
        }
        for rolling in &file.rolling {
            let chosen = host::matching(&rolling.hosts, &hosts);
            if chosen.is_empty() {
                return Err(format!("`rolling.hosts`: no host is called `{}`", rolling.hosts));
            }
            for (n, host) in chosen.into_iter().enumerate() {
                let start = rolling.from.0 + rolling.every.0 * n as u64;
                let stop = start + rolling.drain.0;
                if rolling.drain.0 > 0 {
                    changes.push(Change { at: Span(start), host, what: What::Drain });
                }
                changes.push(Change { at: Span(stop), host, what: What::Stop });
                changes.push(Change { at: Span(stop + rolling.down.0), host, what: What::Join });
            }
        }
        changes.sort_unstable();
        Ok(Self {
            name,
            title: file.title,
            about: file.about,
            duration: file.duration,
            quick: file.quick,
            heavy: file.heavy,
            runs: file.runs,
            drain: file.drain,
            warmup: file.warmup,
            arrivals: file.arrivals,
            clients,
            config,
            hosts,
            antagonists: file.antagonists,
            changes,
            only: file.only,
            without: file.without,
            strategies: file.strategies,
            compare: file.compare,
            expect: file.expect,
        })
    }

    /// One client without troubles, for ten seconds.
    pub fn plain(name: &str, arrivals: Arrivals, hosts: Vec<Host>, config: ServiceConfig) -> Self {
        Self {
            name: name.to_owned(),
            title: name.to_owned(),
            about: String::new(),
            duration: Span::ms(10_000),
            quick: None,
            heavy: false,
            runs: 1,
            drain: Span::ms(60_000),
            warmup: Span(0),
            arrivals,
            clients: Clients::default(),
            config,
            hosts,
            antagonists: None,
            changes: Vec::new(),
            only: None,
            without: Vec::new(),
            strategies: Vec::new(),
            compare: true,
            expect: Vec::new(),
        }
    }

    /// The shorter form for `--quick`.
    #[must_use]
    pub fn quick(mut self) -> Self {
        if let Some(quick) = self.quick {
            if let Arrivals::Closed { requests: Some(requests), .. } = &mut self.arrivals {
                *requests = (*requests as f64 * quick.secs() / self.duration.secs()) as u64;
            }
            self.duration = quick;
        }
        self
    }

    /// Whether anything goes wrong with some host.
    pub fn troubled(&self) -> bool {
        self.hosts.iter().any(|host| !host.faults.is_empty())
    }
}

fn check_arrivals(arrivals: &Arrivals) -> Result<(), String> {
    let sane = |rate: &f64| (0.0..1e9).contains(rate);
    let ok = match arrivals {
        Arrivals::Poisson(rate) | Arrivals::Constant(rate) => *rate > 0.0 && sane(rate),
        Arrivals::Profile(points) => {
            !points.is_empty()
                && points.windows(2).all(|pair| pair[0].0 < pair[1].0)
                && points.iter().all(|(_, rate)| sane(rate))
        }
        Arrivals::Burst { base, peak, every, lasts } => sane(base) && sane(peak) && lasts < every,
        Arrivals::Closed { callers, .. } => *callers > 0,
    };
    if ok {
        Ok(())
    } else {
        Err("`arrivals`: rates are from 0 to a billion a second, times in `profile` grow, `lasts` is less than \
             `every`, and there is at least one caller"
            .into())
    }
}

/// Without retries unless the scenario says otherwise: what a strategy does is seen best without them.
fn config(table: &toml::Table) -> Result<ServiceConfig, String> {
    let mut fields = serde_json::Map::new();
    fields.insert("max_retries".into(), 0.into());
    for (name, value) in table {
        let value =
            serde_json::to_value(value).map_err(|error| format!("`clients.config.{name}`: {error}"))?;
        fields.insert(name.clone(), value);
    }
    ServiceConfig::from_json(&serde_json::Value::Object(fields).to_string())
        .map_err(|error| format!("`clients.config`: {error}"))
}

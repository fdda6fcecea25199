//! What a scenario file holds, field by field. Every field says what it is for; `scenarios/` has examples.

use serde::Deserialize;

use super::distribution::Distribution;
use super::span::Span;

/// A scenario, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// One line for headings.
    pub title: String,
    /// What happens, and what a good strategy does about it.
    pub about: String,
    /// How long requests arrive. Those under way then are run to their end, up to `drain`.
    pub duration: Span,
    /// The duration under `--quick`. Default: all of it.
    pub quick: Option<Span>,
    /// Left out under `--quick`: it takes long however short the run is.
    #[serde(default)]
    pub heavy: bool,
    /// How many runs `--check` makes of it, each with a seed of its own: as many as it takes for the 95 % intervals to lie
    /// within the limits. Default 5.
    #[serde(default = "runs")]
    pub runs: u32,
    /// How long requests are waited for at the end. What is not answered then has failed.
    #[serde(default = "drain")]
    pub drain: Span,
    /// What arrives before this counts for nothing.
    #[serde(default)]
    pub warmup: Span,
    /// When requests come.
    pub arrivals: Arrivals,
    /// Who makes them.
    #[serde(default)]
    pub clients: Clients,
    /// Who serves them.
    pub hosts: Vec<Hosts>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Neighbours that take a host's processor away now and then.
    pub antagonists: Option<Antagonists>,
    /// Hosts that are replaced while requests arrive.
    #[serde(default)]
    pub rolling: Vec<Rolling>,
    /// The only strategies to run, by label. Default: all built-in ones, and those in `strategies`.
    pub only: Option<Vec<String>>,
    /// Built-in strategies that are of no use here, and are left out.
    #[serde(default)]
    pub without: Vec<String>,
    /// Further strategies, or the same ones with other parameters.
    #[serde(default)]
    pub strategies: Vec<Entrant>,
    /// Whether `--check` holds `auto` to the best other strategy. Default true; false where what comes out is chance.
    #[serde(default = "yes")]
    pub compare: bool,
    /// What must come out, for `--check`. In a variant, `set.expect` replaces it.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// The same scenario with something changed.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

const fn runs() -> u32 {
    5
}

const fn drain() -> Span {
    Span::ms(60_000)
}

/// When requests come.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// At random times, so many a second.
    Poisson(f64),
    /// At even distances, so many a second.
    Constant(f64),
    /// At random times; the rate runs straight from one `[time, requests a second]` to the next.
    Profile(Vec<(Span, f64)>),
    /// At random times: `base` a second, and `peak` a second for `lasts` out of `every`.
    Burst {
        /// Requests a second between the bursts.
        base: f64,
        /// Requests a second in a burst.
        peak: f64,
        /// From the beginning of one burst to that of the next; the first one begins after as long.
        every: Span,
        /// How long a burst is.
        lasts: Span,
    },
    /// A fixed number of callers, each of which makes its next request when it has an answer.
    Closed {
        /// How many callers there are.
        callers: usize,
        /// How many requests they make in all; if not given, as many as the duration has room for.
        requests: Option<u64>,
        /// How long a caller thinks, on average, before its next request (exponential).
        #[serde(default)]
        think: Span,
    },
}

/// Who makes the requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clients {
    /// How many processes, each with a balancer of its own. Requests are spread over them at random.
    pub count: usize,
    /// The zones in which they are, in turn.
    pub zones: Vec<String>,
    /// The keys of the requests, for strategies that hash. Default: ten thousand, evenly.
    pub keys: Keys,
    /// The configuration of the service: the fields of `ServiceConfig`, in its own notation. What is not given is at
    /// its default, but for `max_retries`, which is 0.
    pub config: toml::Table,
    /// Clients do not see the registry's news all at once, but each at its own time within this.
    pub lag: Span,
    /// How clients keep to quotas. Default: by what the instances declare.
    pub limits: Limiting,
    /// Clients are run one after another, which is exact where they have no effect on each other, and takes the memory
    /// of one: for hosts without `workers` and `quota`.
    pub alone: bool,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            count: 1,
            zones: Vec::new(),
            keys: Keys { count: 10_000, zipf: 0.0 },
            config: toml::Table::new(),
            lag: Span(0),
            limits: Limiting::Declared,
            alone: false,
        }
    }
}

/// How clients keep to quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limiting {
    /// By what the instances declare.
    #[default]
    Declared,
    /// By what they learn; nothing is declared.
    Learned,
    /// Not at all: they run into them.
    Ignored,
}

/// The keys of requests.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// How many there are. 0: requests have no key.
    pub count: usize,
    /// How unevenly they are asked for: the exponent of Zipf's law. 0: evenly.
    #[serde(default)]
    pub zipf: f64,
}

/// A group of hosts that are alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// The group's name; its hosts are called `name-0`, `name-1`, ….
    pub name: String,
    /// How many.
    pub count: usize,
    /// How long a request takes.
    pub service: Distribution,
    /// Requests that a host works on at the same time; others wait. If not given, all at once.
    pub workers: Option<u32>,
    /// How many may wait at a host; further ones fail at once. If not given, any number.
    pub queue: Option<u32>,
    /// Whether a host notices that the client has given up, and drops what still waits. Default false: it does the work
    /// for nobody.
    #[serde(default)]
    pub notices: bool,
    /// How much faster than that a host is. Default 1.
    #[serde(default = "one")]
    pub speed: f64,
    /// Time on the network, there and back.
    #[serde(default)]
    pub network: Span,
    /// See `ServiceInstance::weight`.
    #[serde(default = "weight")]
    pub weight: u32,
    /// See `ServiceInstance::priority`.
    #[serde(default)]
    pub priority: u32,
    /// The zones in which the hosts are, in turn.
    #[serde(default)]
    pub zones: Vec<String>,
    /// What each host grants.
    pub quota: Option<Quota>,
    /// How slow a host is that has just come.
    pub cold: Option<Cold>,
    /// When the hosts come. If not given, they are there from the start, and warm.
    pub joins: Option<Span>,
    /// When they are deregistered; requests under way are finished.
    pub leaves: Option<Span>,
}

const fn one() -> f64 {
    1.0
}

const fn weight() -> u32 {
    1
}

/// What a host grants all clients together: a bucket of tokens, one per request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests a second.
    pub per_second: f64,
    /// For how long unused quota piles up.
    pub bucket: Span,
    /// Whether a refusal says when to come again.
    #[serde(default = "yes")]
    pub retry_after: bool,
}

const fn yes() -> bool {
    true
}

/// How slow a host is that has just come.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cold {
    /// At first, so many times slower.
    pub factor: f64,
    /// After this, no more; straight down to there.
    pub over: Span,
}

/// Something that goes wrong with some hosts for some time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The hosts: `name-0`, or `name-*` for all of a group.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// All hosts in this zone.
    pub zone: Option<String>,
    /// When it begins. Default: at the start.
    #[serde(default)]
    pub from: Span,
    /// When it ends. Default: never.
    pub until: Option<Span>,
    /// What it is.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// So many times slower.
    Slow(f64),
    /// Every request takes exactly this.
    Takes(Span),
    /// No answer before the end of the fault.
    Hang,
    /// Requests fail.
    Fail {
        /// How soon, without any work being done. If not given, after the work.
        after: Option<Span>,
        /// How many of them, 0 to 1.
        #[serde(default = "one")]
        rate: f64,
        /// With which kind of failure.
        #[serde(default)]
        with: FailWith,
    },
    /// Connections are refused, and those that are open break.
    Down,
}

/// The kind of failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailWith {
    /// As a 500.
    #[default]
    Service,
    /// The request was not sent.
    Unreachable,
    /// The instance does not serve this caller: a wrong key.
    Unusable,
}

/// Neighbours that take a host's processor away: each host is struck at random, independently in each period.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Antagonists {
    /// The chance that a host is struck in a period, 0 to 1.
    pub share: f64,
    /// How many times slower it is then.
    pub factor: f64,
    /// The length of a period.
    pub every: Span,
}

/// Hosts that are replaced one after another under the same ids, as by a deployment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    /// The hosts: `name-*`.
    pub hosts: String,
    /// When the first one begins.
    pub from: Span,
    /// From one to the next.
    pub every: Span,
    /// How long a host drains before it stops: no new requests once the clients know. 0: it just stops, and what it
    /// works on is lost.
    pub drain: Span,
    /// How long it is down before it comes back, cold.
    pub down: Span,
}

/// A strategy that takes part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrant {
    /// What tables call it.
    pub label: String,
    /// Its name in the factory.
    pub name: String,
    /// Its parameters.
    #[serde(default)]
    pub params: toml::Table,
    /// Whether it asks hosts what they have to do; `prequal` can.
    #[serde(default)]
    pub asks: bool,
}

/// What must come out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Of these strategies, by label.
    pub of: Vec<String>,
    /// More than this share of calls is answered, 0 to 1.
    pub success_above: Option<f64>,
    /// Hosts in trouble get at most this share of the requests that are made meanwhile, 0 to 1.
    pub bad_share_at_most: Option<f64>,
    /// The 99th percentile of latency is at most this.
    pub p99_at_most: Option<Span>,
}

/// The same scenario with something changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Added to the scenario's name: `scenario/name`.
    pub name: String,
    /// One line for headings, added to the scenario's.
    pub title: String,
    /// What takes the place of, or adds to, the fields of the file. Tables are merged; everything else is replaced.
    pub set: toml::Table,
}

//! The fastest of those that are not busy: [`Prequal`].

mod picker;
mod pool;
mod probe;
mod probed;
mod prober;
mod probing;
mod rule;
mod task;

use std::sync::Arc;
use std::time::Duration;

use lb_core::StrategySpec;
use lb_core::config::human;
use lb_core::strategy::{MemberSet, Picker, Strategy, StrategyError};
use serde::Deserialize;

pub use self::probe::{Probe, ProbeReport, ProbeTarget};
pub use self::probed::{ProbeStats, ProbedPrequal};

use self::picker::PrequalPicker;
use self::probing::Probing;
use crate::load::{DEFAULT_DECAY, HOT, Learner, Reach, Track, decay_in_range};
use crate::params::{in_range, invalid};

/// The fastest member of those that are not busier than most: the hot-cold rule of Prequal ("Load is not what you should
/// balance", NSDI '24), from what this client sees itself; or, [with a probe](Self::with_probe), from what the servers say.
///
/// A member is *hot* if it has more in flight (per weight) than `q_rif` of the members have, else *cold*. Of the cold ones
/// the one with the lowest mean latency is taken; if all that are looked at are hot, the one with the least in flight.
///
/// Use it where instances differ in speed and load is high: latency decides, as long as nobody gets far more than the
/// others. Without a probe it goes by what this client has in flight, so it needs enough of that to tell busy from idle:
/// many requests per instance, few clients. With one it goes by what all clients have in flight, as the paper does. If
/// servers cannot be asked and there are many clients use [`Auto`](crate::Auto).
///
/// The guards against traps are those of [`PeakEwma`](crate::PeakEwma), but that who is new is asked first; besides, who
/// fails counts as busier, as in [`LeastRequest`](crate::LeastRequest). All members are compared if there are at most 16 (`scan_up_to`), else three
/// distinct ones (`choices`), drawn by weight. Members of the same latency, to a thousandth, share by weight.
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). Reads the clock once. No lock, no
/// allocation. A new set costs O(1), or O(number of members) if some member weighs more than eight times the mean.
///
/// ```
/// use std::time::Duration;
/// use lb_core::strategy::Outcome;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Prequal;
///
/// let bench = StrategyBench::new(Prequal::new(), 7).with_equal_members(3);
/// bench.shares(100, &Default::default());
/// let fast = bench.pool().member("m001").unwrap();
/// bench.pool().record(&fast, &Outcome::success(Duration::from_micros(100)), bench.now());
/// assert_eq!(bench.serve().as_deref(), Some("m001"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Prequal {
    decay: Duration,
    q_rif: f64,
    reach: Reach,
    /// Of use with a probe only.
    probing: Probing,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    #[serde(with = "human")]
    decay: Duration,
    q_rif: f64,
    scan_up_to: Option<usize>,
    choices: Option<usize>,
    probe_rate: f64,
    probe_pool: usize,
    #[serde(with = "human")]
    probe_max_age: Duration,
    probe_remove_rate: f64,
    #[serde(with = "human")]
    probe_idle: Duration,
}

impl Default for Params {
    fn default() -> Self {
        let Probing { rate, pool, max_age, remove_rate, idle } = Probing::DEFAULT;
        Self {
            decay: DEFAULT_DECAY,
            q_rif: HOT,
            scan_up_to: None,
            choices: None,
            probe_rate: rate,
            probe_pool: pool,
            probe_max_age: max_age,
            probe_remove_rate: remove_rate,
            probe_idle: idle,
        }
    }
}

const REACH: Reach = Reach::DEFAULT.choices(3);

impl Prequal {
    /// The name in configuration.
    pub const NAME: &'static str = "prequal";

    /// Everything at its default.
    pub const fn new() -> Self {
        Self { decay: DEFAULT_DECAY, q_rif: HOT, reach: REACH, probing: Probing::DEFAULT }
    }

    /// Within which what was learned of a slow or failing member falls to 1/e while nobody asks it. Default 10 s; kept
    /// between 1 ms and 1 h.
    #[must_use]
    pub const fn decay(mut self, decay: Duration) -> Self {
        self.decay = decay;
        self
    }

    /// Which part of the members is not hot. Default 0.84; good values are 0.6 to 0.9. 0: the least loaded is taken; 1:
    /// the fastest, however busy. Kept between 0 and 1.
    #[must_use]
    pub const fn q_rif(mut self, part: f64) -> Self {
        self.q_rif = if part > 0.0 { part.min(1.0) } else { 0.0 };
        self
    }

    /// Up to how many members all are compared. Default 16, at most 64; 0: never.
    #[must_use]
    pub const fn scan_up_to(mut self, members: usize) -> Self {
        self.reach = self.reach.scan_up_to(members);
        self
    }

    /// How many distinct members are drawn from a larger set. Default 3; 2 to 10.
    #[must_use]
    pub const fn choices(mut self, members: usize) -> Self {
        self.reach = self.reach.choices(members);
        self
    }

    /// Asks servers how busy they are, in the background, and picks by their answers: Prequal as in the paper.
    ///
    /// Each pick pays for three probes (`probe_rate`), which are sent a few milliseconds later to members in an order by
    /// chance, at most 64 at the same time. The last 16 answers (`probe_pool`), one per member, are kept for a second
    /// (`probe_max_age`); a pick applies the hot-cold rule to those of eligible members, hot being who has more than `q_rif`
    /// of the last 128 answers. Compared are those that are younger than two median latencies (or 10 ms), and the youngest
    /// three in any case: where a client makes few calls its answers are old, all clients have acted on the same ones, and
    /// whoever compared all of them would go where everybody has just gone (the paper compares all; its clients make many
    /// calls). The answer that a pick goes by counts one request more, and after some uses it is dropped:
    /// `max(1, 2 / ((1 − m/n) · probe_rate − probe_remove_rate))` of them among n members with a pool of m, without end where
    /// that is below 0 or infinite. If n > m each pick also drops one answer (`probe_remove_rate`), in turn the worst and the
    /// oldest; the paper does so always, but where everybody has a place of his own it would only empty the pool.
    ///
    /// While less than two have answered, it is `Prequal` without a probe (the paper: chance). What this client sees of
    /// failures counts with a probe, too: who fails at once calls itself idle.
    ///
    /// It begins with the first call to a service, inside a tokio runtime, and ends when the service is let go
    /// (`idle_timeout`) or gets another strategy. A service in use that gets no calls is probed four times a second
    /// (`probe_idle`). Inside [`Aperture`](crate::Aperture) up to four subsets are probed, each for itself.
    ///
    /// A pick costs what it costs without a probe and one atomic addition to a line that all threads share; it compares up to
    /// 16 answers, whatever the number of members. A new set costs O(number of members).
    ///
    /// ```
    /// use std::time::Duration;
    /// use lb_core::{Instance, LoadBalancer, ServiceRegistry};
    /// use lb_strategies::{Prequal, ProbeReport, ProbeTarget};
    ///
    /// fn balancer(registry: impl ServiceRegistry<Instance>, http: HttpClient) -> LoadBalancer<Instance> {
    ///     let strategy = Prequal::new().with_probe(move |server: ProbeTarget<Instance>| {
    ///         let http = http.clone();
    ///         async move {
    ///             let address = server.address.as_deref().unwrap_or_default();
    ///             let load = http.get(&format!("http://{address}/load")).await?;
    ///             Ok::<_, std::io::Error>(ProbeReport::new(load.in_flight, load.median))
    ///         }
    ///     });
    ///     LoadBalancer::builder(registry).strategy(strategy).build()
    /// }
    /// # #[derive(Clone)]
    /// # struct HttpClient;
    /// # struct Load { in_flight: u64, median: Duration }
    /// # impl HttpClient { async fn get(&self, _: &str) -> Result<Load, std::io::Error> { unimplemented!() } }
    /// ```
    ///
    /// Configuration cannot hold a probe. For services whose configuration names `prequal`, say in the factory which one:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
    /// use lb_core::{Instance, StrategySpec};
    /// use lb_strategies::{BuiltInStrategies, Prequal};
    /// # use lb_strategies::{ProbeReport, ProbeTarget};
    /// # async fn ask(_: ProbeTarget<Instance>) -> Result<ProbeReport, std::io::Error> { unimplemented!() }
    ///
    /// fn strategies(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
    ///     match spec.name.as_str() {
    ///         Prequal::NAME => Ok(Arc::new(Prequal::from_params(&spec.params)?.with_probe(ask))),
    ///         _ => BuiltInStrategies.build(spec),
    ///     }
    /// }
    /// ```
    pub fn with_probe<I>(self, probe: impl Probe<I>) -> ProbedPrequal<I> {
        ProbedPrequal::new(self, Arc::new(probe))
    }

    /// Probes per pick, if there is a probe. Default 3; fractions count; kept between 0 and 100. The paper saw 1 do badly.
    #[must_use]
    pub const fn probe_rate(mut self, probes: f64) -> Self {
        self.probing.rate = if probes > 0.0 { probes.min(100.0) } else { 0.0 };
        self
    }

    /// How many answers are kept. Default 16, which the paper found enough; 2 to 64.
    #[must_use]
    pub const fn probe_pool(mut self, answers: usize) -> Self {
        self.probing.pool = match answers {
            0..2 => 2,
            2..=MOST_ANSWERS => answers,
            _ => MOST_ANSWERS,
        };
        self
    }

    /// How long an answer is of use, and how long a probe may take. Default 1 s; kept between 1 ms and 1 h.
    #[must_use]
    pub fn probe_max_age(mut self, age: Duration) -> Self {
        self.probing.max_age = age.clamp(LEAST_TIME, MOST_TIME);
        self
    }

    /// How many answers are dropped per pick without having been used up, where there are more members than answers.
    /// Default 1; fractions count; kept between 0 and 1.
    #[must_use]
    pub const fn probe_remove_rate(mut self, answers: f64) -> Self {
        self.probing.remove_rate = if answers > 0.0 { answers.min(1.0) } else { 0.0 };
        self
    }

    /// A probe is sent at least so often. Default 250 ms, so that four answers are there for the call that comes after a
    /// pause; kept between 1 ms and 1 h.
    #[must_use]
    pub fn probe_idle(mut self, interval: Duration) -> Self {
        self.probing.idle = interval.clamp(LEAST_TIME, MOST_TIME);
        self
    }

    /// From configuration: `{ "decay": "10s", "q_rif": 0.84, "scan_up_to": 16, "choices": 3, "probe_rate": 3,
    /// "probe_pool": 16, "probe_max_age": "1s", "probe_remove_rate": 1, "probe_idle": "250ms" }`. Those of probes have no
    /// effect without a [probe](Self::with_probe).
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self {
            decay: decay_in_range(Self::NAME, params.decay)?,
            q_rif: in_range(Self::NAME, "q_rif", params.q_rif, 0.0..=1.0)?,
            reach: REACH.with_params(Self::NAME, params.scan_up_to, params.choices)?,
            probing: Probing {
                rate: in_range(Self::NAME, "probe_rate", params.probe_rate, 0.0..=100.0)?,
                pool: in_range(Self::NAME, "probe_pool", params.probe_pool, 2..=MOST_ANSWERS)?,
                max_age: time_in_range("probe_max_age", params.probe_max_age)?,
                remove_rate: in_range(Self::NAME, "probe_remove_rate", params.probe_remove_rate, 0.0..=1.0)?,
                idle: time_in_range("probe_idle", params.probe_idle)?,
            },
        })
    }
}

/// The most answers that are kept.
const MOST_ANSWERS: usize = 64;
const LEAST_TIME: Duration = Duration::from_millis(1);
const MOST_TIME: Duration = Duration::from_secs(3600);

fn time_in_range(param: &str, time: Duration) -> Result<Duration, StrategyError> {
    if (LEAST_TIME..=MOST_TIME).contains(&time) {
        return Ok(time);
    }
    Err(invalid(Prequal::NAME, format!("`{param}` is from 1ms to 1h, not {time:?}")))
}

impl Default for Prequal {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Prequal {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(PrequalPicker::new(self, set))
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_checked() {
        let parse = |params| Prequal::from_params(&params);
        let params = json!({ "probe_rate": 1.5, "probe_pool": 8, "probe_max_age": "500ms", "probe_remove_rate": 0.25,
            "probe_idle": "2s" });
        let expected = Prequal::new()
            .probe_rate(1.5)
            .probe_pool(8)
            .probe_max_age(Duration::from_millis(500))
            .probe_remove_rate(0.25)
            .probe_idle(Duration::from_secs(2));
        assert_eq!(parse(params).unwrap().probing, expected.probing);
        assert_eq!(parse(json!({})).unwrap().probing, Probing::DEFAULT);
        for (params, part) in [
            (json!({ "probe_rate": -1 }), "`probe_rate` is from 0 to 100, not -1"),
            (json!({ "probe_pool": 1 }), "`probe_pool` is from 2 to 64, not 1"),
            (json!({ "probe_max_age": "2h" }), "`probe_max_age` is from 1ms to 1h"),
            (json!({ "probe_remove_rate": 3 }), "`probe_remove_rate` is from 0 to 1, not 3"),
            (json!({ "probe_idle": "1us" }), "`probe_idle` is from 1ms to 1h"),
        ] {
            let error = parse(params).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

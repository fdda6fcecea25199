//! Who takes part: the built-in strategies by name, and those that a scenario adds.

use std::sync::Arc;

use lb_core::StrategySpec;
use lb_core::limit::DeclaredLimiters;
use lb_core::pool::PoolContext;
use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
use lb_strategies::{BuiltInStrategies, ClientIndex, Prequal};

use crate::engine::{Askable, ClientInfo};
use crate::scenario::file::Limiting;
use crate::scenario::{Scenario, SimHost};

/// The strategy that we recommend, and hold to what the others can do.
pub const AUTO: &str = "auto";

/// A strategy that takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrant {
    /// What tables call it.
    pub label: String,
    /// Its name and parameters.
    pub spec: StrategySpec,
    /// Whether it asks hosts what they have to do.
    pub asks: bool,
}

impl Entrant {
    /// Makes it for one client.
    pub fn build(&self, client: ClientInfo<'_>) -> Result<Arc<dyn Strategy<SimHost>>, StrategyError> {
        if self.asks {
            if self.spec.name != Prequal::NAME {
                let problem = format!("only `{}` can ask hosts", Prequal::NAME);
                return Err(StrategyError::InvalidParams { name: self.spec.name.clone(), problem });
            }
            let rules = Prequal::from_params(&self.spec.params)?;
            return Ok(Arc::new(rules.with_probe(client.hosts.reports())));
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let index = ClientIndex::new(number(client.index), number(client.count)).map_err(|error| {
            StrategyError::InvalidParams { name: self.spec.name.clone(), problem: error.to_string() }
        })?;
        let here = BuiltInStrategies.as_client(index);
        match client.zone {
            Some(zone) => here.in_zone(zone).build(&self.spec),
            None => here.build(&self.spec),
        }
    }
}

/// Those of which some one has been the best of some scenario, or close to it: who takes part under `--quick`, besides those
/// that a scenario expects something of.
pub const QUICK: [&str; 5] = [AUTO, "least_request", "least_used", "peak_ewma", "prequal"];

/// Strategies around others, which do nothing where there are no tiers, zones, sessions or large sets. They take part
/// where a scenario adds them.
const WRAPPING: [&str; 5] = ["aperture", "priority", "sticky", "subset", "zone_aware"];

/// Those who take part in a scenario, in order: the built-in strategies that stand alone, each with its defaults, and what
/// the scenario adds. `chosen`: only those with these labels; none: all.
pub fn entrants(scenario: &Scenario, chosen: &[String]) -> Result<Vec<Entrant>, String> {
    let built_in = BuiltInStrategies::names().iter().map(|name| Entrant {
        label: (*name).to_owned(),
        spec: StrategySpec::new(*name),
        asks: false,
    });
    let alone = |label: &String| !WRAPPING.contains(&label.as_str()) && !scenario.without.contains(label);
    let mut all: Vec<_> = built_in.filter(|entrant| alone(&entrant.label)).collect();
    for added in &scenario.strategies {
        let params = serde_json::to_value(&added.params).map_err(|error| error.to_string())?;
        let spec = StrategySpec::new(&*added.name).with_params(params);
        all.push(Entrant { label: added.label.clone(), spec, asks: added.asks });
    }
    if let Some(only) = &scenario.only {
        // In the order of the scenario.
        let known: Vec<_> = all.iter().map(|entrant| entrant.label.clone()).collect();
        if let Some(unknown) = only.iter().find(|label| !known.contains(label)) {
            return Err(format!("`only`: there is no strategy `{unknown}`; there are: {}", known.join(", ")));
        }
        all.retain(|entrant| only.contains(&entrant.label));
    }
    if !chosen.is_empty() {
        all.retain(|entrant| chosen.contains(&entrant.label));
    }
    for entrant in &all {
        let zone = scenario.clients.zones.first().map(String::as_str);
        let client = ClientInfo { index: 0, count: scenario.clients.count, zone, hosts: &Askable::default() };
        entrant.build(client).map_err(|error| format!("strategy `{}`: {error}", entrant.label))?;
    }
    Ok(all)
}

/// What the pools of a client share.
pub(crate) fn context(limits: Limiting) -> PoolContext<SimHost> {
    match limits {
        Limiting::Declared | Limiting::Learned => PoolContext::new(),
        // Holds to what is declared, which is nothing.
        Limiting::Ignored => PoolContext::with_limiters(Arc::new(DeclaredLimiters)),
    }
}

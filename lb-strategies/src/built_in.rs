//! All strategies by name: [`BuiltInStrategies`].

use std::sync::Arc;

use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
use lb_core::{ServiceInstance, StrategySpec};
use serde_json::Value;

use crate::{
    Aperture, Auto, ClientIndex, Jump, Ketama, LeastRequest, LeastUsed, Maglev, Ordered, PeakEwma, Prequal,
    Priority, Random, Rendezvous, RingHash, RoundRobin, SmoothWeighted, StaticStride, Sticky, Subset,
    ZoneAware,
};

/// Knows the strategies of this crate by name, for services whose configuration names one.
///
/// ```
/// use lb_core::strategy::{Strategy, StrategyFactory};
/// use lb_core::{Instance, StrategySpec};
/// use lb_strategies::BuiltInStrategies;
///
/// let spec = StrategySpec::new("random").with_params(serde_json::json!({ "ignore_weights": true }));
/// let strategy: std::sync::Arc<dyn Strategy<Instance>> = BuiltInStrategies.build(&spec)?;
/// assert_eq!(strategy.name(), "random");
/// # Ok::<_, lb_core::strategy::StrategyError>(())
/// ```
///
/// To add one of your own, ask this for the names that yours is not:
///
/// ```
/// # use std::sync::Arc;
/// # use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
/// # use lb_core::{Instance, StrategySpec};
/// # use lb_strategies::{BuiltInStrategies, Random};
/// # type Mine = Random;
/// fn strategies(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
///     match spec.name.as_str() {
///         "mine" => Ok(Arc::new(Mine::from_params(&spec.params)?)),
///         _ => BuiltInStrategies.build(spec),
///     }
/// }
/// ```
/// Strategies inside of others are built by the same factory. If that is yours, say so, and yours can be inside of these:
///
/// ```
/// # use std::sync::Arc;
/// # use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
/// # use lb_core::{Instance, StrategySpec};
/// # use lb_strategies::{BuiltInStrategies, Random};
/// # type Mine = Random;
/// fn strategies(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
///     match spec.name.as_str() {
///         "mine" => Ok(Arc::new(Mine::from_params(&spec.params)?)),
///         _ => BuiltInStrategies.in_zone("eu-1a").build_with(spec, &strategies),
///     }
/// }
/// let params = serde_json::json!({ "inner": { "name": "mine" } });
/// assert!(strategies(&StrategySpec::new("zone_aware").with_params(params)).is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInStrategies;

/// [`BuiltInStrategies`] that know where they are: in which zone, and which of the service's clients, because
/// configuration that all of those share cannot say so.
///
/// ```
/// use lb_strategies::{BuiltInStrategies, ClientIndex};
///
/// let client = ClientIndex::new(3, 10)?;
/// let strategies = BuiltInStrategies.in_zone("eu-1a").as_client(client);
/// # Ok::<_, lb_strategies::InvalidClientIndex>(())
/// ```
#[derive(Clone, Debug)]
pub struct BuiltInStrategiesHere {
    zone: Option<Box<str>>,
    client: Option<ClientIndex>,
}

impl BuiltInStrategies {
    /// The names that it knows.
    pub const fn names() -> &'static [&'static str] {
        NAMES
    }

    /// The same for a caller in this zone, which strategies take for their own if their parameters name none.
    pub fn in_zone(self, zone: impl Into<Box<str>>) -> BuiltInStrategiesHere {
        BuiltInStrategiesHere { zone: Some(zone.into()), client: None }
    }

    /// The same for this one of a service's clients, for strategies that share instances out among clients.
    pub fn as_client(self, client: ClientIndex) -> BuiltInStrategiesHere {
        BuiltInStrategiesHere { zone: None, client: Some(client) }
    }

    /// The strategy of that name and those parameters; `inner` builds those inside of it.
    pub fn build_with<I: ServiceInstance>(
        self,
        spec: &StrategySpec,
        inner: &dyn StrategyFactory<I>,
    ) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        build(spec, &Surroundings { zone: None, client: None, inner })
    }
}

impl BuiltInStrategiesHere {
    /// The same for a caller in this zone.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<Box<str>>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The same for this one of a service's clients.
    #[must_use]
    pub fn as_client(mut self, client: ClientIndex) -> Self {
        self.client = Some(client);
        self
    }

    /// The strategy of that name and those parameters; `inner` builds those inside of it.
    pub fn build_with<I: ServiceInstance>(
        &self,
        spec: &StrategySpec,
        inner: &dyn StrategyFactory<I>,
    ) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        build(spec, &Surroundings { zone: self.zone.as_deref(), client: self.client, inner })
    }
}

impl<I: ServiceInstance> StrategyFactory<I> for BuiltInStrategies {
    fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        self.build_with(spec, self)
    }
}

impl<I: ServiceInstance> StrategyFactory<I> for BuiltInStrategiesHere {
    fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        self.build_with(spec, self)
    }
}

/// What strategies are built with, besides their own parameters.
struct Surroundings<'a, I> {
    /// The caller's zone, if it is known.
    zone: Option<&'a str>,
    /// Which of the service's clients it is, if that is known.
    client: Option<ClientIndex>,
    /// Builds the strategies inside of others.
    inner: &'a dyn StrategyFactory<I>,
}

type Built<I> = Result<Arc<dyn Strategy<I>>, StrategyError>;

/// The list of all strategies. A line of the first part names a type with a `NAME` and a
/// `from_params(&serde_json::Value) -> Result<Self, StrategyError>`; one of the second part, for those that wrap another
/// or need to know where they are, says how it is built. Each group has its own lines, sorted by name.
macro_rules! built_in {
    (plain { $($plain:ty,)+ } wrapping { $($wrapping:ident => $build:expr,)+ }) => {
        const NAMES: &[&str] = &[$(<$plain>::NAME,)+ $($wrapping::<()>::NAME,)+];

        fn build<I: ServiceInstance>(spec: &StrategySpec, around: &Surroundings<'_, I>) -> Built<I> {
            match spec.name.as_str() {
                $(<$plain>::NAME => Ok(Arc::new(<$plain>::from_params(&spec.params)?)),)+
                $($wrapping::<()>::NAME => {
                    let build: fn(&Value, &Surroundings<'_, I>) -> Result<_, StrategyError> = $build;
                    Ok(Arc::new(build(&spec.params, around)?))
                })+
                _ => Err(unknown(spec)),
            }
        }
    };
}

built_in! {
    plain {
        // In turn or by chance.
        Random,
        RoundRobin,
        SmoothWeighted,
        StaticStride,

        // By load.
        Auto,
        LeastRequest,
        PeakEwma,
        Prequal,

        // By preference.
        Ordered,

        // By quota.
        LeastUsed,

        // By hash.
        Jump,
        Ketama,
        Maglev,
        Rendezvous,
        RingHash,
    }
    wrapping {
        // By tier and zone.
        Priority => |params, around| Priority::from_params(params, around.inner),
        ZoneAware => |params, around| ZoneAware::from_params(params, around.zone, around.inner),

        // By subset and session.
        Aperture => |params, around| Aperture::from_params(params, around.client, around.inner),
        Sticky => |params, around| Sticky::from_params(params, around.inner),
        Subset => |params, around| Subset::from_params(params, around.client, around.inner),
    }
}

fn unknown(spec: &StrategySpec) -> StrategyError {
    let known = NAMES.iter().map(|name| (*name).to_owned()).collect();
    StrategyError::Unknown { name: spec.name.clone(), known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use serde_json::json;

    fn build(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
        BuiltInStrategies.in_zone("here").build(spec)
    }

    #[test]
    fn every_name_builds_the_strategy_of_that_name() {
        for name in BuiltInStrategies::names() {
            for params in [json!(null), json!({})] {
                let strategy = build(&StrategySpec::new(*name).with_params(params)).unwrap();
                assert_eq!(strategy.name(), *name);
            }
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }

    #[test]
    fn an_unknown_name_lists_those_that_exist() {
        let error = build(&StrategySpec::new("roundrobin")).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("there is no strategy `roundrobin`; there are: {}", NAMES.join(", "))
        );
    }

    #[test]
    fn no_strategy_takes_params_that_it_does_not_know() {
        for name in BuiltInStrategies::names() {
            for params in [json!({ "no_such_param": 1 }), json!([1]), json!("fast")] {
                let error = build(&StrategySpec::new(*name).with_params(params)).err().unwrap();
                assert!(
                    matches!(&error, StrategyError::InvalidParams { name: of, .. } if of == name),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn a_strategy_inside_of_another_is_named_by_its_place() {
        let spec = |inner| {
            StrategySpec::new("priority")
                .with_params(json!({ "inner": { "name": "zone_aware", "params": { "inner": inner } } }))
        };
        assert!(build(&spec(json!({ "name": "random", "params": { "ignore_weights": true } }))).is_ok());
        let error = build(&spec(json!({ "name": "randon" }))).err().unwrap();
        let StrategyError::Inner { path, problem } = &error else { panic!("{error}") };
        assert_eq!(path, "params.inner.params.inner");
        assert!(matches!(&**problem, StrategyError::Unknown { name, .. } if name == "randon"));
        assert!(
            error.to_string().starts_with("at params.inner.params.inner: there is no strategy `randon`"),
            "{error}"
        );
        let error = build(&spec(json!({ "name": "random", "params": { "seed": 1 } }))).err().unwrap();
        assert!(
            matches!(error, StrategyError::Inner { problem, .. } if matches!(*problem, StrategyError::InvalidParams { .. }))
        );
    }

    #[test]
    fn the_zone_comes_from_the_params_or_from_the_factory() {
        let nowhere = |params| {
            StrategyFactory::<Instance>::build(
                &BuiltInStrategies,
                &StrategySpec::new("zone_aware").with_params(params),
            )
        };
        assert!(nowhere(json!({ "zone": "a" })).is_ok());
        let error = nowhere(json!({})).err().unwrap().to_string();
        assert!(error.contains("`zone`") && error.contains("in_zone"), "{error}");
    }
}

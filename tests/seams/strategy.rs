//! A strategy in ten lines that learns, and strategies named in configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loadbalance::StrategySpec;
use loadbalance::prelude::*;
use loadbalance::strategy::{Candidates, Member, MemberSet, Outcome, Picker, Slot, Strategy};

/// The member with the fewest failures; what it has learned survives changes of the set.
struct FewestFailures;
struct FewestFailuresPicker(MemberSet<Instance>);

impl Strategy<Instance> for FewestFailures {
    fn picker(
        &self,
        set: &MemberSet<Instance>,
        _: Option<&dyn Picker<Instance>>,
    ) -> Box<dyn Picker<Instance>> {
        Box::new(FewestFailuresPicker(set.clone()))
    }
}

impl Picker<Instance> for FewestFailuresPicker {
    fn pick(&self, candidates: &Candidates<'_, Instance>) -> Option<Slot> {
        let failures = |m: &Member<Instance>| m.ext::<AtomicU64>().load(Ordering::Relaxed);
        candidates.eligible(&self.0).min_by_key(|(_, member)| failures(member)).map(|(slot, _)| slot)
    }
    fn on_outcome(&self, member: &Member<Instance>, outcome: &Outcome) {
        member.ext::<AtomicU64>().fetch_add(u64::from(!outcome.is_success()), Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_strategy_learns_and_remembers() {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", ["bad", "good"].map(Instance::new)).unwrap();
    let lb = LoadBalancer::builder(registry.clone()).strategy(FewestFailures).build();
    let call = async || {
        lb.execute(
            "s",
            async |i| if i.id == "bad" { Err(RequestError::service("x")) } else { Ok(i.attempt()) },
        )
        .await
    };
    assert_eq!(call().await.unwrap(), 2, "nothing learned yet");
    for n in 0..20 {
        registry.register("s", Instance::new("bad").with_metadata("n", n.to_string())).await.unwrap();
        assert_eq!(call().await.unwrap(), 1, "`bad` is not even tried");
    }
    assert_eq!(lb.stats("s").unwrap().strategy, "FewestFailures");
}

#[tokio::test(start_paused = true)]
async fn configuration_names_the_strategy() {
    let factory = |spec: &StrategySpec| -> Result<Arc<dyn Strategy<Instance>>, _> {
        match spec.name.as_str() {
            "fewest_failures" => Ok(Arc::new(FewestFailures)),
            _ => loadbalance::strategy::StrategyFactory::build(&loadbalance::strategy::CoreStrategies, spec),
        }
    };
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("a")).await.unwrap();
    let lb = LoadBalancer::builder(registry.clone()).strategy_factory(factory).build();
    let in_force = async || {
        lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
        lb.stats("s").unwrap().strategy
    };
    let set = async |spec: StrategySpec| {
        let config = ServiceConfig::builder().strategy(spec).build().unwrap();
        registry.set_config("s", config).await.unwrap();
    };
    assert_eq!(in_force().await, "round_robin");
    let held = lb.pick("s", &CallOptions::new()).await.unwrap();
    set(StrategySpec::new("fewest_failures")).await;
    assert_eq!(in_force().await, "FewestFailures");
    assert_eq!(lb.stats("s").unwrap().instances[0].in_flight, 1, "what is known survives the switch");
    held.finish();
    set(StrategySpec::new("no_such_strategy")).await;
    assert_eq!(in_force().await, "FewestFailures", "an unknown name keeps the one in force");
    set(StrategySpec::new("round_robin").with_params(serde_json::json!({ "starts": 1 }))).await;
    assert_eq!(in_force().await, "FewestFailures", "so do bad params");
    set(StrategySpec::new("round_robin").with_params(serde_json::json!({ "start": 1 }))).await;
    assert_eq!(in_force().await, "round_robin");
    registry.remove_config("s").await.unwrap();
    assert_eq!(in_force().await, "round_robin");
}

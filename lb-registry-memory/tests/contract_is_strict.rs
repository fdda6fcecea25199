//! The contract finds what is wrong: registries that break one rule each fail it.

mod broken;
mod ready;

use broken::{Broken, FAULTS, Fault};
use lb_core::testing::RegistryContract;

/// What the contract says of a registry with this fault; `None` if it passes.
async fn verdict(fault: Fault, contract: RegistryContract) -> Option<String> {
    let checked = tokio::spawn(async move { contract.check(async || Broken::new(fault)).await }).await;
    let panic = checked.err()?.into_panic();
    Some(*panic.downcast::<String>().expect("the contract's failures are formatted"))
}

#[tokio::test(start_paused = true)]
async fn a_sound_registry_passes() {
    assert_eq!(verdict(Fault::None, RegistryContract::new()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_broken_registry_fails() {
    for &(fault, _) in FAULTS {
        let message = verdict(fault, RegistryContract::new()).await;
        let message = message.unwrap_or_else(|| panic!("a registry that {fault:?} passes"));
        assert!(message.contains("the registry breaks `"), "{fault:?}: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_registry_breaks_the_rule_for_it() {
    let mut wrong = Vec::new();
    for &(fault, rule) in FAULTS {
        let message = verdict(fault, RegistryContract::new().only(rule)).await;
        if !message
            .as_ref()
            .is_some_and(|message| message.contains(&format!("the registry breaks `{rule}`: ")))
        {
            wrong.push((fault, rule, message));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_does_not_exist_is_not_passed() {
    assert!(verdict(Fault::None, RegistryContract::new().only("no such rule")).await.is_some());
    assert!(RegistryContract::rules().count() > 50);
}

//! The contract of strategies finds what is wrong with strategies that are wrong: each of these makes one mistake that
//! is easily made, and breaks the rule that names it.
#![cfg(feature = "testing")]

mod strategies;

use std::panic::{AssertUnwindSafe, catch_unwind};

use lb_core::Instance;
use lb_core::strategy::Strategy;
use lb_core::testing::StrategyContract;

use strategies::{Broken, broken};

/// Checks that the strategy breaks the rule, with a message that names it, and keeps those that do not look for its
/// mistake.
fn breaks<S: Strategy<Instance>>(rule: &str, keeps: &[&str], make: impl Fn() -> S) {
    let contract = StrategyContract::new();
    let failure = catch_unwind(AssertUnwindSafe(|| contract.clone().only(rule).check(&make)));
    let message = *failure.expect_err("the contract is kept").downcast::<String>().expect("a message");
    assert!(message.contains("breaks the rule") && message.contains(rule), "{message}");
    assert!(catch_unwind(AssertUnwindSafe(|| contract.check(&make))).is_err(), "the whole contract is kept");
    for rule in keeps {
        StrategyContract::new().only(*rule).check(&make);
    }
}

#[test]
fn the_way_that_the_broken_ones_are_made_is_not_what_breaks_them() {
    StrategyContract::new().weighted(false).check(|| broken(Broken::NOT));
}

#[test]
fn the_first_slot_always() {
    breaks("only_eligible", &["an_empty_set"], || {
        broken(Broken { pick: strategies::first_slot, ..Broken::NOT })
    });
}

#[test]
fn eligibility_ignored() {
    let make = || broken(Broken { pick: strategies::anybody, ..Broken::NOT });
    breaks("only_eligible", &["equal_members", "starts::"], make);
    breaks("refused_members", &[], make);
    breaks("suspects_are_picked_last", &[], make);
}

#[test]
fn on_to_the_next_neighbour() {
    let make = || broken(Broken { pick: strategies::next_neighbour, ..Broken::NOT });
    breaks("the_rest_stays_even_without_some", &["eligibility::", "completeness::", "equal_members"], make);
    breaks("the_rest_stays_even_while_some_rest", &[], make);
}

#[test]
fn one_try_only() {
    let make = || broken(Broken { pick: strategies::one_try, ..Broken::NOT });
    breaks("the_only_eligible_member", &["eligibility::only_eligible", "equal_members"], make);
    breaks("nobody_is_picked_only_if", &[], make);
}

#[test]
fn a_few_tries_only() {
    let make = || broken(Broken { pick: strategies::a_few_tries, ..Broken::NOT });
    breaks("the_only_eligible_member", &["eligibility::only_eligible", "equal_members"], make);
}

#[test]
fn a_panic_if_the_set_is_empty() {
    let make = || broken(Broken { pick: strategies::modulo_len, ..Broken::NOT });
    breaks("an_empty_set", &["equal_members"], make);
}

#[test]
fn the_first_set_for_ever() {
    let make = || broken(Broken { keeps_first_set: true, ..Broken::NOT });
    breaks("who_left_is_not_picked", &["equal_members"], make);
    breaks("who_came_is_found", &[], make);
    breaks("any_change_under_way", &[], make);
    breaks("a_subset_is_not_left", &[], make);
}

#[test]
fn one_pick_at_a_time() {
    let make = || broken(Broken { pick: strategies::if_alone, ..Broken::NOT });
    breaks("threads_may_pick", &["shares::", "completeness::", "changes::"], make);
}

#[test]
fn weights_ignored_by_one_that_claims_to_heed_them() {
    let make = || broken(Broken::NOT);
    breaks("shares_follow_weights", &["shares::", "changes::", "subsets::", "extreme_weights"], make);
    breaks("a_huge_weight", &[], make);
    breaks("a_new_weight_counts", &[], make);
}

#[test]
fn weights_heeded_by_one_that_claims_to_ignore_them() {
    let contract = StrategyContract::new().weighted(false).only("weights_are_ignored");
    let by_weight = || broken(Broken { pick: strategies::by_weight, ..Broken::NOT });
    assert!(catch_unwind(AssertUnwindSafe(|| contract.check(by_weight))).is_err());
}

#[test]
fn a_sum_of_weights_that_overflows() {
    let make = || broken(Broken { pick: strategies::by_narrow_sum, ..Broken::NOT });
    breaks("extreme_weights", &["shares_follow_weights"], make);
}

#[test]
fn the_length_of_the_whole_set_instead_of_the_subset() {
    let make = || broken(Broken { pick: strategies::length_of_all, ..Broken::NOT });
    breaks("a_subset_is_not_left", &["shares::", "completeness::"], make);
    breaks("a_subset_is_shared_evenly", &[], make);
}

#[test]
fn from_the_first_after_every_update() {
    let make = || broken(Broken { pick: strategies::in_turn, ..Broken::NOT });
    breaks("updates_favour_nobody", &["shares::", "completeness::"], make);
    breaks("clients_start_anywhere", &[], make);
}

#[test]
fn no_other_strategy_before() {
    let make = || broken(Broken { insists_on_previous: true, ..Broken::NOT });
    breaks("the_picker_of_another_strategy", &["shares::", "changes::"], make);
}

#[test]
fn a_panic_on_long_outcomes() {
    let make = || broken(Broken { sums_up_latency: true, ..Broken::NOT });
    breaks("outcomes_of_every_kind", &["shares::", "changes::", "threads::"], make);
}

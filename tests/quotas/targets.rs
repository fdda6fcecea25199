//! Eight keys with faults, at 90 % and at 150 % of what they grant: how many calls fail, and how much work is wasted. Each
//! limit holds for the far end of the 95 % interval over ten seeds.

use std::sync::Arc;
use std::time::Duration;

use loadbalance::strategy::LeastUsed;

use crate::provider::Counting;
use crate::scenario::{Figures, Scenario, Told, run};
use crate::statistics::Mean;

const SEEDS: u64 = 10;
const QUARTER: Counting = Counting::Bucket(Duration::from_millis(250));

fn figures(scenario: &Scenario) -> Vec<Figures> {
    (0..SEEDS).map(|seed| run(scenario, seed)).collect()
}

/// At 90 %: at most so many calls fail (percent), and so many attempts are made for each success.
fn normal(scenario: &Scenario, failed: f64, attempts: f64) {
    let figures = figures(scenario);
    let (fails, tries) =
        (Mean::of(&figures, |f| 100.0 * f.failed), Mean::of(&figures, |f| f.attempts_per_success));
    assert!(fails.upper() <= failed, "{:?}, {:?}: {fails:?} % fail", scenario.told, scenario.counting);
    assert!(tries.upper() <= attempts, "{:?}, {:?}: {tries:?} attempts", scenario.told, scenario.counting);
}

/// At 150 %: so much of the quota is used (percent), with so many attempts for each success.
fn overload(scenario: &Scenario, goodput: f64, attempts: f64) {
    let figures = figures(scenario);
    let (good, tries) =
        (Mean::of(&figures, |f| 100.0 * f.goodput), Mean::of(&figures, |f| f.attempts_per_success));
    assert!(good.lower() >= goodput, "{:?}, {:?}: {good:?} % used", scenario.told, scenario.counting);
    assert!(tries.upper() <= attempts, "{:?}, {:?}: {tries:?} attempts", scenario.told, scenario.counting);
}

#[test]
fn declared() {
    normal(&Scenario::new(Told::Declared, 0.9), 0.1, 1.01);
    overload(&Scenario::new(Told::Declared, 1.5), 99.0, 1.02);
}

#[test]
fn learned_with_retry_after() {
    normal(&Scenario::new(Told::RetryAfter, 0.9), 0.5, 1.03);
    overload(&Scenario::new(Told::RetryAfter, 1.5), 98.0, 1.05);
}

#[test]
fn learned_without_a_header() {
    normal(&Scenario::new(Told::Nothing, 0.9), 0.5, 1.03);
    overload(&Scenario::new(Told::Nothing, 1.5), 98.0, 1.05);
}

#[test]
fn bursts_of_a_quarter_of_a_second() {
    let quarter = |told| Scenario { counting: QUARTER, ..Scenario::new(told, 0.9) };
    normal(&quarter(Told::Declared), 1.0, 1.02);
    normal(&quarter(Told::RetryAfter), 8.0, 1.2);
    normal(&quarter(Told::Nothing), 8.0, 1.2);
}

#[test]
fn refusals_that_take_their_time() {
    let scenario = Scenario { refusal: Duration::from_millis(50), ..Scenario::new(Told::Nothing, 0.9) };
    normal(&scenario, 0.5, 1.03);
}

#[test]
fn with_the_strategy_for_quotas() {
    let least_used = |told| Scenario { strategy: Arc::new(LeastUsed::new()), ..Scenario::new(told, 0.9) };
    normal(&least_used(Told::Declared), 0.1, 1.01);
    normal(&least_used(Told::Nothing), 0.5, 1.03);
}

#[test]
fn hints_spare_nearly_all_refusals() {
    normal(&Scenario::new(Told::Hints, 0.9), 0.5, 1.01);
    overload(&Scenario::new(Told::Hints, 1.5), 95.0, 1.01);
}

#[test]
fn fixed_windows() {
    let window = Counting::Window(Duration::from_secs(1));
    let windows = |told| Scenario { counting: window, ..Scenario::new(told, 0.9) };
    normal(&windows(Told::Declared), 1.0, 1.03);
    normal(&windows(Told::Nothing), 2.0, 1.05);
}

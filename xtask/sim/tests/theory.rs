//! The simulator against queueing theory: the short form. `cargo xtask sim --validate` is the long one.

use lb_sim::theory::{Comparison, Length, cases, compare};

#[test]
fn what_comes_out_is_what_theory_says() {
    let comparisons = compare(&cases(Length::Short), 1, 2, &|_| ());
    assert!(comparisons.len() >= 10);
    let wrong: Vec<_> = comparisons.iter().filter(|c| !c.holds()).map(Comparison::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

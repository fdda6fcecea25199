//! `cargo xtask test`: every test there is.
//!
//! One `cargo test` runs the unit, integration and documentation tests and compiles the examples; then each example
//! in [`EXAMPLES`] runs for a moment, because an example that only compiles may still hang or fail.
//!
//! What the tests need of the machine beyond Rust belongs into a step of its own, before them (`test/…`, made by a
//! module that finds the program or installs it), so that a machine that lacks it is told so, and by name.

use crate::invocation::Invocation;
use crate::step::Step;

/// An example, and the short run of it that is a test.
struct Example {
    package: &'static str,
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// Every example that must run. It is a list and not a look at the directory, so that one which is renamed or lost
/// fails instead of being passed over.
const EXAMPLES: &[Example] = &[
    Example { package: "loadbalance", name: "failover", args: &["--smoke"], env: &[] },
    Example { package: "loadbalance", name: "quotas", args: &["--smoke"], env: &[] },
];

/// The steps; `args` go to the test programs.
pub(crate) fn steps(args: &[String]) -> Vec<Step> {
    let mut steps = vec![Step::command("test/cargo", cargo_test(args))];
    steps.extend(EXAMPLES.iter().map(|example| Step::command(example.step_name(), example.invocation())));
    steps
}

/// Without a choice of targets, `cargo test` runs the documentation tests too; the examples are compiled only.
fn cargo_test(args: &[String]) -> Invocation {
    let test = Invocation::cargo("test --locked --workspace --all-features --no-fail-fast");
    if args.is_empty() { test } else { test.args(["--"]).args(args) }
}

impl Example {
    fn step_name(&self) -> String {
        format!("test/example-{}", self.name)
    }

    fn invocation(&self) -> Invocation {
        let run = Invocation::cargo("run --locked --all-features --package")
            .args([self.package, "--example", self.name, "--"])
            .args(self.args.iter().copied());
        self.env.iter().fold(run, |run, (name, value)| run.env(name, *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_test_programs() {
        let plain = "cargo test --locked --workspace --all-features --no-fail-fast";
        assert_eq!(cargo_test(&[]).to_string(), plain);
        assert_eq!(cargo_test(&["--nocapture".to_owned()]).to_string(), format!("{plain} -- --nocapture"));
    }

    #[test]
    fn an_example_runs_with_its_arguments_and_environment() {
        let example =
            Example { package: "loadbalance", name: "x", args: &["--smoke"], env: &[("RUST_LOG", "info")] };
        assert_eq!(example.step_name(), "test/example-x");
        assert_eq!(
            example.invocation().to_string(),
            "RUST_LOG=info cargo run --locked --all-features --package loadbalance --example x -- --smoke"
        );
    }
}

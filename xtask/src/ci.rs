//! `cargo xtask ci`: everything a change must pass.
//!
//! What is quick comes first, so that a slip is told of in a second.

use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::step::{Step, Task};
use crate::{features, licenses, msrv, package, sim, test};

/// What the compiler and clippy warn of is an error here. `incompatible_msrv` is named besides, so that no group that
/// is turned down takes it along: it is what keeps our own code from using a Rust newer than the one we promise.
const DENIED: [&str; 5] = ["--", "-D", "warnings", "-D", "clippy::incompatible_msrv"];

pub(crate) fn steps(metadata: &Metadata) -> Vec<Step> {
    let mut steps = vec![Step::command("fmt", Invocation::cargo("fmt --all --check")), msrv(metadata)];
    steps.push(licenses(metadata));
    steps.extend(test::steps(&[]));
    steps.push(sim::step());
    steps.extend([clippy(), docs(), features(metadata), package::step(metadata)]);
    steps
}

fn msrv(metadata: &Metadata) -> Step {
    let verdict = msrv::check(metadata);
    Step::check("msrv", || verdict)
}

fn licenses(metadata: &Metadata) -> Step {
    let directories: Vec<_> = metadata.published().map(|package| package.directory().to_owned()).collect();
    Step::check("licenses", move || licenses::check(".".as_ref(), &directories))
}

fn clippy() -> Step {
    let command = Invocation::cargo("clippy --locked --workspace --all-targets --all-features").args(DENIED);
    Step::command("clippy", command)
}

fn docs() -> Step {
    let command = Invocation::cargo("doc --locked --workspace --no-deps --all-features");
    Step::command("docs", command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Clippy instead of `cargo check`, for it alone can be told to fail on a warning without compiling every dependency
/// anew: what is unused without some feature is a mistake in what the feature guards.
fn features(metadata: &Metadata) -> Step {
    let command = |package: &str, feature: Option<&str>| {
        let clippy =
            Invocation::cargo("clippy --locked --no-deps --no-default-features --package").args([package]);
        match feature {
            Some(feature) => clippy.args(["--features", feature]),
            None => clippy,
        }
        .args(DENIED)
    };
    let tasks = metadata
        .members()
        .flat_map(|package| {
            features::each_alone(&package.features)
                .into_iter()
                .map(move |feature| Task::Run(command(&package.name, feature)))
        })
        .collect();
    Step::new("features", tasks)
}

//! `cargo xtask sim`: the simulator, which is a package of its own, so that the other chores build without what it needs.

use std::ffi::OsString;

use crate::invocation::Invocation;
use crate::step::Step;

/// Builds and runs it, with the arguments as they are. Whether all was well.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> std::io::Result<bool> {
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    Ok(invocation(args).status()?.success())
}

/// Fails if the recommended strategy falls behind another one beyond doubt, or a scenario does not show what it is there for:
/// 20 s on two processors, once it is built.
pub(crate) fn step() -> Step {
    Step::command("sim", invocation(["--check", "--quick"].into_iter().map(str::to_owned)))
}

fn invocation(args: impl Iterator<Item = String>) -> Invocation {
    // Optimised: it works through hundreds of millions of events.
    Invocation::cargo("run --quiet --release --locked --package lb-sim --").args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_handed_over() {
        let line = invocation(["tower-76", "--seed", "7"].map(str::to_owned).into_iter()).to_string();
        assert_eq!(line, "cargo run --quiet --release --locked --package lb-sim -- tower-76 --seed 7");
    }
}

//! `cargo xtask soak`: random faults for as long as one likes.
//!
//! The same schedules that the tests run for a minute or two. What a rare order of faults does is found by time.

use crate::invocation::Invocation;
use crate::servers;
use crate::step::Step;

/// What can be soaked, and the packages whose drills that are.
const KINDS: [(&str, &str); 2] = [("etcd", "lb-registry-etcd"), ("redis", "lb-registry-redis")];

/// For how long, and from which seed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Soak {
    pub(crate) package: &'static str,
    pub(crate) minutes: u64,
    pub(crate) seed: Option<u64>,
}

impl Soak {
    /// Thirty minutes of `kind`; `None` if there is no such kind.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        let (_, package) = KINDS.into_iter().find(|(name, _)| *name == kind)?;
        Some(Self { package, minutes: 30, seed: None })
    }
}

pub(crate) fn steps(soak: &Soak) -> Vec<Step> {
    vec![servers::step(), Step::command("soak", command(soak))]
}

fn command(soak: &Soak) -> Invocation {
    let test = Invocation::cargo("test --locked --package")
        .args([soak.package, "--test", "drill", "random_faults", "--", "--nocapture"])
        .env("LB_FAULT_SECONDS", (soak.minutes * 60).to_string());
    match soak.seed {
        Some(seed) => test.env("LB_FAULT_SEED", seed.to_string()),
        None => test,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_that_can_be_typed() {
        let soak = Soak { minutes: 2, seed: Some(7), ..Soak::of("etcd").expect("known") };
        assert_eq!(
            command(&soak).to_string(),
            "LB_FAULT_SECONDS=120 LB_FAULT_SEED=7 cargo test --locked --package lb-registry-etcd --test drill \
             random_faults -- --nocapture"
        );
        assert_eq!(Soak::of("zookeeper"), None);
    }
}

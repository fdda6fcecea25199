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
    fn of(kind: &str) -> Option<Self> {
        let (_, package) = KINDS.into_iter().find(|(name, _)| *name == kind)?;
        Some(Self { package, minutes: 30, seed: None })
    }

    /// What stands after `soak`; `None` if that asks for help.
    pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::ValueExt;
        use lexopt::prelude::{Long, Short, Value};

        let (mut soak, mut minutes, mut seed) = (None, None, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("minutes") => minutes = Some(parser.value()?.parse()?),
                Long("seed") => seed = Some(parser.value()?.parse()?),
                Value(kind) if soak.is_none() => {
                    let kind = kind.string()?;
                    soak =
                        Some(Self::of(&kind).ok_or_else(|| format!("`{kind}` is neither etcd nor redis"))?);
                }
                other => return Err(other.unexpected()),
            }
        }
        let soak = soak.ok_or("say what: etcd or redis")?;
        Ok(Some(Self { minutes: minutes.unwrap_or(soak.minutes), seed, ..soak }))
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        vec![servers::step(), Step::command("soak", self.command())]
    }

    fn command(&self) -> Invocation {
        let test = Invocation::cargo("test --locked --package")
            .args([self.package, "--test", "drill", "random_faults", "--", "--nocapture"])
            .env("LB_FAULT_SECONDS", (self.minutes * 60).to_string());
        match self.seed {
            Some(seed) => test.env("LB_FAULT_SEED", seed.to_string()),
            None => test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Option<Soak>, lexopt::Error> {
        Soak::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn the_command_is_one_that_can_be_typed() {
        let soak = parsed(&["etcd", "--minutes", "2", "--seed", "7"]).expect("valid").expect("no help");
        assert_eq!(
            soak.command().to_string(),
            "LB_FAULT_SECONDS=120 LB_FAULT_SEED=7 cargo test --locked --package lb-registry-etcd --test drill \
             random_faults -- --nocapture"
        );
        let soak = parsed(&["redis"]).expect("valid").expect("no help");
        assert_eq!(soak, Soak { package: "lb-registry-redis", minutes: 30, seed: None });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for args in
            [&[][..], &["zookeeper"], &["etcd", "redis"], &["etcd", "--minutes", "x"], &["etcd", "--fast"]]
        {
            assert!(parsed(args).is_err(), "{args:?}");
        }
        assert_eq!(parsed(&["--help"]).expect("valid"), None);
    }
}

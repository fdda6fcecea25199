//! What the command line asks for.

use std::path::PathBuf;

/// How to use it.
pub const HELP: &str = "\
Runs every strategy through every scenario, and compares them.

Usage: cargo xtask sim [scenario…] [options]

A scenario is a name, `name/variant`, or the path of a .toml file. None: all.

  --list             which scenarios there are
  --seed <n>         another run of chance (default 1); the same seed gives the same bytes
  --strategy <name>  only this strategy (may be given again)
  --quick            shorter runs, and only of strategies that may be the best; with `--check` only what fails for sure
                     is a failure
  --check            fail unless `auto` is as good as the best, and what the scenarios expect comes out; runs those that
                     may be the best with further seeds, until that is known
  --runs <n>         so many seeds for `--check` (default: what each scenario says, mostly 5)
  --validate         compare the simulator itself with queueing theory, and run nothing else
  --threads <n>      default: one per processor
  --out <directory>  where report.html and results.json go (default target/sim)
  -h, --help         this text
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Args {
    /// Names or paths; none: all.
    pub scenarios: Vec<String>,
    /// Labels; none: all.
    pub strategies: Vec<String>,
    /// Where chance begins.
    pub seed: u64,
    /// Shorter runs of fewer strategies.
    pub quick: bool,
    /// Only say which scenarios there are.
    pub list: bool,
    /// Hold the results to what must come out.
    pub check: bool,
    /// With how many seeds; none: as each scenario says.
    pub runs: Option<u32>,
    /// Compare with theory instead.
    pub validate: bool,
    /// How many threads; none: one per processor.
    pub threads: Option<usize>,
    /// Where files go.
    pub out: PathBuf,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            scenarios: Vec::new(),
            strategies: Vec::new(),
            seed: 1,
            quick: false,
            list: false,
            check: false,
            runs: None,
            validate: false,
            threads: None,
            out: PathBuf::from("target/sim"),
        }
    }
}

fn at_least_one(word: &str) -> Result<u32, String> {
    word.parse().ok().filter(|n| *n > 0).ok_or_else(|| "it takes at least one run".to_owned())
}

/// Reads a command line; `None`: it asks for help.
pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Args>, lexopt::Error> {
    use lexopt::ValueExt;
    use lexopt::prelude::{Long, Short, Value};

    let mut args = Args::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("list") => args.list = true,
            Long("quick") => args.quick = true,
            Long("check") => args.check = true,
            Long("validate") => args.validate = true,
            Long("runs") => args.runs = Some(parser.value()?.parse_with(at_least_one)?),
            Long("seed") => args.seed = parser.value()?.parse()?,
            Long("threads") => args.threads = Some(parser.value()?.parse()?),
            Long("strategy") => args.strategies.push(parser.value()?.string()?),
            Long("out") => args.out = parser.value()?.into(),
            Value(name) => args.scenarios.push(name.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_names_come_in_any_order() {
        let words = ["--seed", "7", "tower-76", "--strategy", "auto", "--strategy=random", "--quick"];
        let args = parse(lexopt::Parser::from_args(words)).expect("valid").expect("no help");
        assert_eq!((args.seed, args.quick, args.check), (7, true, false));
        assert_eq!(
            (args.scenarios, args.strategies),
            (vec!["tower-76".into()], vec!["auto".into(), "random".into()])
        );
        assert!(parse(lexopt::Parser::from_args(["-h"])).expect("valid").is_none());
        for wrong in [["--sede", "7"], ["--runs", "0"], ["--runs", "all"]] {
            assert!(parse(lexopt::Parser::from_args(wrong)).is_err(), "{wrong:?}");
        }
    }
}

//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::problem::Problem;

pub(crate) const HELP: &str = "\
Sends chat requests to several vendors of one model through a load balancer, and fails over between them.

Without --vendors it starts six vendors of its own on 127.0.0.1, five of which are in some kind of trouble, and compares
three ways to use them: one vendor alone, a naive round robin with a retry loop, and this library. Takes half a minute,
needs no network and no keys.

Usage: cargo run --release --example failover [-- OPTIONS]

Options:
  --vendors FILE     use your own endpoints (OpenAI-compatible): a JSON array, see vendors.example.json
  --prompts FILE     the prompts, one JSON object per line: {\"prompt\": \"...\"}; also \"system\" and \"max_tokens\"
  --out FILE         write the answers there, one JSON object per line; the file must not exist yet
  --requests N       how many requests to send; the prompts are used in turn
                     [default: 2400; with --vendors: every prompt once]
  --concurrency N    how many at the same time [default: 96; with --vendors: 16]
  --rate N           begin at most N requests a second [default: 300; with --vendors: no limit]
  --timeout SECONDS  how long a vendor may take to begin its answer before the next one is asked
                     [default: 1; with --vendors: 60]
  --smoke            a run of a few seconds, to see that it works; not with --vendors
  -h, --help         print this

Ends with status 0 if every request was answered, 1 if the library lost one, 2 if something must be put right first.
";

/// What was asked for. `None` is the default of the run in question.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Args {
    pub(crate) vendors: Option<PathBuf>,
    pub(crate) prompts: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) requests: Option<usize>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) rate: Option<f64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) smoke: bool,
    pub(crate) help: bool,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Args, Problem> {
    let mut args = Args::default();
    let hint = |error: lexopt::Error| Problem::new(format!("{error}; --help lists the options"));
    while let Some(arg) = parser.next().map_err(hint)? {
        match arg {
            Long("vendors") => args.vendors = Some(parser.value().map_err(hint)?.into()),
            Long("prompts") => args.prompts = Some(parser.value().map_err(hint)?.into()),
            Long("out") => args.out = Some(parser.value().map_err(hint)?.into()),
            Long("requests") => args.requests = Some(count("--requests", &mut parser)?),
            Long("concurrency") => args.concurrency = Some(count("--concurrency", &mut parser)?),
            Long("rate") => args.rate = Some(number("--rate", 1e6, &mut parser)?),
            Long("timeout") => {
                args.timeout = Some(Duration::from_secs_f64(number("--timeout", 86_400.0, &mut parser)?));
            }
            Long("smoke") => args.smoke = true,
            Short('h') | Long("help") => args.help = true,
            other => return Err(hint(other.unexpected())),
        }
    }
    if args.smoke && args.vendors.is_some() {
        return Err(Problem::new(
            "--smoke is for the vendors that come with the example; with --vendors try --requests 5",
        ));
    }
    Ok(args)
}

fn count(option: &str, parser: &mut lexopt::Parser) -> Result<usize, Problem> {
    value(option, "a whole number from 1 to 1000000", parser, |n| (1..=1_000_000).contains(n))
}

fn number(option: &str, most: f64, parser: &mut lexopt::Parser) -> Result<f64, Problem> {
    value(option, &format!("a number from 0.001 to {most}"), parser, |n| (0.001..=most).contains(n))
}

fn value<T: FromStr>(
    option: &str,
    wanted: &str,
    parser: &mut lexopt::Parser,
    in_range: impl Fn(&T) -> bool,
) -> Result<T, Problem> {
    let given = parser.value().map_err(|_| Problem::new(format!("{option} needs a value: {wanted}")))?;
    let parsed = given.to_str().and_then(|text| text.parse().ok()).filter(in_range);
    parsed.ok_or_else(|| Problem::new(format!("{option} {}: must be {wanted}", given.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Args, String> {
        parse(lexopt::Parser::from_args(args)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn every_option() {
        let given = "--vendors v --prompts p --out=o --requests 7 --concurrency 3 --rate 2.5 --timeout 0.5";
        let args = parsed(&given.split(' ').collect::<Vec<_>>()).unwrap();
        let expected = Args {
            vendors: Some("v".into()),
            prompts: Some("p".into()),
            out: Some("o".into()),
            requests: Some(7),
            concurrency: Some(3),
            rate: Some(2.5),
            timeout: Some(Duration::from_millis(500)),
            ..Args::default()
        };
        assert_eq!(args, expected);
        assert_eq!(parsed(&["--smoke", "-h"]).unwrap(), Args { smoke: true, help: true, ..Args::default() });
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let bad: &[(&[&str], &str)] = &[
            (&["--frobnicate"], "--frobnicate"),
            (&["stray"], "stray"),
            (&["--requests"], "--requests needs a value"),
            (&["--requests", "0"], "--requests 0: must be a whole number from 1"),
            (&["--concurrency", "many"], "--concurrency many"),
            (&["--rate", "NaN"], "--rate NaN"),
            (&["--timeout", "-1"], "--timeout -1"),
            (&["--smoke", "--vendors", "v"], "--requests 5"),
        ];
        for (args, part) in bad {
            let problem = parsed(args).unwrap_err();
            assert!(problem.contains(part), "{args:?}: {problem}");
        }
    }
}

//! The chores of this repository, as `cargo xtask <command>`.
//!
//! A chore is a list of named steps; each step either runs commands, which anyone can repeat by hand, or checks
//! something about the workspace in this process. This file is the map; what the chores are made of lives beside it:
//!
//! - [`mod@test`] and [`ci`]: which steps there are
//! - [`step`], [`runner`], [`report`]: what a step is, running a list of them, saying how it went
//! - [`sim`]: hands over to the simulator, a program of its own
//! - [`servers`]: finding or installing the servers that the tests run; [`locate`] is shared with the tests
//! - [`metadata`]: what cargo knows of the workspace; [`features`], [`msrv`], [`licenses`] and [`package`] are decided from it

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

mod ci;
mod features;
mod invocation;
mod licenses;
#[path = "../../tests/kit/src/locate.rs"]
#[expect(unreachable_pub, reason = "the tests' own module, which is public there")]
mod locate;
mod metadata;
mod msrv;
mod package;
mod report;
mod runner;
mod selection;
mod servers;
mod sim;
mod soak;
mod step;
mod test;

use metadata::{Metadata, MetadataError};
use selection::{Selection, UnknownStep};
use soak::Soak;
use step::Step;

const HELP: &str = "\
The chores of this repository.

Usage: cargo xtask <command> [options]

Commands:
  test [-- args]   every test: unit, integration, doctests, and a short run of each example; args go to the tests
  ci               everything a change must pass: the steps below
  soak <kind>      random faults on the registry in `etcd` or `redis`: --minutes 30, --seed 7
  sim [args]       every strategy through every scenario of the simulator; `cargo xtask sim --help`

Options of `test` and `ci`:
  --only <step>    run this step only (may be given again)
  --skip <step>    leave this step out (may be given again)
  -h, --help       this text

Steps:
  fmt                     the code is formatted
  msrv                    no dependency asks for a newer Rust than we promise
  licenses                every crate that is published carries the licence texts
  test/servers            etcd and Redis are installed, or can be: Debian's packages, where we may install
  test/cargo              unit, integration and documentation tests, all features
  test/example-failover   the fail-over example runs
  test/example-quotas     the example of quotas runs
  test/example-etcd_fleet a fleet that shares a registry in etcd runs
  test/example-redis_fleet  the same in Redis
  test/example-redis_quota  processes that share a quota run
  clippy                  no lint fires, all targets and all features
  docs                    the documentation builds without a warning
  features                each feature of each package builds alone, and each package without any
  package                 every crate that is published packs, and builds from what was packed

`test` names all steps of that group. A run goes on after a step that failed, so that one run tells everything.
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}

/// What stops a chore before its first step.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0} (see `cargo xtask --help`)")]
    Arguments(#[from] lexopt::Error),
    #[error(transparent)]
    UnknownStep(#[from] UnknownStep),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error("cannot enter the workspace at {path}: {source}")]
    Root { path: String, source: std::io::Error },
    #[error("cannot run the simulator: {0}")]
    Sim(std::io::Error),
}

/// `Ok(false)`: a step failed, and the report has said so.
fn run() -> Result<bool, Error> {
    let mut words = std::env::args_os().skip(1);
    match words.next().as_deref().and_then(OsStr::to_str) {
        Some("sim") => {
            enter_workspace()?;
            return sim::run(words).map_err(Error::Sim);
        }
        Some("soak") => {
            let Some(soak) = Soak::parse(lexopt::Parser::from_args(words))? else {
                print!("{HELP}");
                return Ok(true);
            };
            enter_workspace()?;
            let results = runner::run(soak.steps());
            print!("{}", report::summary(&results, &[]));
            return Ok(results.iter().all(report::StepResult::passed));
        }
        _ => {}
    }
    let Some(Request { command, selection, test_args }) = parse(lexopt::Parser::from_env())? else {
        print!("{HELP}");
        return Ok(true);
    };
    enter_workspace()?;
    let steps = match command {
        Command::Test => test::steps(&test_args),
        Command::Ci => ci::steps(&Metadata::load()?),
    };
    let (steps, skipped) = selection.split(steps, Step::name)?;
    let results = runner::run(steps);
    print!("{}", report::summary(&results, &skipped));
    Ok(results.iter().all(report::StepResult::passed))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Test,
    Ci,
}

#[derive(Debug)]
struct Request {
    command: Command,
    selection: Selection,
    test_args: Vec<String>,
}

/// `None`: the user asked for help, or for nothing.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Request>, lexopt::Error> {
    use lexopt::ValueExt;
    use lexopt::prelude::{Long, Short, Value};

    let mut command = None;
    let mut selection = Selection::default();
    let mut test_args = Vec::new();
    loop {
        // What stands after `--` belongs to the test programs, whatever it looks like.
        if command == Some(Command::Test)
            && let Some(mut raw) = parser.try_raw_args()
            && raw.peek().is_some_and(|arg| arg == "--")
        {
            raw.next();
            test_args = raw.map(ValueExt::string).collect::<Result<_, _>>()?;
            break;
        }
        match parser.next()? {
            None => break,
            Some(Short('h') | Long("help")) => return Ok(None),
            Some(Long("only")) => selection.only(parser.value()?.string()?),
            Some(Long("skip")) => selection.skip(parser.value()?.string()?),
            Some(Value(name)) if command.is_none() => {
                command = Some(match name.string()?.as_str() {
                    "test" => Command::Test,
                    "ci" => Command::Ci,
                    other => return Err(format!("there is no command `{other}`").into()),
                });
            }
            Some(other) => return Err(other.unexpected()),
        }
    }
    Ok(command.map(|command| Request { command, selection, test_args }))
}

/// Steps run at the root of the workspace, wherever the user stands.
fn enter_workspace() -> Result<(), Error> {
    // Cargo sets the variable for what it runs; the constant serves who starts the program by itself.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("..");
    std::env::set_current_dir(&root)
        .map_err(|source| Error::Root { path: root.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Option<Request>, lexopt::Error> {
        parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn what_follows_the_dashes_goes_to_the_tests() {
        let request = parsed(&["test", "--skip", "test/example-failover", "--", "--nocapture", "--only"])
            .expect("valid")
            .expect("a request");
        assert_eq!(request.command, Command::Test);
        assert_eq!(request.test_args, ["--nocapture", "--only"]);
    }

    #[test]
    fn nothing_and_help_are_answered_with_help() {
        assert!(parsed(&[]).expect("valid").is_none());
        assert!(parsed(&["ci", "--help"]).expect("valid").is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for args in
            [&["tset"][..], &["ci", "extra"], &["ci", "--only"], &["ci", "--", "x"], &["ci", "--fast"]]
        {
            assert!(parsed(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn help_names_every_step() {
        for step in ci::steps(&Metadata::default()) {
            assert!(HELP.contains(&format!("\n  {} ", step.name())), "`{}` is missing", step.name());
        }
    }
}

//! `cargo xtask sim`: see `args.rs` for how to use it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use lb_sim::args::{Args, HELP, parse};
use lb_sim::scenario::{Scenario, list, load};
use lb_sim::strategies::{Entrant, entrants};
use lb_sim::{check, lab, report, theory};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");

fn main() -> ExitCode {
    let args = match parse(lexopt::Parser::from_env()) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("sim: {error} (see `cargo xtask sim --help`)");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// `Ok(false)`: something did not come out as it must.
fn run(args: &Args) -> Result<bool, String> {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if args.validate {
        return Ok(validate(args.seed, threads));
    }
    let scenarios = scenarios(args)?;
    if args.list {
        for (scenario, _) in &scenarios {
            println!("{:<32} {}", scenario.name, scenario.title);
        }
        return Ok(true);
    }
    let results = simulate(&scenarios, args.seed, threads)?;
    for result in &results {
        println!("{}", report::table(result));
    }
    let paths = report::write(&args.out, &results, args.seed)
        .map_err(|error| format!("cannot write to {}: {error}", args.out.display()))?;
    for path in paths {
        println!("written: {}", path.display());
    }
    Ok(!args.check || passed(&scenarios, &results))
}

fn scenarios(args: &Args) -> Result<Vec<(Scenario, Vec<Entrant>)>, String> {
    let directory = Path::new(SCENARIOS);
    let names = if args.scenarios.is_empty() {
        list(directory).map_err(|error| error.to_string())?
    } else {
        args.scenarios.clone()
    };
    let mut scenarios = Vec::new();
    for name in names {
        for scenario in load(directory, &name).map_err(|error| error.to_string())? {
            let scenario = if args.quick { scenario.quick() } else { scenario };
            let entrants = entrants(&scenario, &args.strategies)
                .map_err(|problem| format!("scenario `{}`: {problem}", scenario.name))?;
            scenarios.push((scenario, entrants));
        }
    }
    let takes_part = |label: &String| scenarios.iter().any(|(_, all)| all.iter().any(|e| e.label == *label));
    if let Some(unknown) = args.strategies.iter().find(|label| !takes_part(label)) {
        let known = lb_strategies::BuiltInStrategies::names().join(", ");
        return Err(format!("no strategy `{unknown}` takes part; built-in are: {known}"));
    }
    scenarios.retain(|(_, entrants)| !entrants.is_empty());
    Ok(scenarios)
}

#[expect(clippy::disallowed_methods, reason = "tells a person how long it took")]
fn simulate(
    scenarios: &[(Scenario, Vec<Entrant>)],
    seed: u64,
    threads: usize,
) -> Result<Vec<lab::Result>, String> {
    let started = Instant::now();
    let runs: usize = scenarios.iter().map(|(_, entrants)| entrants.len()).sum();
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or(ProgressStyle::default_bar());
    let bar = ProgressBar::new(runs as u64).with_style(style);
    let results = lab::run_all(scenarios, seed, threads, &|scenario, strategy| {
        bar.set_message(format!("{scenario}, {strategy}"));
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let summaries = || results.iter().flat_map(|result| &result.summaries);
    let (events, picks) = summaries().fold((0, 0), |(e, p), summary| (e + summary.events, p + summary.picks));
    let took = started.elapsed().as_secs_f64();
    eprintln!(
        "{runs} runs, {picks} picks, {events} events in {took:.1} s on {threads} threads: {:.1} million events a second",
        events as f64 / took / 1e6
    );
    Ok(results)
}

fn passed(scenarios: &[(Scenario, Vec<Entrant>)], results: &[lab::Result]) -> bool {
    let mut failed = 0;
    let mut count = 0;
    println!("\nWhat must come out:");
    for ((scenario, _), result) in scenarios.iter().zip(results) {
        for verdict in check::check(scenario, result) {
            println!(
                "{} {}: {}",
                if verdict.ok { "ok    " } else { "FAILED" },
                verdict.scenario,
                verdict.what
            );
            count += 1;
            failed += usize::from(!verdict.ok);
        }
    }
    println!("{} of {count} came out", count - failed);
    failed == 0
}

fn validate(seed: u64, threads: usize) -> bool {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or(ProgressStyle::default_bar());
    let cases = theory::cases(theory::Length::Full);
    let bar = ProgressBar::new(cases.len() as u64).with_style(style);
    let comparisons = theory::compare(&cases, seed, threads, &|name| {
        bar.set_message(name.to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    for comparison in &comparisons {
        println!("{comparison}");
    }
    comparisons.iter().all(theory::Comparison::holds)
}

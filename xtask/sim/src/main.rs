//! `cargo xtask sim`: see `args.rs` for how to use it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use lb_sim::args::{Args, HELP, parse};
use lb_sim::scenario::{Scenario, list, load};
use lb_sim::strategies::{Entrant, QUICK, entrants};
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
    if !args.check {
        return Ok(true);
    }
    let runs = simulate_again(&scenarios, &results, args, threads)?;
    Ok(passed(&scenarios, &runs, args.quick))
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
            if args.quick && scenario.heavy && args.scenarios.is_empty() {
                continue;
            }
            let scenario = if args.quick { scenario.quick() } else { scenario };
            let mut entrants = entrants(&scenario, &args.strategies)
                .map_err(|problem| format!("scenario `{}`: {problem}", scenario.name))?;
            if args.quick && args.strategies.is_empty() {
                let of_note = |entrant: &Entrant| QUICK.contains(&&*entrant.label);
                entrants.retain(of_note);
            }
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
    let bar = bar(runs);
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

/// Those who may be the best once more, and again, until it is known who is.
fn simulate_again(
    scenarios: &[(Scenario, Vec<Entrant>)],
    first: &[lab::Result],
    args: &Args,
    threads: usize,
) -> Result<Vec<Vec<lab::Result>>, String> {
    let close: Vec<_> = scenarios
        .iter()
        .zip(first)
        .map(|((scenario, entrants), result)| {
            (scenario.clone(), check::contenders(scenario, entrants, result))
        })
        .collect();
    let runs = |place: usize| -> u32 {
        let scenario = &close[place].0;
        match args.runs {
            Some(runs) => runs,
            None if args.quick => scenario.runs.min(QUICK_RUNS),
            None => scenario.runs,
        }
    };
    let more: usize = (0..close.len()).map(|place| (runs(place) as usize - 1) * close[place].1.len()).sum();
    let bar = bar(more);
    let results = lab::run_again(&close, first, &runs, args.seed, threads, &|scenario, strategy| {
        bar.set_message(format!("{scenario}, {strategy}"));
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    eprintln!("{more} runs of those that may be the best, with further seeds");
    Ok(results)
}

/// Most runs of a scenario that a quick check makes.
const QUICK_RUNS: u32 = 3;

fn bar(len: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(len as u64).with_style(style)
}

/// `lenient`: what is unclear is told, and passes.
fn passed(scenarios: &[(Scenario, Vec<Entrant>)], runs: &[Vec<lab::Result>], lenient: bool) -> bool {
    println!("\nWhat must come out:");
    let mut count = [0; 3];
    for ((scenario, _), runs) in scenarios.iter().zip(runs) {
        let runs: Vec<_> = runs.iter().collect();
        for verdict in check::check(scenario, &runs) {
            println!("{} {}: {}", verdict.outcome.as_str(), verdict.scenario, verdict.what);
            count[verdict.outcome as usize] += 1;
        }
    }
    let [holds, unclear, fails] = count;
    println!("{holds} hold, {unclear} are unclear, {fails} fail");
    fails == 0 && (lenient || unclear == 0)
}

fn validate(seed: u64, threads: usize) -> bool {
    let cases = theory::cases(theory::Length::Full);
    let bar = bar(cases.len());
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

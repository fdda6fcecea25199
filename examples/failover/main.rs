//! Chat requests to several vendors of one model, through a load balancer that fails over between them.
//!
//! `cargo run --release --example failover` needs nothing but this machine; `-- --help` tells how to use it with your own
//! endpoints. To see what it takes to use the library, read `ways/balanced.rs`, then `vendor.rs` (the type that is
//! balanced over) and `chat_error.rs` (what a failure means).

mod answers;
mod args;
mod chat_error;
mod complaints;
mod demo;
mod drive;
mod events;
mod key;
mod mock;
mod outcome;
mod own;
mod problem;
mod progress;
mod prompts;
mod reply;
mod report;
mod rests;
mod sse;
mod tally;
mod vendor;
mod vendors_file;
mod ways;

use std::path::Path;
use std::process::ExitCode;

use problem::Problem;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("failover: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Whether every request was answered.
async fn run() -> Result<bool, Problem> {
    let args = args::parse(lexopt::Parser::from_env())?;
    if args.help {
        print!("{}", args::HELP);
        return Ok(true);
    }
    let prompts = prompts::read(args.prompts.as_deref().unwrap_or(Path::new(prompts::BUNDLED)))?;
    match &args.vendors {
        Some(vendors) => own::run(&args, vendors, prompts).await,
        None => demo::run(&args, prompts).await,
    }
}

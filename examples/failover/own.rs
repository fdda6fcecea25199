//! The user's own endpoints and prompts, through the library.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loadbalance::decide::RestReason;
use loadbalance::prelude::*;
use reqwest::Client;

use crate::answers::Answers;
use crate::args::Args;
use crate::complaints::Complaints;
use crate::drive::{Pace, drive};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::prompts::Prompt;
use crate::rests::Rests;
use crate::tally::Tally;
use crate::ways::{Balanced, SERVICE};
use crate::{report, vendors_file};

/// Sends the prompts. Whether every request was answered.
pub(crate) async fn run(args: &Args, vendors: &Path, prompts: Vec<Prompt>) -> Result<bool, Problem> {
    let timeout = args.timeout.unwrap_or(Duration::from_secs(60));
    let client = Client::builder().connect_timeout(Duration::from_secs(10)).build();
    let client = client.map_err(|error| Problem::new(format!("cannot set up the HTTP client: {error}")))?;
    let vendors = vendors_file::read(vendors, &client, timeout)?;
    let ids: Vec<_> = vendors.iter().map(|vendor| vendor.id.clone()).collect();
    let mut answers = Answers::create(args.out.as_deref(), prompts.len())?;

    let config = config(timeout).map_err(|error| Problem::new(format!("--timeout: {error}")))?;
    let pace = Pace {
        requests: args.requests.unwrap_or(prompts.len()),
        concurrency: args.concurrency.unwrap_or(16),
        rate: args.rate,
    };
    println!("{} requests to {}", pace.requests, ids.join(", "));
    let progress = Progress::new("requests", pace.requests);
    let way = Balanced::new(vendors, config, Complaints::new(progress.notes())).await?;
    let rests = Rests::watch(&way);
    let mut tally = Tally::default();
    let request = |index: usize| {
        let (way, prompt) = (way.clone(), prompts[index % prompts.len()].clone());
        async move { way.ask(index, &prompt).await }
    };
    let work = drive(
        pace,
        request,
        async |_| {},
        |outcome| {
            progress.add(&outcome);
            tally.add(&outcome);
            answers.write(&outcome)
        },
    );
    let elapsed = tokio::select! {
        elapsed = work => elapsed?,
        () = all_set_aside(&way) => return Err(no_vendor_left(&way)),
    };
    drop(progress);
    print(&tally, &ids, &rests.times(), elapsed);
    Ok(tally.lost() == 0)
}

/// Returns when every vendor has said that it cannot serve. The balancer would wait and ask again, for a service that
/// runs for weeks; whoever sits before this program would rather put the keys right.
async fn all_set_aside(way: &Balanced) {
    let set_aside = || {
        let instances = way.balancer.stats(SERVICE)?.instances;
        Some(instances.iter().all(|instance| instance.rest_reason == Some(RestReason::Unusable)))
    };
    while set_aside() != Some(true) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn no_vendor_left(way: &Balanced) -> Problem {
    let about = way.complaints.lines();
    Problem::new(format!(
        "no vendor can be used; put right their keys, accounts, addresses or models:\n{about}"
    ))
}

/// Answers of language models take their time; everything else is the library's default, or close to it.
fn config(timeout: Duration) -> Result<ServiceConfig, loadbalance::ConfigError> {
    ServiceConfig::builder()
        .attempt_timeout(timeout)
        .deadline(timeout * 5)
        .max_retries(20)
        .retry_delay(Duration::from_secs(1))
        .retry_backoff(1.5)
        // Quotas are often per minute, and all of them may be used up at once.
        .max_wait(Duration::from_secs(90))
        .build()
}

fn print(tally: &Tally, ids: &[String], rests: &BTreeMap<Arc<str>, Duration>, elapsed: Duration) {
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    println!("\n{}", report::vendors(tally, &ids, rests));
    println!("{}", report::ways(&[("all requests", tally)]));
    println!("took {:.1} s", elapsed.as_secs_f64());
    report::losses(tally);
}

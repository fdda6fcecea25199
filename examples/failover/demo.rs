//! Six vendors on loopback ports, and three ways to use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use loadbalance::prelude::*;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answers::Answers;
use crate::args::Args;
use crate::complaints::Complaints;
use crate::drive::{Pace, drive};
use crate::events::Events;
use crate::mock::{Fleet, seventh, six};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::progress::Progress;
use crate::prompts::Prompt;
use crate::report;
use crate::rests::Rests;
use crate::tally::Tally;
use crate::ways::{Balanced, Naive, OneVendor};

/// What the three runs have in common.
struct Demo {
    pace: Pace,
    /// In which the vendors' troubles recur.
    cycle: Duration,
    timeout: Duration,
    client: Client,
    prompts: Arc<[Prompt]>,
}

/// Far more than the loop has, so that a busy machine cannot lose a request; the report says how many were needed.
const RETRIES: u32 = 100;

/// Runs all three. Whether the library answered every request.
pub(crate) async fn run(args: &Args, prompts: Vec<Prompt>) -> Result<bool, Problem> {
    let demo = Demo::new(args, prompts)?;
    demo.introduce();
    let mut answers = Answers::create(args.out.as_deref(), demo.prompts.len())?;
    let one = demo.one_vendor().await?;
    let naive = demo.naive().await?;
    let (balanced, rests) = demo.balanced(&mut answers).await?;

    let ids: Vec<_> = six(demo.cycle).into_iter().chain([seventh()]).map(|role| role.id).collect();
    println!("\nThis library, vendor by vendor:\n{}", report::vendors(&balanced, &ids, &rests));
    let naive_name = format!("naive round robin, {} tries", Naive::TRIES);
    let ways =
        [("one vendor, no balancer *", &one), (naive_name.as_str(), &naive), ("this library", &balanced)];
    println!("\n{}", report::ways(&ways));
    let rates = ids.iter().filter_map(|id| Some((id, one.vendors.get(*id)?.success_rate())));
    let rates: Vec<_> = rates.map(|(id, rate)| format!("{id} {:.0} %", rate * 100.0)).collect();
    println!("* a sixth of the requests to each, one try; success by vendor: {}", rates.join(", "));
    println!("  p50 and p99 are of answered requests, from the first try to the end of the answer.");
    let (loop_tries, most) = (Naive::TRIES, balanced.most_calls);
    println!(
        "  Not equal: the loop has {loop_tries} tries, the library {}, of which no request took more than {most};",
        RETRIES + 1
    );
    println!("  and only the library has a registry, which tells it of the newcomer and of the maintenance.");
    report::losses(&balanced);
    Ok(balanced.lost() == 0)
}

impl Demo {
    fn new(args: &Args, prompts: Vec<Prompt>) -> Result<Self, Problem> {
        let millis = Duration::from_millis;
        let (requests, rate, cycle) =
            if args.smoke { (200, 200.0, millis(400)) } else { (2400, 300.0, millis(2000)) };
        let pace = Pace {
            requests: args.requests.unwrap_or(requests),
            concurrency: args.concurrency.unwrap_or(96),
            rate: args.rate.or(Some(rate)),
        };
        // A proxy from the environment has no business with loopback addresses. Few idle connections, because clients
        // and vendors are one process, and some systems grant it no more than 256 files.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(4).build();
        let client =
            client.map_err(|error| Problem::new(format!("cannot set up the HTTP client: {error}")))?;
        let timeout = args.timeout.unwrap_or(Duration::from_secs(1));
        Ok(Self { pace, cycle, timeout, client, prompts: prompts.into() })
    }

    fn introduce(&self) {
        let Pace { requests, concurrency, rate } = self.pace;
        let rate = rate.map_or(String::new(), |rate| format!(" at {rate}/s"));
        println!("{requests} chat requests{rate}, at most {concurrency} at a time, to vendors on 127.0.0.1:");
        for role in six(self.cycle).into_iter().chain([seventh()]) {
            println!("  {role}");
        }
        println!("Three ways to send them, each to freshly started vendors with the same troubles.\n");
    }

    async fn fleet(&self) -> Result<Fleet, Problem> {
        Fleet::start(self.cycle).await.map_err(|error| {
            Problem::new(format!("cannot listen on a port of 127.0.0.1: {error}; is loopback allowed here?"))
        })
    }

    fn prompt(&self, index: usize) -> Prompt {
        self.prompts[index % self.prompts.len()].clone()
    }

    async fn one_vendor(&self) -> Result<Tally, Problem> {
        let fleet = self.fleet().await?;
        let vendors = fleet.six(&self.client, self.timeout);
        let way = Arc::new(OneVendor { vendors, timeout: self.timeout });
        let request = |index| {
            let (way, prompt) = (Arc::clone(&way), self.prompt(index));
            async move { way.ask(index, &prompt).await }
        };
        self.without_balancer("one vendor, no balancer", &fleet, request).await
    }

    async fn naive(&self) -> Result<Tally, Problem> {
        let fleet = self.fleet().await?;
        let vendors = fleet.six(&self.client, self.timeout);
        let way = Arc::new(Naive { vendors, timeout: self.timeout, next: AtomicUsize::new(0) });
        let request = |index| {
            let (way, prompt) = (Arc::clone(&way), self.prompt(index));
            async move { way.ask(index, &prompt).await }
        };
        self.without_balancer("naive round robin", &fleet, request).await
    }

    /// Without a registry nobody learns of the vendor that joins, and the one that goes into maintenance is simply
    /// gone.
    async fn without_balancer<F>(
        &self,
        title: &'static str,
        fleet: &Fleet,
        request: impl Fn(usize) -> F,
    ) -> Result<Tally, Problem>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let progress = Progress::new(title, self.pace.requests);
        let mut tally = Tally::default();
        let before = async |index| {
            if index == self.pace.requests / 2 {
                fleet.switch_off();
            }
        };
        drive(self.pace, request, before, |outcome| {
            progress.add(&outcome);
            tally.add(&outcome);
            Ok::<(), Problem>(())
        })
        .await?;
        Ok(tally)
    }

    async fn balanced(
        &self,
        answers: &mut Answers,
    ) -> Result<(Tally, BTreeMap<Arc<str>, Duration>), Problem> {
        let fleet = Arc::new(self.fleet().await?);
        let vendors = fleet.six(&self.client, self.timeout);
        let progress = Progress::new("this library", self.pace.requests);
        let complaints = Complaints::new(progress.notes());
        let way = Balanced::new(vendors, self.config()?, complaints).await?;
        let rests = Rests::watch(&way);
        let mut tally = Tally::default();
        let request = |index| {
            let (way, prompt) = (way.clone(), self.prompt(index));
            async move { way.ask(index, &prompt).await }
        };
        let (way, notes, started) = (way.clone(), progress.notes(), Instant::now());
        let events = Events { way, fleet: Arc::clone(&fleet), notes, started };
        let mut happening = JoinSet::new();
        let before = async |index| {
            if index == self.pace.requests / 3 {
                let (events, newcomer) = (events.clone(), fleet.seventh(&self.client, self.timeout));
                happening.spawn(async move { events.join(newcomer).await });
            } else if index == self.pace.requests / 2 {
                happening.spawn(events.clone().maintain());
            }
        };
        drive(self.pace, request, before, |outcome| {
            progress.add(&outcome);
            tally.add(&outcome);
            answers.write(&outcome)
        })
        .await?;
        happening.join_all().await.into_iter().collect::<Result<(), _>>()?;
        Ok((tally, rests.times()))
    }

    /// The service's configuration, as an operator would set it in the registry.
    fn config(&self) -> Result<ServiceConfig, Problem> {
        let second = Duration::from_secs(1);
        ServiceConfig::builder()
            .attempt_timeout(self.timeout)
            // Generous, because a machine that is busy with something else must not look like a lost request.
            .deadline(60 * second.max(self.timeout))
            .max_retries(RETRIES)
            .retry_delay(second / 10)
            .retry_backoff(1.5)
            .max_retry_delay(2 * second)
            .build()
            .map_err(|error| Problem::new(error.to_string()))
    }
}

//! The same through this library. This is the file to read first.

use std::error::Error as _;

use loadbalance::prelude::*;
use loadbalance::{Attempt, RegistryError, Traced};
use tokio::time::Instant;

use crate::chat_error::ChatError;
use crate::complaints::Complaints;
use crate::outcome::{Call, Outcome};
use crate::prompts::Prompt;
use crate::reply::Reply;
use crate::vendor::Vendor;

/// The name under which the vendors are registered.
pub(crate) const SERVICE: &str = "chat";

/// How often a request is begun anew because its streamed answer broke off in the middle. Only the application can
/// know whether it may be: by then somebody could have read half of it.
const BEGINNINGS: u32 = 5;

/// Vendors behind a balancer.
#[derive(Clone, Debug)]
pub(crate) struct Balanced {
    pub(crate) registry: MemoryRegistry<Vendor>,
    pub(crate) balancer: LoadBalancer<Vendor>,
    pub(crate) complaints: Complaints,
}

impl Balanced {
    pub(crate) async fn new(
        vendors: Vec<Vendor>,
        config: ServiceConfig,
        complaints: Complaints,
    ) -> Result<Self, RegistryError> {
        let registry = MemoryRegistry::new();
        registry.set_config(SERVICE, config).await?;
        for vendor in vendors {
            registry.register(SERVICE, vendor).await?;
        }
        let balancer = LoadBalancer::new(registry.clone());
        Ok(Self { registry, balancer, complaints })
    }

    pub(crate) async fn ask(&self, index: usize, prompt: &Prompt) -> Outcome {
        let started = Instant::now();
        let mut calls = Vec::new();
        let mut answer = Err(String::new());
        for _ in 0..BEGINNINGS {
            answer = match self.begin(prompt).await {
                Ok(Traced { value: (reply, vendor), trail, .. }) => {
                    calls.extend(trail.iter().map(call));
                    let begun = Instant::now();
                    // `vendor` lives until the stream has ended: so long the request counts as in flight.
                    let finished = reply.finish().await;
                    if let Some(last) = calls.last_mut() {
                        last.elapsed += begun.elapsed();
                        last.failure = finished.as_ref().err().map(|error| error.classify().kind());
                    }
                    match finished {
                        Ok(answer) => {
                            answer.tokens.inspect(|tokens| vendor.settle(*tokens));
                            Ok(answer.text)
                        }
                        Err(error) => {
                            vendor.fail(error.classify());
                            Err(error.to_string())
                        }
                    }
                }
                Err(error) => {
                    calls.extend(error.attempts().iter().map(call));
                    let answer = Err(explained(&error));
                    return Outcome { index, calls, elapsed: started.elapsed(), answer };
                }
            };
            if answer.is_ok() {
                break;
            }
        }
        Outcome { index, calls, elapsed: started.elapsed(), answer }
    }

    /// Up to the first piece of the answer. If a vendor fails before that, the balancer goes to the next.
    async fn begin(&self, prompt: &Prompt) -> Result<Traced<(Reply, Picked<Vendor>)>, Error<ChatError>> {
        let options = CallOptions::new().cost(prompt.estimated_tokens());
        self.balancer
            .execute_traced(SERVICE, options, async |vendor: Picked<Vendor>| {
                let reply = vendor.chat(prompt).await;
                let reply = reply.inspect_err(|error| self.complaints.note(vendor.id(), error))?;
                vendor.first_byte();
                Ok((reply, vendor))
            })
            .await
    }
}

fn call(attempt: &Attempt) -> Call {
    Call {
        vendor: attempt.instance.clone(),
        failure: attempt.failure.map(|failure| failure.kind()),
        elapsed: attempt.elapsed,
    }
}

/// The library's sentence and the vendor's own.
fn explained(error: &Error<ChatError>) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

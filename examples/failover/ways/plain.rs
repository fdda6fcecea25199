//! What people write without a balancer: one vendor, or a loop over several.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loadbalance::prelude::*;
use tokio::time::{Instant, timeout};

use crate::chat_error::ChatError;
use crate::outcome::{Call, Outcome};
use crate::prompts::Prompt;
use crate::vendor::Vendor;

/// Every request has one vendor and one try. Each vendor gets its share of the requests, so that the whole is what one
/// can expect of a vendor chosen blindly.
#[derive(Debug)]
pub(crate) struct OneVendor {
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) timeout: Duration,
}

impl OneVendor {
    pub(crate) async fn ask(&self, index: usize, prompt: &Prompt) -> Outcome {
        let started = Instant::now();
        let (call, answer) = one_call(&self.vendors[index % self.vendors.len()], prompt, self.timeout).await;
        let answer = answer.map_err(|error| error.to_string());
        Outcome { index, calls: vec![call], elapsed: started.elapsed(), answer }
    }
}

/// The loop that everybody writes first: the next vendor in turn, and on an error the one after it.
#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) timeout: Duration,
    pub(crate) next: AtomicUsize,
}

impl Naive {
    /// As many as the SDKs of the vendors make.
    pub(crate) const TRIES: u32 = 3;
    const PAUSE: Duration = Duration::from_millis(100);

    pub(crate) async fn ask(&self, index: usize, prompt: &Prompt) -> Outcome {
        let started = Instant::now();
        let mut calls = Vec::new();
        loop {
            let vendor = &self.vendors[self.next.fetch_add(1, Ordering::Relaxed) % self.vendors.len()];
            let (call, answer) = one_call(vendor, prompt, self.timeout).await;
            calls.push(call);
            let tries = calls.len() as u32;
            if answer.is_ok() || tries == Self::TRIES {
                let answer = answer.map_err(|error| error.to_string());
                return Outcome { index, calls, elapsed: started.elapsed(), answer };
            }
            tokio::time::sleep(Self::PAUSE * tries).await;
        }
    }
}

async fn one_call(vendor: &Vendor, prompt: &Prompt, limit: Duration) -> (Call, Result<String, ChatError>) {
    let started = Instant::now();
    let answer = match timeout(limit, vendor.chat(prompt)).await {
        Ok(Ok(reply)) => reply.finish().await.map(|answer| answer.text),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ChatError::TimedOut),
    };
    let failure = answer.as_ref().err().map(|error| error.classify().kind());
    (Call { vendor: Arc::from(vendor.id()), failure, elapsed: started.elapsed() }, answer)
}

//! Answers questions with a language model that several accounts can serve.

use std::fmt;
use std::time::Duration;

use loadbalance::prelude::*;

/// How to talk to one account. A trait, so that tests need no network.
pub trait Api: Send + Sync + 'static {
    fn complete(&self, prompt: &str) -> impl Future<Output = Result<String, ApiError>> + Send;
}

/// One account at one vendor: an instance of the service.
pub struct Account<A> {
    pub name: String,
    pub api: A,
}

impl<A: Api> ServiceInstance for Account<A> {
    fn id(&self) -> &str {
        &self.name
    }
}

/// What a vendor said instead of an answer.
#[derive(Debug)]
pub enum ApiError {
    Connect,
    Status { code: u16, retry_after: Option<Duration> },
}

impl Classify for ApiError {
    fn classify(&self) -> Failure {
        let (code, retry_after) = match *self {
            Self::Connect => return Failure::unreachable(),
            Self::Status { code, retry_after } => (code, retry_after),
        };
        let failure = match code {
            429 => Failure::limit_exceeded(),
            401..=403 => Failure::unusable(),
            408 | 504 => Failure::timeout(),
            500.. => Failure::service(),
            _ => Failure::rejected(),
        };
        match retry_after {
            Some(after) => failure.with_retry_after(after),
            None => failure,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("cannot connect"),
            Self::Status { code, .. } => write!(f, "status {code}"),
        }
    }
}

impl std::error::Error for ApiError {}

/// What the rest of the program uses. It does not know how many accounts there are.
pub struct Assistant<A: Api> {
    lb: LoadBalancer<Account<A>>,
}

impl<A: Api> Assistant<A> {
    pub fn new(lb: LoadBalancer<Account<A>>) -> Self {
        Self { lb }
    }

    pub async fn answer(&self, question: &str) -> Result<String, Error<ApiError>> {
        let options = CallOptions::new().max_retries(5).deadline(Duration::from_secs(60));
        self.lb.execute_with("qwen-max", options, async |account| account.api.complete(question).await).await
    }
}

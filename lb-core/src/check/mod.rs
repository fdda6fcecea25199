//! Active health checks: asking instances whether they are well, beside what requests show.
//!
//! Requests find a fault only by failing. A check finds it without, and finds out that an instance has recovered
//! without risking a request. It costs connections: N clients × M instances every interval.

mod schedule;
mod tcp;

use std::fmt;

use async_trait::async_trait;

pub(crate) use schedule::Schedule;
pub use tcp::TcpConnect;

/// Asks one instance whether it is well. Given to [`Builder::health_check`](crate::Builder::health_check); how often it
/// is asked, and how many answers it takes, is the service's [`HealthCheckConfig`](crate::HealthCheckConfig).
///
/// A check runs in a task of its own. It is dropped when its `timeout` is over, which counts as failed, as does a panic.
///
/// ```
/// use async_trait::async_trait;
/// use lb_core::{CheckFailed, HealthCheck, Instance};
///
/// /// Well is who answers a request for its health with 200.
/// struct Http(HttpClient);
///
/// #[async_trait]
/// impl HealthCheck<Instance> for Http {
///     async fn check(&self, service: &str, instance: &Instance) -> Result<(), CheckFailed> {
///         let address = instance.address.as_deref().unwrap_or_default();
///         match self.0.get(&format!("http://{address}/healthz")).await {
///             200 => Ok(()),
///             status => Err(CheckFailed::new(format!("status {status}"))),
///         }
///     }
/// }
/// # struct HttpClient;
/// # impl HttpClient { async fn get(&self, _: &str) -> u16 { 200 } }
/// ```
#[async_trait]
pub trait HealthCheck<I>: Send + Sync + 'static {
    /// Whether the instance is well.
    async fn check(&self, service: &str, instance: &I) -> Result<(), CheckFailed>;
}

/// Why an instance is not well. The text goes to the log: no secrets in it.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckFailed(String);

impl CheckFailed {
    /// For this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl<E: std::error::Error> From<E> for CheckFailed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CheckFailed").field(&self.0).finish()
    }
}

//! Asking a member how busy it is: [`Probe`].

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lb_core::CheckFailed;
use lb_core::strategy::Member;

/// Asks one instance how busy it is. Given to [`Prequal::with_probe`](super::Prequal::with_probe).
///
/// Every `Fn(ProbeTarget<I>) -> Future<Output = Result<ProbeReport, E>>` is one, if `E` is an error, or is
/// [`CheckFailed`]. The server's side of it is a number that it keeps anyway, behind an address that costs it next to
/// nothing: it is asked three times per request.
///
/// A probe runs in a task of its own. It is dropped when it takes longer than its answer would be of use (`probe_max_age`),
/// and when the service is let go or its strategy replaced. Who fails, takes too long or panics is not heard of: there is
/// no answer of it in the pool, which is not held against it.
///
/// ```
/// use async_trait::async_trait;
/// use lb_core::{CheckFailed, Instance};
/// use lb_strategies::{Prequal, Probe, ProbeReport, ProbeTarget};
///
/// struct Http(HttpClient);
///
/// #[async_trait]
/// impl Probe<Instance> for Http {
///     async fn probe(&self, server: ProbeTarget<Instance>) -> Result<ProbeReport, CheckFailed> {
///         let address = server.address.as_deref().unwrap_or_default();
///         let (in_flight, latency) = self.0.get(&format!("http://{address}/load")).await?;
///         Ok(ProbeReport::new(in_flight, latency))
///     }
/// }
/// # struct HttpClient;
/// # impl HttpClient {
/// #     async fn get(&self, _: &str) -> Result<(u64, std::time::Duration), std::io::Error> {
/// #         Ok((3, std::time::Duration::from_millis(2)))
/// #     }
/// # }
/// let strategy = Prequal::new().with_probe(Http(HttpClient));
/// ```
#[async_trait]
pub trait Probe<I>: Send + Sync + 'static {
    /// What the instance says.
    async fn probe(&self, server: ProbeTarget<I>) -> Result<ProbeReport, CheckFailed>;
}

#[async_trait]
impl<I, F, Fut, E> Probe<I> for F
where
    I: Send + Sync + 'static,
    F: Fn(ProbeTarget<I>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<ProbeReport, E>> + Send + 'static,
    E: Into<CheckFailed> + 'static,
{
    async fn probe(&self, server: ProbeTarget<I>) -> Result<ProbeReport, CheckFailed> {
        let answer = self(server);
        answer.await.map_err(Into::into)
    }
}

/// What an instance says of itself when it is [probed](Probe).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeReport {
    /// Requests that the server has at the moment, of all clients. More than 65,535 counts as that.
    pub in_flight: u64,
    /// What a request that came in now would take: the paper has servers answer with the median latency of those recent
    /// requests that began when about as many were in flight as now.
    pub latency: Duration,
}

impl ProbeReport {
    /// A server with so many requests, of which each takes so long.
    pub const fn new(in_flight: u64, latency: Duration) -> Self {
        Self { in_flight, latency }
    }
}

/// Who is [probed](Probe). Derefs to the instance.
pub struct ProbeTarget<I>(Arc<Member<I>>);

impl<I> ProbeTarget<I> {
    pub(super) const fn new(member: Arc<Member<I>>) -> Self {
        Self(member)
    }

    /// The service.
    pub fn service(&self) -> &str {
        self.0.service()
    }
}

impl<I> Deref for ProbeTarget<I> {
    type Target = I;

    fn deref(&self) -> &I {
        self.0.instance()
    }
}

impl<I> fmt::Debug for ProbeTarget<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProbeTarget").field(self.0.id()).finish()
    }
}

//! [`LoadBalancer`]: the front door.

use std::fmt;
use std::sync::Arc;

use super::builder::Builder;
use super::call::Call;
use super::clock::EngineClock;
use super::directory::Directory;
use super::picked::Picked;
use super::random::Random;
use super::service::Service;
use super::target::Target;
use crate::error::{Error, PickError};
use crate::failure::{ByError, Classifier};
use crate::instance::ServiceInstance;
use crate::options::CallOptions;
use crate::pool::ServiceStats;
use crate::registry::ServiceRegistry;
use crate::trail::Trail;

/// Picks an instance of a service, runs your closure on it, learns from the outcome, and goes elsewhere when that
/// instance could not serve.
///
/// Make one per registry and share it: what it has learned is its own. `Clone` (one reference count), `Send`, `Sync`.
/// Its methods need a tokio runtime with time enabled. There is one background task per service in use, which follows
/// the registry; dropping the last clone ends them all.
///
/// ```
/// use lb_core::{CallOptions, Error, Instance, LoadBalancer, RequestError, ServiceRegistry};
///
/// async fn ask(registry: impl ServiceRegistry<Instance>) -> Result<String, Error<RequestError>> {
///     let lb = LoadBalancer::new(registry);
///     lb.execute("qwen-max", async |to| send(&to, "hello").await).await?;
///
///     let options = CallOptions::new().max_retries(3);
///     let traced = lb.execute_traced("qwen-max", options, async |to| send(&to, "hello").await).await?;
///     println!("{}", traced.trail); // "a: limit_exceeded after 3ms, b: ok after 800ms"
///     Ok(traced.value)
/// }
///
/// async fn send(to: &Instance, body: &str) -> Result<String, RequestError> {
///     Ok(format!("{} got {body}", to.id))
/// }
/// ```
pub struct LoadBalancer<I: ServiceInstance> {
    inner: Arc<Inner<I>>,
}

pub(super) struct Inner<I> {
    pub(super) directory: Arc<Directory<I>>,
    pub(super) random: Random,
}

impl<I: ServiceInstance> Inner<I> {
    #[inline]
    pub(super) fn clock(&self) -> EngineClock {
        self.directory.clock()
    }
}

/// The options of a call that has none.
pub(super) static DEFAULTS: CallOptions = CallOptions::new();

/// A success and the attempts that led to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Traced<T> {
    /// What the closure returned.
    pub value: T,
    /// All attempts, the last of which succeeded.
    pub trail: Trail,
}

impl<I: ServiceInstance> LoadBalancer<I> {
    /// A balancer over the instances of `registry`, with round robin and the default configuration.
    pub fn new(registry: impl ServiceRegistry<I>) -> Self {
        Self::builder(registry).build()
    }

    /// A balancer of which something is to be different from the default.
    pub fn builder(registry: impl ServiceRegistry<I>) -> Builder<I> {
        Builder::new(registry)
    }

    pub(super) fn from_inner(inner: Inner<I>) -> Self {
        Self { inner: Arc::new(inner) }
    }

    #[inline]
    pub(super) fn inner(&self) -> &Inner<I> {
        &self.inner
    }

    #[inline]
    fn directory(&self) -> &Directory<I> {
        &self.inner.directory
    }

    /// Runs `f` on an instance of `service`, and on others if need be, until it works or the service's configuration
    /// says stop.
    ///
    /// `f` is called once per attempt with the instance that was picked; a failed attempt is dropped before the next
    /// begins. What its error means is asked of [`Classify`](crate::Classify). It runs in the task of the caller: the
    /// returned future is `Send` if the closure's is.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Each carries the attempts made and the last cause.
    ///
    /// # Cancellation
    ///
    /// Cancel-safe: dropping the future at any await leaves no trace but a cancelled attempt in the statistics. The
    /// same holds for a closure that panics.
    ///
    /// # Closures that do not compile
    ///
    /// Borrowing from outside works as `async |i| …` and as `|i| async move { … }`. Two forms do not:
    ///
    /// An async closure that *mutates* what it captures ("async closure does not implement `FnMut` because it captures
    /// state from its environment"): its future would hold the borrow while the next attempt needs it. Use a `Cell`,
    /// an atomic or a mutex:
    ///
    /// ```compile_fail
    /// # async fn f(lb: lb_core::LoadBalancer<lb_core::Instance>) {
    /// let mut attempts = 0;
    /// lb.execute("s", async |_| { attempts += 1; Ok::<_, lb_core::RequestError>(()) }).await;
    /// # }
    /// ```
    /// ```
    /// # async fn f(lb: lb_core::LoadBalancer<lb_core::Instance>) {
    /// let attempts = std::cell::Cell::new(0);
    /// let _ = lb.execute("s", async |_| { attempts.set(attempts.get() + 1); Ok::<_, lb_core::RequestError>(()) }).await;
    /// # }
    /// ```
    ///
    /// *Moving* an owned value into `async move` (E0507, "cannot move out of …, a captured variable in an `FnMut`
    /// closure"): there may be a second attempt, which needs it again. Borrow it, or clone it per attempt:
    ///
    /// ```compile_fail,E0507
    /// # async fn send(body: String) -> Result<(), lb_core::RequestError> { Ok(()) }
    /// # async fn f(lb: lb_core::LoadBalancer<lb_core::Instance>) {
    /// let body = String::new();
    /// lb.execute("s", |_| async move { send(body).await }).await;
    /// # }
    /// ```
    /// ```
    /// # async fn send(body: String) -> Result<(), lb_core::RequestError> { Ok(()) }
    /// # async fn f(lb: lb_core::LoadBalancer<lb_core::Instance>) {
    /// let body = String::new();
    /// let _ = lb.execute("s", |_| { let body = body.clone(); async move { send(body).await } }).await;
    /// # }
    /// ```
    pub async fn execute<T, E, F, Fut>(&self, service: &str, f: F) -> Result<T, Error<E>>
    where
        ByError: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call::new(&self.inner, Target::Name(service), &DEFAULTS).run(None, f).await
    }

    /// Like [`execute`](Self::execute), with options of this call. Errors and cancellation are the same.
    pub async fn execute_with<T, E, C, F, Fut>(
        &self,
        service: &str,
        options: CallOptions<C>,
        f: F,
    ) -> Result<T, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call::new(&self.inner, Target::Name(service), &options).run(None, f).await
    }

    /// Like [`execute_with`](Self::execute_with), and tells the attempts of a success, too. Reads the clock once more
    /// and allocates the trail. (An error has its attempts anyway.)
    pub async fn execute_traced<T, E, C, F, Fut>(
        &self,
        service: &str,
        options: CallOptions<C>,
        f: F,
    ) -> Result<Traced<T>, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut trail = Trail::default();
        let value = Call::new(&self.inner, Target::Name(service), &options).run(Some(&mut trail), f).await?;
        Ok(Traced { value, trail })
    }

    /// Picks an instance for a request that cannot be a closure: a proxy's, a long stream's. Waits for one as
    /// `execute` would; does not retry, and ends nothing: `attempt_timeout` and `deadline` are told by
    /// [`Picked::deadline`], for you to keep. Say how it ended with [`Picked::finish`] or [`Picked::fail`].
    ///
    /// ```
    /// use lb_core::{CallOptions, Failure, Instance, LoadBalancer, PickError};
    ///
    /// async fn forward(lb: &LoadBalancer<Instance>) -> Result<(), PickError> {
    ///     let picked = lb.pick("cart", &CallOptions::new()).await?;
    ///     match send(&picked).await {
    ///         Ok(()) => picked.finish(),
    ///         Err(()) => picked.fail(Failure::service()),
    ///     }
    ///     Ok(())
    /// }
    /// # async fn send(_: &Instance) -> Result<(), ()> { Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), but for those that an attempt leads to. Cancel-safe.
    pub async fn pick<C>(&self, service: &str, options: &CallOptions<C>) -> Result<Picked<I>, PickError> {
        self.call(service, options).pick().await
    }

    /// A handle on one service: calls through it save the look-up of the name. Does not ask the registry;
    /// the first call does. Keep it, else it saves nothing.
    pub fn service(&self, name: impl Into<Arc<str>>) -> Service<I> {
        Service::new(self.clone(), name.into())
    }

    /// What the balancer knows of a service; `None` if it has not been called yet or was let go for being idle.
    /// O(n log n) for n instances, and takes a lock that updates of the set take, too: for monitoring, not per call.
    pub fn stats(&self, service: &str) -> Option<ServiceStats> {
        self.directory().get(service).map(|found| found.served().stats())
    }

    /// Waits until an instance gets no requests any more (it drains, has weight 0, or was deregistered) and those that
    /// this balancer had given to it have ended. Until one of these is so it waits, too. Returns at once for an
    /// instance that this balancer does not know.
    ///
    /// So an operator's tool, or the instance's own process, takes an instance out without cutting anybody off:
    ///
    /// ```
    /// # use lb_core::{LoadBalancer, Instance, registry::Override};
    /// # async fn f(lb: LoadBalancer<Instance>) -> Result<(), lb_core::RegistryError> {
    /// lb.registry().set_override("s", "a", Override::drain()).await?;
    /// lb.drained("s", "a").await;
    /// // `a` can be stopped as far as this process is concerned.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel-safe. Costs a request nothing but the look at a flag.
    pub async fn drained(&self, service: &str, id: &str) {
        let Some(served) = self.directory().get(service).map(|found| Arc::clone(found.served())) else {
            return;
        };
        let waiting = self.directory().context().signal.wait();
        loop {
            // Before the look: whoever ends a request, or changes the set, from here on is heard.
            let news = waiting.notified();
            if served.pool().is_drained(id) {
                return;
            }
            news.await;
        }
    }

    /// Brings the gauges of all services up to date now, for who is about to read them; it happens every five seconds
    /// anyway. The metrics, with a feature of that name:
    ///
    #[doc = include_str!("../meters/table.md")]
    ///
    /// Install the recorder before the first call to a service: what a service counts with is looked up then. O(services
    /// × instances).
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.directory().all().iter().for_each(|served| served.publish());
    }

    /// The registry that the balancer reads.
    pub fn registry(&self) -> &Arc<dyn ServiceRegistry<I>> {
        self.directory().registry()
    }

    #[inline]
    fn call<'a, C>(&'a self, service: &'a str, options: &'a CallOptions<C>) -> Call<'a, I, C> {
        Call::new(&self.inner, Target::Name(service), options)
    }
}

impl<I: ServiceInstance> Clone for LoadBalancer<I> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<I: ServiceInstance> fmt::Debug for LoadBalancer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory().fmt_in(&mut f.debug_struct("LoadBalancer"))
    }
}

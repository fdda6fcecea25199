//! All members of the cluster, and who is asked: [`Pool`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::ConnectOptions;
use lb_core::RandomSource;
use tokio::time::Instant;

use super::error::{EtcdError, EtcdErrorKind};
use super::member::{Conn, Member};
use super::tls::Tls;

/// etcd closes connections that ping more often than every 5 s.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));
/// The pause after all members failed, before they are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The least time that an attempt is made for.
const LEAST: Duration = Duration::from_millis(200);

/// How to talk to etcd.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) user: Option<(String, String)>,
    pub(crate) tls: Option<Tls>,
    /// For making a connection.
    pub(crate) connect: Duration,
    /// For one request to one member.
    pub(crate) attempt: Duration,
    /// For one operation, other members included.
    pub(crate) request: Duration,
}

impl Settings {
    pub(super) fn options(&self, with_user: bool) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_connect_timeout(self.connect)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some((name, password)) = self.user.as_ref().filter(|_| with_user) {
            options = options.with_user(name, password);
        }
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.options());
        }
        options
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("user", &self.user.as_ref().map(|user| &user.0))
            .finish_non_exhaustive()
    }
}

/// An answer, and whether an earlier try whose outcome is not known may have been carried out, too.
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) repeated: bool,
}

/// One client per endpoint. Requests go to the one that answered last; if it does not, to the next.
pub(crate) struct Pool {
    members: Vec<Member>,
    /// The member that answered last.
    current: AtomicUsize,
    pub(crate) settings: Settings,
}

impl Pool {
    /// A pool of these endpoints; who is asked first is left to chance, so that a fleet spreads.
    pub(crate) fn new(
        endpoints: Vec<String>,
        settings: Settings,
        random: &dyn RandomSource,
    ) -> Result<Self, EtcdError> {
        let members: Vec<_> = endpoints.into_iter().map(checked).collect::<Result<_, _>>()?;
        if members.is_empty() {
            let message = "no endpoint is given; give one, such as http://127.0.0.1:2379";
            return Err(EtcdError::new("connect", "", EtcdErrorKind::Invalid, message));
        }
        let current = AtomicUsize::new(random.below(members.len()));
        Ok(Self { members, current, settings })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The member that answered last.
    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// The member after this one.
    pub(crate) fn after(&self, member: usize) -> usize {
        (member + 1) % self.members.len()
    }

    pub(crate) fn endpoint(&self, member: usize) -> &str {
        self.members[member].endpoint()
    }

    /// Says that `member` does not answer: others are asked first from now on.
    pub(crate) fn avoid(&self, member: usize) {
        let _ =
            self.current.compare_exchange(member, self.after(member), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// One request to one member.
    pub(crate) async fn on<T, Fut>(
        &self,
        member: usize,
        operation: &'static str,
        limit: Duration,
        call: impl FnOnce(Conn) -> Fut,
    ) -> Result<T, EtcdError>
    where
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.members[member].call(&self.settings, operation, limit, call).await
    }

    /// One request to whoever answers, within the time for an operation. Members that cannot answer are passed over;
    /// what a member refuses is refused.
    pub(crate) async fn anywhere<T, Fut>(
        &self,
        operation: &'static str,
        call: impl Fn(Conn) -> Fut,
    ) -> Result<Answer<T>, EtcdError>
    where
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let end = Instant::now() + self.settings.request;
        let mut member = self.current();
        let mut failed = 0;
        let mut repeated = false;
        loop {
            let limit = self.settings.attempt.min(end - Instant::now());
            let error = match self.on(member, operation, limit, &call).await {
                Ok(value) => {
                    self.current.store(member, Ordering::Relaxed);
                    return Ok(Answer { value, repeated });
                }
                Err(error) => error,
            };
            if !error.kind().is_elsewhere() {
                return Err(error);
            }
            repeated |= error.kind().is_ambiguous();
            failed += 1;
            member = self.after(member);
            if failed % self.members.len() == 0 {
                tokio::time::sleep(PAUSE).await;
            }
            // An attempt that is cut short would only say that it had no time.
            if Instant::now() + LEAST >= end {
                return Err(error);
            }
        }
    }
}

fn checked(endpoint: String) -> Result<Member, EtcdError> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    let host = rest.unwrap_or(&endpoint).trim_end_matches('/');
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '?' | '#');
    if host.is_empty() || !host.chars().all(plain) {
        let message = "it is not of the form http://host:port or https://host:port";
        return Err(EtcdError::new("connect", endpoint, EtcdErrorKind::Invalid, message));
    }
    Ok(Member::new(endpoint))
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.members.iter().map(Member::endpoint).collect();
        f.debug_struct("Pool").field("endpoints", &endpoints).finish_non_exhaustive()
    }
}

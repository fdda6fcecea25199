//! How a connection is made: [`Dial`].

use std::fmt;
use std::future::Future;
use std::time::Duration;

use lb_core::{Secret, SecretValue};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates,
};
use tokio::time::timeout;

use super::address::Node;
use super::error::ConnectionError;
use super::verdict::Trouble;

/// How long this registry waits for Redis. A registry whose fleet is far away needs more than the defaults.
///
/// ```
/// use std::time::Duration;
/// use lb_registry_redis::Timeouts;
///
/// let timeouts = Timeouts::default().command(Duration::from_secs(3));
/// assert_eq!(timeouts.connect, Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection, with TLS and authentication; three times as long for all nodes of a Cluster. Default 2 s.
    pub connect: Duration,
    /// For one command or script. After two timeouts in a row the connection is replaced. Reading a service that
    /// takes longer is tried again over a connection of its own, with ten times as long. Default 1 s.
    pub command: Duration,
    /// How often a silent subscription is asked whether it still lives, and how long that may take. Default 1 s.
    pub ping: Duration,
    /// How often the version of each watched service is compared, spread by ± 20 %: what a lost message costs.
    /// Default 5 s.
    pub poll: Duration,
    /// How often a watched service is read as a whole, whatever its version says; that many times longer where it has
    /// thousands of instances. Default 60 s.
    pub resync: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            command: Duration::from_secs(1),
            ping: Duration::from_secs(1),
            poll: Duration::from_secs(5),
            resync: Duration::from_secs(60),
        }
    }
}

macro_rules! setters {
    ($($name:ident),*) => {$(
        #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), "); at least 1 ms.")]
        #[must_use]
        pub const fn $name(mut self, value: Duration) -> Self {
            const LEAST: Duration = Duration::from_millis(1);
            self.$name = if value.as_nanos() < LEAST.as_nanos() { LEAST } else { value };
            self
        }
    )*};
}

impl Timeouts {
    setters!(connect, command, ping, poll, resync);
}

/// Whom to trust and who to be over TLS. Without it, a `rediss` address trusts the system's certificates.
///
/// ```no_run
/// use lb_registry_redis::Tls;
///
/// # fn read() -> std::io::Result<()> {
/// let tls = Tls::default()
///     .trust(std::fs::read("ca.pem")?)
///     .identity(std::fs::read("client.pem")?, std::fs::read("client.key")?);
/// # drop(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    root: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Trusts these certificates (PEM) and no others.
    #[must_use]
    pub fn trust(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.root = Some(certificates.into());
        self
    }

    /// Shows this certificate to the server (PEM, with its key).
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    pub(crate) fn certificates(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: self
                .identity
                .clone()
                .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: self.root.clone(),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_root", &self.root.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// Everything that is needed to connect to a server, but which one.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) user: Option<String>,
    /// Looked up for each connection, so that it can be replaced.
    pub(crate) password: Option<Secret>,
    pub(crate) database: i64,
    /// `None`: in clear.
    pub(crate) tls: Option<Tls>,
    pub(crate) timeouts: Timeouts,
}

impl Dial {
    /// The same, for who has other credentials and no databases.
    pub(crate) fn with_login(&self, user: Option<String>, password: Option<Secret>) -> Self {
        Self { user, password, database: 0, tls: self.tls.clone(), timeouts: self.timeouts }
    }

    /// The same, which waits that many times longer for an answer.
    pub(crate) fn patient(&self, times: u32) -> Self {
        let timeouts = self.timeouts.command(self.timeouts.command * times);
        Self { timeouts, ..self.clone() }
    }

    pub(crate) fn info(&self, node: &Node) -> Result<redis::ConnectionInfo, RedisError> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.database)
            .set_lib_name("loadbalance", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = self.password()? {
            login = login.set_password(password.expose());
        }
        let address = if self.tls.is_some() {
            let (host, port) = (node.host.clone(), node.port);
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(node.host.clone(), node.port)
        };
        let keepalive = redis::io::tcp::socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5));
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        Ok(address.into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp))
    }

    fn password(&self) -> Result<Option<SecretValue>, RedisError> {
        let looked_up = self.password.as_ref().map(Secret::resolve).transpose();
        looked_up.map_err(|error| {
            (ErrorKind::InvalidClientConfig, "the password cannot be looked up", error.to_string()).into()
        })
    }

    fn client(&self, node: &Node) -> Result<Client, RedisError> {
        let info = self.info(node)?;
        match &self.tls {
            Some(tls) => {
                use_a_crypto_provider();
                Client::build_with_tls(info, tls.certificates())
            }
            None => Client::open(info),
        }
    }

    /// A connection for commands.
    pub(crate) async fn connect(
        &self,
        node: &Node,
    ) -> Result<redis::aio::MultiplexedConnection, ConnectionError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.in_time(async { self.client(node)?.get_multiplexed_async_connection_with_config(&config).await })
            .await
    }

    /// A connection for a subscription.
    pub(crate) async fn subscribe(&self, node: &Node) -> Result<redis::aio::PubSub, ConnectionError> {
        self.in_time(async { self.client(node)?.get_async_pubsub().await }).await
    }

    /// A connection to a Cluster. Who does not answer is left out, if another one does.
    pub(crate) async fn connect_cluster(
        &self,
        nodes: &[Node],
    ) -> Result<redis::cluster_async::ClusterConnection, ConnectionError> {
        within(self.timeouts.connect * ROUNDS, async {
            let infos = nodes.iter().map(|node| self.info(node)).collect::<Result<Vec<_>, _>>()?;
            let mut builder = redis::cluster::ClusterClientBuilder::new(infos)
                .connection_timeout(self.timeouts.connect)
                .response_timeout(self.timeouts.command)
                .retries(3)
                .min_retry_wait(20)
                .max_retry_wait(300);
            if let Some(user) = &self.user {
                builder = builder.username(user);
            }
            if let Some(password) = self.password()? {
                builder = builder.password(password.expose());
            }
            if let Some(tls) = &self.tls {
                use_a_crypto_provider();
                builder = builder.tls(redis::cluster::TlsMode::Secure).certs(tls.certificates());
            }
            builder.build()?.get_async_connection().await
        })
        .await
    }

    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, ConnectionError> {
        within(self.timeouts.connect, connecting).await
    }
}

/// A Cluster takes that many times longer to connect to than a server. The client library connects to all nodes that it
/// is given at once, and then to all that have slots; one that hangs takes the time of a connection in both. The rest is
/// for those that answer.
const ROUNDS: u32 = 3;

async fn within<T>(
    after: Duration,
    connecting: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, ConnectionError> {
    match timeout(after, connecting).await {
        Ok(result) => result.map_err(|error| error_of(&error, after)),
        Err(_) => Err(ConnectionError::Timeout { after }),
    }
}

/// The client library leaves it to the process which cryptography TLS uses. Who has not chosen gets ring.
fn use_a_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster; theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// The library's error in our words. Neither holds credentials.
pub(crate) fn error_of(error: &RedisError, after: Duration) -> ConnectionError {
    match Trouble::of(error) {
        Trouble::Timeout => ConnectionError::Timeout { after },
        Trouble::Lost => ConnectionError::Lost { problem: error.to_string() },
        Trouble::NotMaster | Trouble::NotReady | Trouble::Elsewhere => {
            ConnectionError::NotReady { problem: error.to_string() }
        }
        Trouble::NoScript | Trouble::Refused => ConnectionError::Refused { problem: error.to_string() },
    }
}

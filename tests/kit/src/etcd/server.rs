//! One member: [`EtcdServer`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::options::EtcdOptions;
use super::saved::SavedData;
use super::{ctl, ready};
use crate::error::{Error, Result};
use crate::locate::Tool;
use crate::ports::{ReservedPort, reserve_port};
use crate::process::Process;
use crate::scratch::scratch_dir;
use crate::tls::{Certificates, Tls};

/// How long a member may take to be ready on a machine that has other things to do.
pub(super) const READY: Duration = Duration::from_secs(30);

/// The ports of one member, which stay its own while it is down.
#[derive(Debug)]
pub(super) struct Ports {
    client: ReservedPort,
    peer: ReservedPort,
    metrics: ReservedPort,
    /// Where the other members reach it, if not on its own port.
    pub(super) reached_at: Option<String>,
}

impl Ports {
    pub(super) fn reserve() -> Result<Self> {
        Ok(Self {
            client: reserve_port()?,
            peer: reserve_port()?,
            metrics: reserve_port()?,
            reached_at: None,
        })
    }

    pub(super) const fn peer(&self) -> u16 {
        self.peer.number()
    }

    pub(super) fn peer_url(&self) -> String {
        self.reached_at.clone().unwrap_or_else(|| self.listens_at())
    }

    fn listens_at(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer.number())
    }
}

/// An etcd server with one member, or one member of an [`EtcdCluster`](super::EtcdCluster).
#[derive(Debug)]
pub struct EtcdServer {
    name: String,
    process: Process,
    ports: Ports,
    directory: TempDir,
    options: EtcdOptions,
    certificates: Option<Certificates>,
}

impl EtcdServer {
    /// Starts one with default settings and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It is not installed, or not ready within half a minute.
    pub async fn start() -> Result<Self> {
        Self::start_with(EtcdOptions::default()).await
    }

    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(options: EtcdOptions) -> Result<Self> {
        let mut last = Error::new("no attempt was made");
        for _ in 0..5 {
            let ports = Ports::reserve()?;
            let cluster = format!("m0={}", ports.peer_url());
            let certificates = options.tls.certificates()?;
            let server = Self::new("m0", ports, &cluster, options.clone(), certificates)?;
            server.spawn()?;
            match server.wait_ready(READY).await {
                Ok(()) => return Ok(server),
                Err(error) if server.port_was_taken() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// A member to be. `cluster` names all members and their peer URLs, as `--initial-cluster` wants it.
    pub(super) fn new(
        name: &str,
        ports: Ports,
        cluster: &str,
        options: EtcdOptions,
        certificates: Option<Certificates>,
    ) -> Result<Self> {
        let directory = scratch_dir("etcd")?;
        let scheme = options.tls.scheme("http", "https");
        let client = format!("{scheme}://127.0.0.1:{}", ports.client.number());
        let mut args: Vec<String> = [
            ("name", name.to_owned()),
            ("data-dir", directory.path().join("data").display().to_string()),
            ("listen-client-urls", client.clone()),
            ("advertise-client-urls", client),
            ("listen-peer-urls", ports.listens_at()),
            ("initial-advertise-peer-urls", ports.peer_url()),
            ("initial-cluster", cluster.to_owned()),
            ("initial-cluster-state", "new".to_owned()),
            ("listen-metrics-urls", format!("http://127.0.0.1:{}", ports.metrics.number())),
        ]
        .into_iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect();
        args.extend(options.quota_backend_bytes.map(|bytes| format!("--quota-backend-bytes={bytes}")));
        args.extend(options.auth_token_ttl.map(|seconds| format!("--auth-token-ttl={seconds}")));
        if let Some(certificates) = &certificates {
            args.push(format!("--cert-file={}", certificates.server().display()));
            args.push(format!("--key-file={}", certificates.server_key().display()));
            if options.tls == Tls::Mutual {
                args.push("--client-cert-auth".to_owned());
                args.push(format!("--trusted-ca-file={}", certificates.authority().display()));
            }
        }
        args.extend(options.extra.iter().cloned());
        let log = directory.path().join("server.log");
        let process = Process::new(format!("etcd {name}"), Tool::Etcd, args, log)?;
        Ok(Self { name: name.to_owned(), process, ports, directory, options, certificates })
    }

    /// Its name within the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect to.
    pub fn client_url(&self) -> String {
        format!("{}://{}", self.options.tls.scheme("http", "https"), self.client_address())
    }

    /// The same as an address: what to put behind a [`Proxy`](crate::Proxy).
    pub fn client_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.client.number()))
    }

    /// What its client needs, if it speaks TLS.
    pub const fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Its process, for what is not here.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// `kill -9`.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// SIGSTOP: its connections stay open, and nothing answers.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.process.cont();
    }

    /// Starts it on its ports with the data that it has, after killing it if it runs. Does not wait.
    ///
    /// # Errors
    ///
    /// The process cannot be started.
    pub fn spawn(&self) -> Result<()> {
        self.process.start()
    }

    /// The same, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It is not ready within half a minute. A member of a cluster is not ready before there is a quorum.
    pub async fn restart(&self) -> Result<()> {
        self.spawn()?;
        self.wait_ready(READY).await
    }

    /// Waits until it serves: it sees a leader and answers a read.
    ///
    /// # Errors
    ///
    /// It does not within `bound`; the message has the end of its log.
    pub async fn wait_ready(&self, bound: Duration) -> Result<()> {
        let metrics = self.metrics_address();
        let full_is_fine = self.options.quota_backend_bytes.is_some();
        let ready = crate::eventually_async("ready", bound, || async {
            let dead = self.process.exited().is_some();
            (dead || ready::is_ready(metrics, full_is_fine).await).then_some(dead)
        })
        .await;
        match ready {
            Ok((false, _)) => Ok(()),
            Ok((true, _)) => Err(self.process.error("it did not start")),
            Err(_) => Err(self.process.error(&format!("not ready within {bound:?}"))),
        }
    }

    /// Whether it is the leader of its cluster, as far as it knows. A member that does not answer is not.
    pub async fn is_leader(&self) -> bool {
        ready::is_leader(self.metrics_address()).await
    }

    fn metrics_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.metrics.number()))
    }

    /// The port that it listens on for the other members.
    pub(super) const fn peer_port(&self) -> u16 {
        self.ports.peer()
    }

    pub(super) fn port_was_taken(&self) -> bool {
        self.process.has_logged("address already in use")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Kills it and removes its data. [`restart`](Self::restart) brings it back empty, under the same cluster id. Of a
    /// cluster of several, wipe all members ([`EtcdCluster::wipe`](super::EtcdCluster::wipe)).
    ///
    /// # Errors
    ///
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<()> {
        self.kill9();
        remove(&self.data())
    }

    /// Copies its data as they would be found after `kill -9` now. It is stopped for the moment and then goes on.
    ///
    /// # Errors
    ///
    /// The data cannot be read.
    pub fn save(&self) -> Result<SavedData> {
        self.stop();
        let saved = SavedData::copy(&self.data());
        self.cont();
        saved
    }

    /// Kills it and puts `saved` in place of its data: its history is rolled back. [`restart`](Self::restart) brings
    /// it back.
    ///
    /// # Errors
    ///
    /// The data cannot be written.
    pub fn restore(&self, saved: &SavedData) -> Result<()> {
        self.wipe()?;
        saved.put(&self.data())
    }

    /// Runs etcd's client with these arguments, and returns what it prints. `ETCDCTL_API` is 3, the endpoint is this
    /// member, and certificates are given.
    ///
    /// # Errors
    ///
    /// It fails, or takes longer than ten seconds. The message has what it printed.
    pub async fn etcdctl(&self, args: &[&str]) -> Result<String> {
        ctl::run(&[self.client_url()], self.certificates.as_ref(), args).await
    }

    /// The revision its store is at.
    ///
    /// # Errors
    ///
    /// As [`etcdctl`](Self::etcdctl).
    pub async fn revision(&self) -> Result<u64> {
        let status = self.etcdctl(&["endpoint", "status", "--write-out=json"]).await?;
        ctl::revision(&status)
    }

    /// Compacts its history up to now, so that watches from earlier revisions are refused. Returns the revision.
    ///
    /// # Errors
    ///
    /// As [`etcdctl`](Self::etcdctl).
    pub async fn compact(&self) -> Result<u64> {
        let revision = self.revision().await?;
        // One that is compacted already is as good.
        match self.etcdctl(&["compact", &revision.to_string()]).await {
            Err(error) if !error.to_string().contains("required revision has been compacted") => Err(error),
            _ => Ok(revision),
        }
    }

    /// All keys that begin with `prefix`, and their values.
    ///
    /// # Errors
    ///
    /// As [`etcdctl`](Self::etcdctl).
    pub async fn get_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let listing = self.etcdctl(&["get", prefix, "--prefix", "--write-out=json"]).await?;
        ctl::key_values(&listing)
    }
}

fn remove(directory: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

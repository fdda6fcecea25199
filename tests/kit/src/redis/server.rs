//! One server: [`RedisServer`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::cli::Target;
use super::options::RedisOptions;
use crate::error::{Error, Result};
use crate::locate::Tool;
use crate::ports::{ReservedPort, reserve_port};
use crate::process::Process;
use crate::scratch::scratch_dir;
use crate::tls::{Certificates, Tls};

/// How long a server may take to be ready on a machine that has other things to do.
pub(super) const READY: Duration = Duration::from_secs(20);

/// A Redis server, or one part of a [`RedisSentinel`](super::RedisSentinel) or
/// [`RedisCluster`](super::RedisCluster).
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: ReservedPort,
    directory: TempDir,
    options: RedisOptions,
    certificates: Option<Certificates>,
}

/// What the program is started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Sentinel,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It is not installed, or not ready within twenty seconds.
    pub async fn start() -> Result<Self> {
        Self::start_with(RedisOptions::default()).await
    }

    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); and where TLS is asked for, a server that was built without.
    pub async fn start_with(options: RedisOptions) -> Result<Self> {
        Self::start_as(Kind::Server, "redis", options).await
    }

    pub(super) async fn start_as(kind: Kind, name: &str, options: RedisOptions) -> Result<Self> {
        let mut last = Error::new("no attempt was made");
        for _ in 0..5 {
            let server = Self::new(kind, name, options.clone())?;
            server.spawn()?;
            match server.wait_ready(READY).await {
                Ok(()) => return Ok(server),
                Err(error) if server.process.has_logged("Address already in use") => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn new(kind: Kind, name: &str, options: RedisOptions) -> Result<Self> {
        let directory = scratch_dir(name)?;
        let certificates = options.tls.certificates()?;
        let port = reserve_port()?;
        let config = directory.path().join("redis.conf");
        let mut lines = vec!["bind 127.0.0.1".to_owned(), format!("dir {}", directory.path().display())];
        match &certificates {
            None => lines.push(format!("port {}", port.number())),
            Some(certificates) => lines.extend([
                "port 0".to_owned(),
                format!("tls-port {}", port.number()),
                format!("tls-cert-file {}", certificates.server().display()),
                format!("tls-key-file {}", certificates.server_key().display()),
                format!("tls-ca-cert-file {}", certificates.authority().display()),
                format!("tls-auth-clients {}", if options.tls == Tls::Mutual { "yes" } else { "no" }),
            ]),
        }
        match kind {
            Kind::Server => lines.extend(options.lines()),
            Kind::Sentinel => lines.extend(options.extra.iter().cloned()),
        }
        std::fs::write(&config, lines.join("\n") + "\n")?;
        let mut args = vec![config.display().to_string()];
        if kind == Kind::Sentinel {
            args.push("--sentinel".to_owned());
        }
        let named = format!("{name} on port {}", port.number());
        let process = Process::new(named, Tool::RedisServer, args, directory.path().join("server.log"))?;
        Ok(Self { process, port, directory, options, certificates })
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where clients connect to: `redis://127.0.0.1:…`, or `rediss://` with TLS.
    pub fn url(&self) -> String {
        format!("{}://{}", self.options.tls.scheme("redis", "rediss"), self.address())
    }

    /// The same as an address: what to put behind a [`Proxy`](crate::Proxy).
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()))
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

    /// Starts it on its port with the data that it has on disk, after killing it if it runs. Does not wait.
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
    /// It is not ready within twenty seconds.
    pub async fn restart(&self) -> Result<()> {
        self.spawn()?;
        self.wait_ready(READY).await
    }

    /// Waits until it answers PING and has read its data.
    ///
    /// # Errors
    ///
    /// It does not within `bound`; the message has the end of its log.
    pub async fn wait_ready(&self, bound: Duration) -> Result<()> {
        let ready = crate::eventually_async("ready", bound, || async {
            let dead = self.process.exited().is_some();
            (dead || self.answers().await).then_some(dead)
        })
        .await;
        match ready {
            Ok((false, _)) => Ok(()),
            Ok((true, _)) => Err(self.process.error("it did not start")),
            Err(_) => Err(self.process.error(&format!("not ready within {bound:?}"))),
        }
    }

    /// While it reads its data it answers LOADING. Who wants a password is up.
    async fn answers(&self) -> bool {
        match self.cli(&["PING"]).await {
            Ok(answer) => answer == "PONG",
            Err(error) => error.to_string().contains("NOAUTH"),
        }
    }

    /// Kills it and removes what it has on disk. [`restart`](Self::restart) brings it back empty.
    ///
    /// # Errors
    ///
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<()> {
        self.kill9();
        for data in ["dump.rdb", "appendonlydir"].map(|name| self.directory.path().join(name)) {
            remove(data)?;
        }
        Ok(())
    }

    fn target(&self) -> Target<'_> {
        Target { port: self.port(), certificates: self.certificates.as_ref() }
    }

    /// Runs one command, and returns what `redis-cli` prints for it: one line per element.
    ///
    /// # Errors
    ///
    /// The server answers with an error, or not within ten seconds.
    pub async fn cli(&self, args: &[&str]) -> Result<String> {
        self.target().text(args).await
    }

    /// Runs one command, and returns its answer as JSON: a hash is an object.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli).
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        self.target().json(args).await
    }

    /// One field of `INFO section`.
    ///
    /// # Errors
    ///
    /// As [`cli`](Self::cli), or there is no such field.
    pub async fn info(&self, section: &str, field: &str) -> Result<String> {
        let info = self.cli(&["INFO", section]).await?;
        info.lines()
            .find_map(|line| line.trim().strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
            .ok_or_else(|| Error::new(format!("INFO {section} of {} has no `{field}`", self.process.name())))
    }
}

fn remove(path: PathBuf) -> Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

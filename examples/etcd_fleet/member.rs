//! One process of the fleet: a server that announces itself ([`serve`]), and the handle on it ([`Member`]).

use std::process::Stdio;
use std::time::Duration;

use loadbalance::Instance;
use loadbalance::etcd::EtcdRegistry;
use loadbalance::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::{Result, SERVICE};

/// The first argument of a process of the fleet.
pub(crate) const COMMAND: &str = "member";
/// How long running requests are given when one leaves.
const GRACE: Duration = Duration::from_millis(500);

/// What the processes of the fleet have in common.
pub(crate) struct Fleet {
    pub(crate) endpoints: Vec<String>,
    pub(crate) prefix: String,
    pub(crate) ttl: Duration,
}

/// A process of the fleet.
pub(crate) struct Member {
    process: Child,
}

impl Fleet {
    /// Starts this program once more, as one of the fleet.
    pub(crate) fn start(&self, id: &str) -> Result<Member> {
        let process = Command::new(std::env::current_exe()?)
            .args([COMMAND, id, &self.prefix, &self.ttl.as_secs().to_string()])
            .args(&self.endpoints)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Member { process })
    }
}

impl Member {
    /// `kill -9`: it can say nothing any more.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Asks it to leave, as a deployment would with a signal, and waits until it is gone.
    pub(crate) async fn leave(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let status = self.process.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a process of the fleet ended with {status}").into())
        }
    }
}

/// Serves, and is announced for as long; leaves when standard input is closed.
pub(crate) async fn serve(mut args: impl Iterator<Item = String>) -> Result<()> {
    let mut next = |what: &str| args.next().ok_or_else(|| format!("a process of the fleet needs {what}"));
    let (id, prefix, ttl) = (next("an id")?, next("a prefix")?, next("a time-to-live")?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();

    let registry =
        EtcdRegistry::builder(args).prefix(prefix).ttl(Duration::from_secs(ttl.parse()?)).connect().await?;
    let announcement = registry.announce(SERVICE, Instance::new(&id).with_address(address)).await?;
    tokio::select! {
        never = greet(&id, &listener) => never?,
        () = told_to_leave() => {
            // It goes on serving while it drains.
            let serving = tokio::spawn(async move { greet(&id, &listener).await });
            announcement.leave(GRACE).await?;
            serving.abort();
        }
    }
    Ok(())
}

async fn told_to_leave() {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    while input.read_line(&mut line).await.is_ok_and(|read| read > 0) {}
}

async fn greet(id: &str, listener: &TcpListener) -> Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let greeting = format!("hello from {id}\n");
        tokio::spawn(async move { stream.write_all(greeting.as_bytes()).await });
    }
}

/// Asks one of the fleet for its greeting.
pub(crate) async fn ask(instance: &Instance) -> Result<String, RequestError> {
    let address = instance.address.as_deref().unwrap_or_default();
    let stream =
        TcpStream::connect(address).await.map_err(|error| RequestError::unreachable(error.to_string()))?;
    let mut line = String::new();
    let read = BufReader::new(stream).read_line(&mut line).await;
    match read {
        Ok(n) if n > 0 => Ok(line.trim().to_owned()),
        Ok(_) => Err(RequestError::service("it says nothing")),
        Err(error) => Err(RequestError::service(error.to_string())),
    }
}

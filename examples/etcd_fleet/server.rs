//! An etcd to throw away: [`Server`].

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loadbalance::Instance;
use loadbalance::etcd::{EtcdRegistry, WhenDown};

use crate::Result;

/// Runs etcd, and takes it and its data away when its standard input is closed: that is, however this program ends.
const GUARD: &str = r#"dir=$1; shift; "$@" & cat >/dev/null; kill -9 $!; wait $! 2>/dev/null; rm -rf "$dir""#;

/// Runs until it is dropped, or until this process is gone.
pub(crate) struct Server {
    guard: Child,
    url: String,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let program = find().ok_or(
            "there is no `etcd` on the PATH; install it (Debian: etcd-server), or give one with --etcd URL",
        )?;
        let (client, peer) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{client}");
        let peer = format!("http://127.0.0.1:{peer}");
        let dir = std::env::temp_dir().join(format!("etcd_fleet-{}", std::process::id()));
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&dir)
            .arg(program)
            .arg(format!("--data-dir={}", dir.display()))
            .args([format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}")])
            .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
            .arg(format!("--initial-cluster=default={peer}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { guard, url };
        // Whoever can follow it knows that it is there.
        let there = EtcdRegistry::<Instance>::builder([server.url()]).when_down(WhenDown::Wait).connect();
        tokio::time::timeout(Duration::from_secs(30), there).await.map_err(|_| "etcd does not start")??;
        println!("an etcd of our own serves at {}", server.url);
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("etcd")).find(|program| program.is_file())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

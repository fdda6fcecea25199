//! A Redis to throw away: [`Server`].

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loadbalance::Instance;
use loadbalance::redis::RedisRegistry;

use crate::Result;

/// Runs Redis, and takes it and its directory away when its standard input is closed: that is, however this program
/// ends.
const GUARD: &str = r#"dir=$1; shift; mkdir -p "$dir"; "$@" & cat >/dev/null; kill -9 $!; wait $! 2>/dev/null; rm -rf "$dir""#;

/// Runs until it is dropped, or until this process is gone.
pub(crate) struct Server {
    guard: Child,
    url: String,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let program = find().ok_or(
            "there is no `redis-server` on the PATH; install it, or give one with --redis redis://HOST:PORT",
        )?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let url = format!("redis://127.0.0.1:{port}");
        let dir = std::env::temp_dir().join(format!("redis-example-{}", std::process::id()));
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&dir)
            .arg(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { guard, url };
        // Whoever can connect knows that it is there.
        RedisRegistry::<Instance>::builder(server.url())?.wait(Duration::from_secs(30)).connect().await?;
        println!("a Redis of our own serves at {}", server.url);
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
    std::env::split_paths(&path).map(|dir| dir.join("redis-server")).find(|program| program.is_file())
}

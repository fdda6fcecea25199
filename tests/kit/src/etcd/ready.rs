//! What a member says of itself on its metrics port, which speaks plain HTTP even where clients speak TLS.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whether it sees a leader and has answered a read. `full_is_fine`: an alarm (the store is full) does not count.
pub(super) async fn is_ready(metrics: SocketAddr, full_is_fine: bool) -> bool {
    let healthy = match get(metrics, "/health").await {
        Some(answer) => full_is_fine || answer.contains(r#""health":"true""#),
        None => false,
    };
    healthy && has_gauge(metrics, "etcd_server_has_leader 1").await
}

pub(super) async fn is_leader(metrics: SocketAddr) -> bool {
    has_gauge(metrics, "etcd_server_is_leader 1").await
}

async fn has_gauge(metrics: SocketAddr, line: &str) -> bool {
    get(metrics, "/metrics").await.is_some_and(|text| text.lines().any(|found| found == line))
}

/// A whole answer, header and body, if one comes within three seconds.
async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(Duration::from_secs(3), answer).await.ok()?.ok()
}

//! Each fault of the proxy, against a server that answers with what it hears.

use std::io::ErrorKind;
use std::time::Duration;

use lb_testkit::{Proxy, ProxyMode, Result, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(200);

async fn echo() -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Ok(address)
}

async fn says(client: &mut TcpStream, text: &str) -> std::io::Result<String> {
    client.write_all(text.as_bytes()).await?;
    hears(client, text.len()).await
}

async fn hears(client: &mut TcpStream, length: usize) -> std::io::Result<String> {
    let mut heard = vec![0; length];
    timeout(SOON, client.read_exact(&mut heard)).await.map_err(std::io::Error::other)??;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test]
async fn it_passes_everything_and_a_clean_end() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    let client = TcpStream::connect(proxy.address()).await?;
    let (mut read, mut write) = client.into_split();
    let sent = vec![7_u8; 3 << 20];
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&copy).await?;
        write.shutdown().await
    });
    let mut heard = Vec::new();
    timeout(SOON, read.read_to_end(&mut heard)).await.expect("an end")?;
    writing.await.expect("no panic")?;
    assert!(heard == sent, "{} bytes of {}", heard.len(), sent.len());
    eventually("no connection is left", SOON, || (proxy.connections() == 0).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn a_black_hole_holds_back_and_loses_nothing() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.address()).await?;
    assert_eq!(says(&mut old, "one").await?, "one");
    proxy.set(ProxyMode::BlackHole);
    old.write_all(b"two").await?;
    let mut new = timeout(SOON, TcpStream::connect(proxy.address())).await.expect("it is accepted")?;
    new.write_all(b"three").await?;
    let mut byte = [0];
    assert!(timeout(A_WHILE, old.read(&mut byte)).await.is_err());
    assert!(timeout(A_WHILE, new.read(&mut byte)).await.is_err());
    proxy.set(ProxyMode::Pass);
    assert_eq!(hears(&mut old, 3).await?, "two");
    assert_eq!(hears(&mut new, 5).await?, "three");
    Ok(())
}

#[tokio::test]
async fn a_one_way_hole_lets_the_other_way_through() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?).await?;
    let mut client = TcpStream::connect(proxy.address()).await?;
    let (mut server, _) = listener.accept().await?;
    let mut byte = [0];

    proxy.set(ProxyMode::BlackHoleToServer);
    client.write_all(b"up").await?;
    server.write_all(b"down").await?;
    assert_eq!(hears(&mut client, 4).await?, "down");
    assert!(timeout(A_WHILE, server.read(&mut byte)).await.is_err());

    proxy.set(ProxyMode::BlackHoleToClient);
    assert_eq!(hears(&mut server, 2).await?, "up");
    server.write_all(b"down").await?;
    assert!(timeout(A_WHILE, client.read(&mut byte)).await.is_err());
    proxy.set(ProxyMode::Pass);
    assert_eq!(hears(&mut client, 4).await?, "down");
    Ok(())
}

#[tokio::test]
async fn connections_are_reset_and_new_ones_work() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.address()).await?;
    assert_eq!(says(&mut old, "one").await?, "one");
    proxy.reset_all();
    let ended = timeout(SOON, old.read(&mut [0])).await.expect("an end");
    assert_eq!(ended.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    let mut new = TcpStream::connect(proxy.address()).await?;
    assert_eq!(says(&mut new, "two").await?, "two");
    Ok(())
}

#[tokio::test]
async fn a_connection_in_a_black_hole_can_be_reset() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    proxy.set(ProxyMode::BlackHole);
    let mut client = TcpStream::connect(proxy.address()).await?;
    eventually("it is accepted", SOON, || (proxy.connections() == 1).then_some(())).await?;
    proxy.reset_all();
    let ended = timeout(SOON, client.read(&mut [0])).await.expect("an end");
    assert_eq!(ended.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn new_connections_are_refused_and_old_ones_stay() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.address()).await?;
    assert_eq!(says(&mut old, "one").await?, "one");
    proxy.set(ProxyMode::RefuseNew);
    // Who stands in the listener's line when it is closed is reset.
    lb_testkit::eventually_async("refused", SOON, || async {
        TcpStream::connect(proxy.address())
            .await
            .err()
            .filter(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await?;
    assert_eq!(says(&mut old, "two").await?, "two");
    proxy.set(ProxyMode::Pass);
    let connected = lb_testkit::eventually_async("accepted again", SOON, || async {
        TcpStream::connect(proxy.address()).await.ok()
    });
    assert_eq!(says(&mut connected.await?.0, "three").await?, "three");
    Ok(())
}

#[tokio::test]
async fn latency_is_added_both_ways() -> Result<()> {
    let proxy = Proxy::start(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.address()).await?;
    assert_eq!(says(&mut client, "one").await?, "one");
    proxy.set(ProxyMode::Latency(Duration::from_millis(100)));
    let started = Instant::now();
    assert_eq!(says(&mut client, "two").await?, "two");
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_is_a_reset() -> Result<()> {
    let port = lb_testkit::reserve_port()?;
    let proxy = Proxy::start(([127, 0, 0, 1], port.number()).into()).await?;
    let mut client = TcpStream::connect(proxy.address()).await?;
    let ended = timeout(SOON, client.read(&mut [0])).await.expect("an end");
    assert_eq!(ended.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    Ok(())
}

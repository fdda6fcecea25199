//! A TCP proxy whose faults can be switched while it runs: [`Proxy`].
//!
//! It stands between a client and a server, so that a network can fail without the server noticing: packets that
//! vanish, connections that are torn, a port that refuses. What is held back is not lost: like a packet that TCP
//! sends again, it arrives when the way is free.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};
use crate::ports::{ReservedPort, reserve_port};

/// What a [`Proxy`] does with connections and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyMode {
    /// Forwards everything.
    #[default]
    Pass,
    /// Keeps connections and accepts new ones, and forwards nothing either way.
    BlackHole,
    /// Forwards nothing to the server. What the server says still arrives.
    BlackHoleToServer,
    /// Forwards nothing to the client. What the client says still arrives.
    BlackHoleToClient,
    /// Keeps connections, and refuses new ones.
    RefuseNew,
    /// Forwards everything, each piece of up to 64 KiB this much later, one after the other.
    Latency(Duration),
    /// Forwards everything, each connection and direction by so many bytes a second at most.
    Bandwidth(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl ProxyMode {
    fn forwards(self, direction: Direction) -> bool {
        match self {
            Self::Pass | Self::RefuseNew | Self::Latency(_) | Self::Bandwidth(_) => true,
            Self::BlackHole => false,
            Self::BlackHoleToServer => direction == Direction::ToClient,
            Self::BlackHoleToClient => direction == Direction::ToServer,
        }
    }

    /// How long a piece of so many bytes is held back.
    fn delay(self, bytes: usize) -> Duration {
        match self {
            Self::Latency(delay) => delay,
            Self::Bandwidth(rate) => Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1))),
            _ => Duration::ZERO,
        }
    }
}

/// What all tasks of a proxy look at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Setting {
    mode: ProxyMode,
    /// Connections made under another generation than this are torn.
    generation: u64,
}

/// A proxy on the loopback in front of one server. Ends, with its connections, when it is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use lb_testkit::{Proxy, ProxyMode};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
/// let proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
/// let mut client = TcpStream::connect(proxy.address()).await.unwrap();
/// let (mut served, _) = server.accept().await.unwrap();
///
/// proxy.set(ProxyMode::BlackHole);
/// client.write_all(b"hello").await.unwrap();
/// proxy.set(ProxyMode::Pass);
/// let mut heard = [0; 5];
/// served.read_exact(&mut heard).await.unwrap();
/// assert_eq!(&heard, b"hello");
/// # });
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    setting: watch::Sender<Setting>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
    _port: ReservedPort,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.mode.fmt(f)
    }
}

impl Proxy {
    /// Starts one that passes everything on to `upstream`, which need not be there yet. Needs a tokio runtime that
    /// lives as long as the proxy is used.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let mut last = Error::new("no attempt was made");
        for _ in 0..20 {
            let port = reserve_port()?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let setting = watch::Sender::new(Setting { mode: ProxyMode::Pass, generation: 0 });
                    let open = Arc::new(AtomicUsize::new(0));
                    let accept =
                        Accept { address, upstream, setting: setting.subscribe(), open: open.clone() };
                    let accepting = tokio::spawn(accept.run(listener));
                    return Ok(Self { address, setting, open, accepting, _port: port });
                }
                Err(error) => last = Error::from(error).during(format!("a proxy on {address}")),
            }
        }
        Err(last)
    }

    /// Where clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Switches to another mode, for connections that are open and for those to come.
    pub fn set(&self, mode: ProxyMode) {
        self.setting.send_modify(|setting| setting.mode = mode);
    }

    /// Resets (RST) every open connection, on both sides. The mode stays.
    pub fn reset_all(&self) {
        self.setting.send_modify(|setting| setting.generation += 1);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Accept {
    address: SocketAddr,
    upstream: SocketAddr,
    setting: watch::Receiver<Setting>,
    open: Arc<AtomicUsize>,
}

impl Accept {
    /// Ends when it is aborted, and its connections with it.
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            let refuses = self.setting.borrow_and_update().mode == ProxyMode::RefuseNew;
            match (&listener, refuses) {
                (Some(_), true) => listener = None,
                (None, false) => listener = self.listen_again().await,
                _ => {}
            }
            tokio::select! {
                changed = self.setting.changed() => if changed.is_err() { return },
                Some(client) = accepted(listener.as_ref()) => {
                    connections.spawn(self.connection(client));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// The port is reserved, so what is in the way is of our own making and goes away.
    async fn listen_again(&self) -> Option<TcpListener> {
        for _ in 0..200 {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return Some(listener);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    fn connection(&self, client: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let (upstream, mut setting) = (self.upstream, self.setting.clone());
        let open = Open::new(&self.open);
        let generation = setting.borrow().generation;
        async move {
            let _open = open;
            let torn = {
                let mut setting = setting.clone();
                async move {
                    // An error says that the proxy is gone, which is the end, too.
                    let _ = setting.wait_for(|setting| setting.generation != generation).await;
                }
            };
            tokio::pin!(torn);
            let server = tokio::select! {
                () = &mut torn => None,
                server = connect(upstream, &mut setting) => server.ok(),
            };
            let Some(server) = server else { return reset(&client) };
            let clean = tokio::select! {
                () = &mut torn => false,
                carried = carry(&client, &server, &setting) => carried.is_ok(),
            };
            if !clean {
                reset(&client);
                reset(&server);
            }
        }
    }
}

/// Makes the end of the connection a reset instead of a farewell.
fn reset(stream: &TcpStream) {
    // Fails only if the connection is gone already.
    let _ = stream.set_zero_linger();
}

async fn accepted(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => loop {
            if let Ok((client, _)) = listener.accept().await {
                return Some(client);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        },
        None => std::future::pending().await,
    }
}

async fn connect(upstream: SocketAddr, setting: &mut watch::Receiver<Setting>) -> io::Result<TcpStream> {
    // A client whose packets vanish cannot reach the server, not even to connect.
    gate(setting, Direction::ToServer).await;
    TcpStream::connect(upstream).await
}

/// Both directions of one connection, until both have ended or one failed.
async fn carry(client: &TcpStream, server: &TcpStream, setting: &watch::Receiver<Setting>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::try_join!(
        pump(client, server, setting.clone(), Direction::ToServer),
        pump(server, client, setting.clone(), Direction::ToClient),
    )?;
    Ok(())
}

async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    mut setting: watch::Receiver<Setting>,
    direction: Direction,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = read(from, &mut buffer).await?;
        let delay = gate(&mut setting, direction).await.delay(read);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
            gate(&mut setting, direction).await;
        }
        if read == 0 {
            return socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write);
        }
        write_all(to, &buffer[..read]).await?;
    }
}

/// Reads through a shared reference, so that whoever tears the connection still has it.
async fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => bytes = &bytes[written?..],
        }
    }
    Ok(())
}

/// Waits until the way is free, and returns the mode then.
async fn gate(setting: &mut watch::Receiver<Setting>, direction: Direction) -> ProxyMode {
    match setting.wait_for(|setting| setting.mode.forwards(direction)).await {
        Ok(setting) => setting.mode,
        // The proxy is gone, and this task is about to be.
        Err(_) => ProxyMode::Pass,
    }
}

/// Counts a connection while it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

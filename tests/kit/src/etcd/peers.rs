//! The network between the members of a cluster, which can be torn apart: [`Peers`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};
use crate::ports::{ReservedPort, reserve_port};

/// A member: its process, and the port that it listens on for the others.
pub(super) type Member = (u32, u16);

/// Members that reach each other, and no others. `None`: all do.
type Groups = Option<Vec<Vec<Member>>>;

/// A proxy in front of each member, for the other members. All that one of them says to another goes through it, and it
/// knows whose a connection is, for the kernel does.
#[derive(Debug)]
pub(super) struct Peers {
    ports: Vec<ReservedPort>,
    groups: watch::Sender<Groups>,
    tasks: Vec<JoinHandle<()>>,
}

impl Peers {
    /// `members` are the ports that they listen on for each other.
    pub(super) async fn start(members: impl IntoIterator<Item = u16>) -> Result<Self> {
        let groups = watch::Sender::new(Groups::None);
        let (mut ports, mut tasks) = (Vec::new(), Vec::new());
        for member in members {
            let (port, listener) = listen().await?;
            tasks.push(tokio::spawn(accept(listener, member, groups.subscribe())));
            ports.push(port);
        }
        Ok(Self { ports, groups, tasks })
    }

    /// Where the others reach each member.
    pub(super) fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("http://{}", loopback(port.number()))).collect()
    }

    /// From now on only those reach each other that are in the same group. Packets between others vanish.
    pub(super) fn set(&self, groups: Groups) {
        self.groups.send_replace(groups);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

async fn listen() -> Result<(ReservedPort, TcpListener)> {
    let mut last = Error::new("no attempt was made");
    for _ in 0..20 {
        let port = reserve_port()?;
        match TcpListener::bind(loopback(port.number())).await {
            Ok(listener) => return Ok((port, listener)),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Ends when it is aborted, and its connections with it.
async fn accept(listener: TcpListener, member: u16, groups: watch::Receiver<Groups>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(carry(client, member, groups.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries a connection until it ends, or is cut. One that is cut is silent until its ends may reach each other again,
/// and is then no more, as if it had been given up meanwhile.
async fn carry(mut client: TcpStream, member: u16, mut groups: watch::Receiver<Groups>) {
    let from = process_of(&client);
    let passes = |groups: &Groups| {
        let both = |group: &Vec<Member>| {
            group.iter().any(|&(process, _)| Some(process) == from)
                && group.iter().any(|&(_, port)| port == member)
        };
        groups.as_ref().is_none_or(|groups| groups.iter().any(both))
    };
    let mut server = None;
    if passes(&groups.borrow_and_update()) {
        let Ok(mut connected) = TcpStream::connect(loopback(member)).await else { return };
        let mut changes = groups.clone();
        tokio::select! {
            // An error says that the cluster is gone, which is the end, too.
            _ = changes.wait_for(|groups| !passes(groups)) => server = Some(connected),
            _ = tokio::io::copy_bidirectional(&mut client, &mut connected) => return,
        }
    }
    let _ = groups.wait_for(|groups| passes(groups)).await;
    drop((client, server));
}

/// The process at the other end of a connection that is within this machine.
fn process_of(client: &TcpStream) -> Option<u32> {
    let (theirs, ours) = (client.peer_addr().ok()?, client.local_addr().ok()?);
    let sockets = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = sockets.lines().skip(1).find_map(|line| {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
        let fields: Vec<_> = line.split_whitespace().collect();
        let &[_, local, remote, _, _, _, _, _, _, inode, ..] = &*fields else { return None };
        (address(local)? == theirs && address(remote)? == ours).then_some(inode)
    })?;
    let wanted = format!("socket:[{inode}]");
    let is_wanted = |file: std::fs::DirEntry| {
        std::fs::read_link(file.path()).is_ok_and(|link| link == Path::new(&wanted))
    };
    std::fs::read_dir("/proc").ok()?.filter_map(std::io::Result::ok).find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        // One that has ended meanwhile has no files.
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.filter_map(std::io::Result::ok);
        files.any(is_wanted).then_some(pid)
    })
}

/// An address as the kernel prints it: `0100007F:1F90` is port 8080 of the loopback.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
}

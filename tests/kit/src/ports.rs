//! Ports that are free, and stay ours while a server is down.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use rand::RngExt;

use crate::error::{Error, Result};

/// Below the range from which the kernel takes ports for outgoing connections: there, a client that keeps trying to
/// reach a server that is down sooner or later gets the server's own port, and is connected to itself.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

static OURS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A TCP port of the loopback that nobody else in this process takes while this lives, and no other test process
/// either.
///
/// A server that is killed and comes back must find its port free. Nobody can hold a TCP port for it without being in
/// its way, so the reservation is the UDP port of the same number, which the kernel gives back when the process ends.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _mark: UdpSocket,
}

/// Reserves a free port.
///
/// ```
/// let port = lb_testkit::reserve_port().expect("one of twenty thousand is free");
/// assert!(std::net::TcpListener::bind(("127.0.0.1", port.number())).is_ok());
/// ```
///
/// # Errors
///
/// None of a few hundred tried ones is free.
pub fn reserve_port() -> Result<ReservedPort> {
    for _ in 0..500 {
        let number = rand::rng().random_range(RANGE);
        if !OURS.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
            continue;
        }
        let mark = UdpSocket::bind((Ipv4Addr::LOCALHOST, number));
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        if let (Ok(mark), true) = (mark, free) {
            return Ok(ReservedPort { number, _mark: mark });
        }
        OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
    Err(Error::new(format!("no port of {RANGE:?} is free")))
}

impl ReservedPort {
    /// The port.
    pub const fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for ReservedPort {
    fn drop(&mut self) {
        OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_outside_what_the_kernel_gives_to_clients() {
        let ports: Vec<_> = (0..50).map(|_| reserve_port().expect("free")).collect();
        let numbers: BTreeSet<_> = ports.iter().map(ReservedPort::number).collect();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| RANGE.contains(number)));
    }
}

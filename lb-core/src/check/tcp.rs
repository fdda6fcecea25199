//! The built-in check: [`TcpConnect`].

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::{CheckFailed, HealthCheck};
use crate::instance::ServiceInstance;

/// Well is who accepts a TCP connection at its [address](ServiceInstance::address), which is closed at once.
///
/// The address is `host:port` or a URL; `http`, `ws` and URLs without a known scheme default to port 80, `https`, `wss`
/// and `grpcs` to 443. Names are resolved each time. An instance without an address passes: there is nothing to ask.
///
/// It shows that a machine and a process are there, and nothing of the answers.
///
/// ```
/// use lb_core::{Instance, LoadBalancer, ServiceRegistry, TcpConnect};
///
/// fn balancer(registry: impl ServiceRegistry<Instance>) -> LoadBalancer<Instance> {
///     LoadBalancer::builder(registry).health_check(TcpConnect::new()).build()
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TcpConnect;

impl TcpConnect {
    /// The check; how long it may take is the service's [`HealthCheckConfig`](crate::HealthCheckConfig).
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl<I: ServiceInstance> HealthCheck<I> for TcpConnect {
    async fn check(&self, _: &str, instance: &I) -> Result<(), CheckFailed> {
        let Some(address) = instance.address() else { return Ok(()) };
        let Some((host, port)) = host_and_port(address) else {
            return Err(CheckFailed::new("its address is neither host:port nor a URL with a host"));
        };
        TcpStream::connect((host, port)).await?;
        Ok(())
    }
}

/// The host and port of `host:port`, `[v6]:port` or a URL.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = scheme.map(|scheme| match scheme {
        "https" | "wss" | "grpcs" => 443,
        _ => 80,
    });
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default?,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let table = [
            ("10.0.0.1:8080", Some(("10.0.0.1", 8080))),
            ("[::1]:8080", Some(("::1", 8080))),
            ("http://a.example", Some(("a.example", 80))),
            ("https://a.example/v1?x=1:2", Some(("a.example", 443))),
            ("https://user:word@a.example:8443/v1", Some(("a.example", 8443))),
            ("https://[2001:db8::1]/", Some(("2001:db8::1", 443))),
            ("a.example", None),
            ("a.example:port", None),
            ("https://", None),
            (":80", None),
            ("", None),
        ];
        for (address, expected) in table {
            assert_eq!(host_and_port(address), expected, "{address}");
        }
    }
}

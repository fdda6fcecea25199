//! Where Redis is, as written in a URL: [`Address`].

use std::fmt;

use super::error::AddressError;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How the servers are arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One server.
    Standalone(Node),
    /// A master and its replicas, watched by sentinels, who know which is which.
    Sentinel { sentinels: Vec<Node>, master: String },
    /// A Cluster, of which some nodes are known.
    Cluster(Vec<Node>),
}

/// A parsed URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("topology", &self.topology)
            .field("tls", &self.tls)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

enum Kind {
    Standalone,
    Sentinel,
    Cluster,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError { problem: "it has no scheme" })?;
        let (kind, tls) = match scheme {
            "redis" => (Kind::Standalone, false),
            "rediss" => (Kind::Standalone, true),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            _ => return Err(AddressError { problem: "its scheme is not known" }),
        };
        let rest = rest.split_once(['?', '#']).map_or(rest, |(rest, _)| rest);
        // A password may contain an @; a host may not.
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (user, password) = match login {
            None => (None, None),
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (decode(user)?, decode(password)?)
            }
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if matches!(kind, Kind::Sentinel) { 26379 } else { 6379 };
        let nodes = hosts.split(',').map(|host| node(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        let (topology, database) = match kind {
            Kind::Standalone => {
                let [node] = <[Node; 1]>::try_from(nodes).map_err(|_| AddressError {
                    problem: "it names several servers; say whether they are sentinels or a Cluster",
                })?;
                (Topology::Standalone(node), path)
            }
            Kind::Sentinel => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let master = decode(master)?.ok_or(AddressError {
                    problem: "it does not name the master that the sentinels watch",
                })?;
                (Topology::Sentinel { sentinels: nodes, master }, database)
            }
            Kind::Cluster if path.trim_matches('/').is_empty() => (Topology::Cluster(nodes), ""),
            Kind::Cluster => return Err(AddressError { problem: "a Cluster has no databases" }),
        };
        let database = match database.trim_end_matches('/') {
            "" => 0,
            number => {
                number.parse::<u16>().map_err(|_| AddressError { problem: "its database is not a number" })?
            }
        };
        Ok(Self { topology, tls, user, password, database: database.into() })
    }
}

fn node(text: &str, default_port: u16) -> Result<Node, AddressError> {
    let bad = || AddressError { problem: "a host or port in it cannot be read" };
    let (host, port) = if let Some(v6) = text.strip_prefix('[') {
        let (host, port) = v6.split_once(']').ok_or_else(bad)?;
        (host, port.strip_prefix(':'))
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() || host.chars().any(char::is_whitespace) {
        return Err(bad());
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| bad()))?;
    if port == 0 {
        return Err(bad());
    }
    Ok(Node { host: host.into(), port })
}

/// Undoes percent-encoding; `None` if nothing is left.
fn decode(text: &str) -> Result<Option<String>, AddressError> {
    let bad = AddressError { problem: "a percent-encoded part of it cannot be read" };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or_else(|| bad.clone())?;
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| bad)?;
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"))
    }

    fn at(host: &str, port: u16) -> Node {
        Node { host: host.into(), port }
    }

    #[test]
    fn every_arrangement_is_read() {
        assert_eq!(parsed("redis://localhost").topology, Topology::Standalone(at("localhost", 6379)));
        let full = parsed("rediss://al%40ice:p%3Aw@d@[::1]:7000/3");
        assert_eq!(full.topology, Topology::Standalone(at("::1", 7000)));
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("al@ice"), Some("p:w@d")));
        assert_eq!((full.tls, full.database), (true, 3));
        let sentinel = parsed("redis+sentinel://:pw@a:1,b,c:3/mymaster/2");
        assert_eq!(
            sentinel.topology,
            Topology::Sentinel {
                sentinels: vec![at("a", 1), at("b", 26379), at("c", 3)],
                master: "mymaster".into()
            }
        );
        assert_eq!((sentinel.user, sentinel.password.as_deref(), sentinel.database), (None, Some("pw"), 2));
        assert_eq!(
            parsed("redis+cluster://a,b/").topology,
            Topology::Cluster(vec![at("a", 6379), at("b", 6379)])
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for url in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://:0",
            "redis://a:b",
            "redis://a:0",
            "redis://a,b",
            "redis://a/x",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/",
            "redis+cluster://a/1",
            "redis://secret%zz@a",
            "redis://[::1",
            "redis://secret:%ff@a",
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", parsed("redis://alice:secret@a")).contains("secret"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(url in "\\PC*", tail in "\\PC*") {
            let _ = Address::parse(&url);
            let _ = Address::parse(&format!("redis+sentinel://{tail}"));
        }
    }
}

//! How an etcd server is started: [`EtcdOptions`].

use crate::tls::Tls;

/// Settings of the members of a cluster. The default is what etcd does by itself.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    pub(super) quota_backend_bytes: Option<u64>,
    pub(super) auth_token_ttl: Option<u32>,
    pub(super) tls: Tls,
    pub(super) separable: bool,
    pub(super) extra: Vec<String>,
}

impl EtcdOptions {
    /// What etcd does by itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// How large the store may grow before the NOSPACE alarm.
    pub fn quota_backend_bytes(mut self, bytes: u64) -> Self {
        self.quota_backend_bytes = Some(bytes);
        self
    }

    /// How long a user's token is good, in seconds.
    pub fn auth_token_ttl(mut self, seconds: u32) -> Self {
        self.auth_token_ttl = Some(seconds);
        self
    }

    /// Whether clients speak TLS with it.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Whether the members of a cluster can be kept from each other, by
    /// [`EtcdCluster::separate`](super::EtcdCluster::separate). Needs Linux.
    pub fn separable(mut self) -> Self {
        self.separable = true;
        self
    }

    /// One more command line argument, as it is.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.extra.push(flag.into());
        self
    }
}

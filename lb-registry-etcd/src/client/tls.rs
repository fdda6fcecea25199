//! How the connection to etcd is secured: [`Tls`].

use std::fmt;

use etcd_client::{Certificate, Identity, TlsOptions};

/// TLS for the connection to etcd, with certificates in PEM form. Endpoints then begin with `https://`.
///
/// ```no_run
/// use lb_core::Instance;
/// use lb_registry_etcd::{EtcdRegistry, Tls};
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::new()
///     .ca_certificate(std::fs::read("ca.pem")?)
///     .identity(std::fs::read("client.pem")?, std::fs::read("client-key.pem")?);
/// let registry =
///     EtcdRegistry::<Instance>::builder(["https://etcd-1:2379", "https://etcd-2:2379"]).tls(tls).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Tls {
    ca: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    domain: Option<String>,
}

impl Tls {
    /// TLS that trusts nobody yet; give it the authority that signed the server's certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this authority. May be given several times.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca.push(pem.into());
        self
    }

    /// The client's own certificate and private key, for a server that wants one (mTLS).
    pub fn identity(mut self, certificate_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate_pem.into(), key_pem.into()));
        self
    }

    /// The name that the server's certificate must have, where it is not the one in the endpoint.
    pub fn domain_name(mut self, name: impl Into<String>) -> Self {
        self.domain = Some(name.into());
        self
    }

    pub(super) fn options(&self) -> TlsOptions {
        let mut options = TlsOptions::new().ca_certificates(self.ca.iter().map(Certificate::from_pem));
        if let Some((certificate, key)) = &self.identity {
            options = options.identity(Identity::from_pem(certificate, key));
        }
        if let Some(domain) = &self.domain {
            options = options.domain_name(domain);
        }
        options
    }
}

impl fmt::Debug for Tls {
    /// Prints neither certificates nor the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca_certificates", &self.ca.len())
            .field("identity", &self.identity.is_some())
            .field("domain_name", &self.domain)
            .finish()
    }
}

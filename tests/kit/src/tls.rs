//! Certificates for tests: an authority, a server and a client, made anew each time.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::scratch::scratch_dir;

/// Whether a server speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// It speaks in clear.
    #[default]
    Off,
    /// It shows a certificate.
    Server,
    /// It shows one and asks for one.
    Mutual,
}

impl Tls {
    /// The certificates that a server of this kind needs.
    pub(crate) fn certificates(self) -> Result<Option<Certificates>> {
        match self {
            Self::Off => Ok(None),
            Self::Server | Self::Mutual => Certificates::generate().map(Some),
        }
    }

    pub(crate) fn scheme(self, clear: &'static str, secured: &'static str) -> &'static str {
        if self == Self::Off { clear } else { secured }
    }
}

/// The certificates of one server (or of all members of a cluster) and of its client, as PEM files. The server's is
/// good for `localhost`, `127.0.0.1` and `::1`. The files are removed with the last clone.
#[derive(Clone, Debug)]
pub struct Certificates {
    directory: Arc<TempDir>,
}

impl Certificates {
    /// Makes an authority and has it sign both.
    ///
    /// # Errors
    ///
    /// The directory for temporary files cannot be written to.
    pub fn generate() -> Result<Self> {
        let wrong = |error: rcgen::Error| Error::new(format!("no certificates: {error}"));
        let (authority, issuer) = authority().map_err(wrong)?;
        let (server, server_key) = signed(&issuer, &["localhost", "127.0.0.1", "::1"]).map_err(wrong)?;
        let (client, client_key) = signed(&issuer, &["client"]).map_err(wrong)?;
        let made = Self { directory: Arc::new(scratch_dir("certificates")?) };
        for (path, pem) in [
            (made.authority(), authority),
            (made.server(), server),
            (made.server_key(), server_key),
            (made.client(), client),
            (made.client_key(), client_key),
        ] {
            std::fs::write(path, pem)?;
        }
        Ok(made)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The authority's certificate: what either side trusts.
    pub fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The server's certificate.
    pub fn server(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.file("server.key")
    }

    /// The client's certificate.
    pub fn client(&self) -> PathBuf {
        self.file("client.pem")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

/// A certificate for `names` and its key. Good for either side: a member of an etcd cluster is its peers' client.
fn signed(issuer: &Issuer<'_, KeyPair>, names: &[&str]) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

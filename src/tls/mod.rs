//! TLS (feature `rustls`): what both adapters share.
//!
//! Whom a client trusts ([`Roots`], [`client_config`]), how a server shows who it is ([`server_config`]), and the
//! machine in between, which is rustls, with ring for the cryptography. A configuration of your own is as good as one
//! made here: an adapter takes any `Arc<ClientConfig>` or `Arc<ServerConfig>` as it stands.
//!
//! A client sends nothing of WebSocket before the server has proved to be the host that the address names (RFC 6455
//! section 10.6), whether that is a name or an IP address.

mod roots;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod session;

use std::string::ToString as _;
use std::sync::Arc;
use std::vec::Vec;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};

pub use roots::Roots;
/// The crate itself, in the version whose types stand in this crate's interface.
pub use rustls;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use session::{Session, handshake_error};

/// What a client speaks TLS with: versions 1.2 and 1.3, no certificate of its own, and `http/1.1` as the protocol
/// (ALPN, RFC 7301), for the opening handshake is one of HTTP/1.1.
///
/// Make one and share it: connections of one configuration resume each other's sessions.
///
/// ```no_run
/// use bowsprit::tls::{self, Roots};
///
/// let roots = Roots::from_pem(&std::fs::read("authority.pem")?)?;
/// let config = tls::client_config(roots)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When there is no root to trust.
pub fn client_config(roots: Roots) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.load()?)
        .with_no_client_auth();
    config.alpn_protocols = alpn();
    Ok(Arc::new(config))
}

/// What a server speaks TLS with, from what lies in two files, as authorities hand them out: a chain of certificates,
/// the server's own first, and the private key to it (PKCS #8, PKCS #1 or SEC 1), both in PEM (RFC 7468). Versions 1.2
/// and 1.3, no certificate asked of clients, `http/1.1` as the protocol (ALPN).
///
/// # Errors
///
/// When one of the two is missing or broken, or they do not belong together.
pub fn server_config(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, rustls::Error> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| general(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = alpn();
    Ok(Arc::new(config))
}

/// Named for each configuration: a process may hold several and a default, or none, and both would be another's choice.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn alpn() -> Vec<Vec<u8>> {
    Vec::from([b"http/1.1".to_vec()])
}

/// All certificates in this PEM text, of which there has to be one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(general(&"no certificate in the PEM text")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(general(&error)),
    }
}

fn general(what: &dyn std::fmt::Display) -> rustls::Error {
    rustls::Error::General(what.to_string())
}

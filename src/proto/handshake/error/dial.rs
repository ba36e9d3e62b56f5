//! [`DialError`]: no connection to the host; and the message of a TLS failure.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use std::io;

/// No connection to the host: its name was not found, or no address accepted the connection.
///
/// ```
/// use std::io;
///
/// use bowsprit::handshake::DialError;
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let error = DialError::new("localhost:9001", "127.0.0.1:9001".parse().ok(), refused);
/// assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
/// assert_eq!(error.to_string(), "cannot connect to localhost:9001 (127.0.0.1:9001): connection refused");
/// ```
#[derive(Clone, Debug)]
pub struct DialError {
    authority: String,
    address: Option<SocketAddr>,
    error: Arc<io::Error>,
}

impl DialError {
    /// The attempt to connect to `authority` ([`Uri::authority`](crate::handshake::Uri::authority)) failed with `error`;
    /// `address` is the one that was tried last, or `None` when the host's name was not found.
    #[must_use]
    pub fn new(authority: impl Into<String>, address: Option<SocketAddr>, error: io::Error) -> Self {
        Self { authority: authority.into(), address, error: Arc::new(error) }
    }

    /// Host and port of the address that was given.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The network address that was tried last; `None` when the host's name was not found.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }

    /// The failure itself.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }
}

/// Compares the kinds of the failures, since `io::Error` itself does not compare.
impl PartialEq for DialError {
    fn eq(&self, other: &Self) -> bool {
        (&self.authority, self.address, self.kind()) == (&other.authority, other.address, other.kind())
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, address, error } = self;
        match address {
            Some(address) => write!(f, "cannot connect to {authority} ({address}): {error}"),
            None => write!(f, "cannot find the host of {authority}: {error}"),
        }
    }
}

impl core::error::Error for DialError {}

/// What TLS failed with, and what to look at.
#[cfg(feature = "rustls")]
pub(super) fn fmt_tls(error: &rustls::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "TLS failed: {error}")?;
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            f.write_str("; give the root certificates to trust to `Connector::tls`")
        }
        rustls::Error::InvalidMessage(_) => {
            f.write_str("; the peer may not speak TLS: the scheme may be wrong (ws:// instead of wss://)")
        }
        _ => Ok(()),
    }
}

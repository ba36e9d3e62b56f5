//! The message of a TLS failure.

use core::fmt;

/// What TLS failed with, and what to look at.
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

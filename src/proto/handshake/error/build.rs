//! [`BuildError`]: a request or a response that cannot be sent.

use alloc::string::String;
use core::fmt;

/// The caller asked for a request or a response that cannot be sent. Nothing was sent, and nothing changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A header whose name is not a token, or whose value holds control characters; its name.
    InvalidHeader(String),
    /// A header that the handshake or HTTP sets itself; its name.
    ReservedHeader(String),
    /// A header that was given twice; its name.
    RepeatedHeader(String),
    /// A header that a response with this status must have (RFC 9110 sections 15.5.2 and 15.5.6); its name.
    MissingHeader(&'static str),
    /// A subprotocol that is not a token or was given twice; or, when a server accepts, one that the client has not offered
    /// (RFC 6455 sections 4.1 and 4.2.2).
    InvalidSubprotocol(String),
    /// A text that is neither an origin nor a pattern for origins; the text.
    InvalidOrigin(String),
    /// A status that cannot answer this request, or one that has no body, together with a body.
    InvalidStatus(u16),
    /// The HTTP library does not hand over the connection of this request.
    NotUpgradable,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHeader(name) => write!(f, "the header {name:?} holds characters that are not allowed there"),
            Self::ReservedHeader(name) => write!(f, "the header {name:?} is set by the handshake itself"),
            Self::RepeatedHeader(name) => write!(f, "the header {name:?} is given twice"),
            Self::MissingHeader(name) => write!(f, "a response with this status needs the header {name}"),
            Self::InvalidSubprotocol(name) => {
                write!(f, "the subprotocol {name:?} is not a token, repeated, or not offered")
            }
            Self::InvalidOrigin(text) => write!(
                f,
                "{text:?} is not an origin: write `https://example.com`, `https://*.example.com` for all its \
                 subdomains, `file://` or `null`; for every origin use `OriginPolicy::Any`"
            ),
            Self::InvalidStatus(status) => write!(f, "the status {status} is not possible here"),
            Self::NotUpgradable => f.write_str("the connection of this request cannot be upgraded"),
        }
    }
}

impl core::error::Error for BuildError {}

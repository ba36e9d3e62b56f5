//! [`ResponseError`]: a 101 that breaks a rule; and the message of a refusal.

use core::fmt;

use super::super::client::ClientResponse;
use super::super::reply;
use super::super::text::Excerpt;
use super::head::HeadError;

/// The server's response breaks a rule (RFC 6455 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head cannot be read.
    Head(HeadError),
    /// HTTP/1.0, which has no upgrade.
    Http10,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` without `Upgrade`, or one that breaks its grammar (RFC 9110 section 7.6.1).
    Connection,
    /// `Sec-WebSocket-Accept` does not answer the key.
    Accept,
    /// `Sec-WebSocket-Extensions` breaks its grammar, or names what was not offered (section 9.1).
    Extensions,
    /// `Sec-WebSocket-Protocol` is there several times, or names what was not offered.
    Subprotocol,
    /// No subprotocol, and the request
    /// [requires one](crate::handshake::ClientRequest::require_subprotocol).
    NoSubprotocol,
}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(HeadError::Tls) => {
                "the server speaks TLS on this port: the scheme of the address may be wrong (ws:// instead of wss://)"
            }
            Self::Head(error) => return fmt::Display::fmt(error, f),
            Self::Http10 => "the server speaks HTTP/1.0, which has no upgrade",
            Self::Upgrade => "the Upgrade header of the server is not websocket",
            Self::Connection => "the Connection header of the server is malformed or does not contain Upgrade",
            Self::Accept => "the Sec-WebSocket-Accept header of the server does not answer the key",
            Self::Extensions => "the Sec-WebSocket-Extensions header of the server is malformed or was not offered",
            Self::Subprotocol => "the Sec-WebSocket-Protocol header of the server is malformed or was not offered",
            Self::NoSubprotocol => "the server agreed to no subprotocol",
        })
    }
}

impl core::error::Error for ResponseError {}

/// Status, where to go or how to authenticate, and the beginning of a body that is text. `who` refused.
pub(in crate::proto) fn fmt_refusal(who: &str, response: &ClientResponse, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let status = response.status();
    match reply::reason(status) {
        "" => write!(f, "{who} refused with status {status}")?,
        reason => write!(f, "{who} refused: {status} {reason}")?,
    }
    for name in ["Location", "WWW-Authenticate", "Proxy-Authenticate"] {
        if let Some(value) = response.headers().get_all(name).next() {
            write!(f, "; {name}: {}", Excerpt(value))?;
        }
    }
    let body = response.body_text().trim_ascii();
    if !body.is_empty() { write!(f, "; {}", Excerpt(body.as_bytes())) } else { Ok(()) }
}

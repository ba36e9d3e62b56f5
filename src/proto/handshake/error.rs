//! [`HandshakeError`]: why the connection did not open, and how a server says so.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

use bytes::BytesMut;

use super::client::Response;
use super::fields::Fields;
use super::reply;
use super::uri::UriError;

/// The connection did not open.
///
/// On a server each kind knows the HTTP status that answers it; [`respond`](Self::respond) writes that answer.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    // The caller's side: nothing went out. A server answers 500 to its client.
    /// The address is no WebSocket URI (section 3).
    Uri(UriError),
    /// A `wss` address, and nothing that speaks TLS: nothing was dialled (section 10.6).
    TlsUnavailable,
    /// A field whose name is no token, or whose value holds control characters; the name.
    InvalidField(String),
    /// A field that the handshake or HTTP sets itself; the name.
    ReservedField(String),
    /// A field that was given twice; the name.
    RepeatedField(String),
    /// A field that this status must have; the name.
    MissingField(&'static str),
    /// A subprotocol that is no token or was given twice, or that the client has not offered (sections 4.1, 4.2.2).
    InvalidSubprotocol(String),
    /// A status that cannot stand here, or that cannot have a body.
    InvalidStatus(u16),
    /// Whoever speaks HTTP here gives no connection away.
    NotUpgradable,

    // Both sides.
    /// TLS failed: the certificate is none to trust or of another host, or the peer does not speak TLS. Nothing of
    /// WebSocket was sent.
    #[cfg(feature = "rustls")]
    Tls(rustls::Error),
    /// Not a head of HTTP/1.1 (RFC 9112).
    InvalidHead,
    /// HTTP/1.0, or a version that is not known.
    HttpVersion,
    /// A head of more bytes or fields than [`Config`](crate::Config) allows (section 10.4).
    HeadTooLarge,
    /// The handshake took longer than [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    TimedOut,
    /// `Connection` without `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Extensions` that breaks its grammar; or that names what was not offered (sections 4.1, 9.1).
    Extensions,
    /// `Sec-WebSocket-Protocol` that breaks its grammar; or that names what was not offered (section 4.1).
    Subprotocol,

    // The client's checks of the response (section 4.1).
    /// The server answered with another status than 101; what it answered.
    Refused(Box<Response>),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Sec-WebSocket-Accept` does not answer the key.
    Accept,
    /// No subprotocol, and the request required one.
    NoSubprotocol,

    // The server's checks of the request (section 4.2.1).
    /// A request of HTTP that does not ask for WebSocket.
    NoUpgrade,
    /// A method other than GET.
    Method,
    /// A request-target that names no resource.
    Target,
    /// No valid `Host`, or several.
    Host,
    /// A handshake with a body: what is behind the head would be no frame.
    Body,
    /// `Expect`, which is not met.
    Expectation,
    /// No valid `Sec-WebSocket-Key`, or several.
    Key,
    /// No valid `Sec-WebSocket-Version`, or several.
    Version,
    /// A version of the protocol other than 13.
    UnsupportedVersion,
    /// Several `Origin`s.
    RepeatedOrigin,
    /// An `Origin` that the [`OriginPolicy`](crate::proto::handshake::OriginPolicy) does not accept.
    Origin,
}

impl HandshakeError {
    /// The HTTP status with which a server answers this; `None` for what only a client meets.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Refused(_) | Self::Upgrade | Self::Accept | Self::NoSubprotocol => return None,
            Self::Uri(_) | Self::TlsUnavailable => return None,
            #[cfg(feature = "rustls")]
            Self::Tls(_) => return None,
            Self::InvalidHead | Self::HttpVersion | Self::Target | Self::Host | Self::Body => 400,
            Self::Connection | Self::Key | Self::Version | Self::RepeatedOrigin => 400,
            Self::Extensions | Self::Subprotocol => 400,
            Self::Origin => 403,
            Self::Method => 405,
            Self::TimedOut => 408,
            Self::Expectation => 417,
            // RFC 6455 section 4.2.2, step 4: an error "such as 426".
            Self::NoUpgrade | Self::UnsupportedVersion => 426,
            Self::HeadTooLarge => 431,
            Self::InvalidField(_) | Self::ReservedField(_) | Self::RepeatedField(_) | Self::MissingField(_) => 500,
            Self::InvalidSubprotocol(_) | Self::InvalidStatus(_) | Self::NotUpgradable => 500,
        })
    }

    /// Appends the answer to `output`: the status, the fields that go with it, and, unless it is the server's own
    /// fault, a line of text that says why. Close the connection once it is sent. Writes nothing when there is no
    /// [`status`](Self::status).
    ///
    /// ```
    /// use bowsprit::HandshakeError;
    /// use bytes::BytesMut;
    ///
    /// let mut output = BytesMut::new();
    /// HandshakeError::Method.respond(&mut output);
    /// assert!(output.starts_with(b"HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\n"));
    /// ```
    pub fn respond(&self, output: &mut BytesMut) {
        if let Some((status, fields, body)) = self.reply() {
            reply::encode(status, &fields, body.as_bytes(), reply::Body::Sent, output);
        }
    }

    /// The answer: status, header fields and body.
    pub(crate) fn reply(&self) -> Option<(u16, Fields, String)> {
        let status = self.status()?;
        let mut fields = Fields::new();
        match self {
            Self::Method => fields.append("Allow", b"GET"),
            // RFC 6455 section 4.4: a server lists the versions that it supports. With 426, all answers have it.
            Self::Version => fields.append("Sec-WebSocket-Version", b"13"),
            _ => {}
        }
        let body = if status == 500 { String::new() } else { format!("{self}\n") };
        if !body.is_empty() {
            fields.append("Content-Type", b"text/plain");
        }
        Some((status, reply::complete(status, &fields), body))
    }
}

impl From<UriError> for HandshakeError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => fmt::Display::fmt(error, f),
            Self::TlsUnavailable => f.write_str("a wss:// address needs TLS, which is not available here"),
            #[cfg(feature = "rustls")]
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::InvalidField(name) => write!(f, "the header {name:?} holds characters that may not stand there"),
            Self::ReservedField(name) => write!(f, "the header {name:?} is set by the handshake itself"),
            Self::RepeatedField(name) => write!(f, "the header {name} is given twice"),
            Self::MissingField(name) => write!(f, "a response with this status needs the header {name}"),
            Self::InvalidSubprotocol(name) => {
                write!(f, "the subprotocol {name:?} is no token, repeated or not offered")
            }
            Self::InvalidStatus(status) => write!(f, "the status {status} is not possible here"),
            Self::NotUpgradable => f.write_str("the connection of this request cannot be upgraded"),
            Self::InvalidHead => f.write_str("the peer does not speak HTTP/1.1"),
            Self::HttpVersion => f.write_str("the peer does not speak HTTP/1.1 but another version"),
            Self::HeadTooLarge => f.write_str("the peer sent more header than is allowed"),
            Self::TimedOut => f.write_str("the opening handshake took too long"),
            Self::Connection => f.write_str("the Connection header does not say Upgrade"),
            Self::Extensions => f.write_str("the Sec-WebSocket-Extensions header is malformed or was not asked for"),
            Self::Subprotocol => f.write_str("the Sec-WebSocket-Protocol header is malformed or was not asked for"),
            Self::Refused(response) => match (response.status(), reply::reason(response.status())) {
                (status, "") => write!(f, "the server refused with status {status}"),
                (status, reason) => write!(f, "the server refused: {status} {reason}"),
            },
            Self::Upgrade => f.write_str("the Upgrade header of the server does not say websocket"),
            Self::Accept => f.write_str("the Sec-WebSocket-Accept header of the server does not answer the key"),
            Self::NoSubprotocol => f.write_str("the server agreed to no subprotocol"),
            Self::NoUpgrade => f.write_str("this is a WebSocket endpoint: the request does not ask for an upgrade"),
            Self::Method => f.write_str("a WebSocket handshake is a GET request"),
            Self::Target => f.write_str("the request names no resource"),
            Self::Host => f.write_str("the request has no valid Host header"),
            Self::Body => f.write_str("a WebSocket handshake has no body"),
            Self::Expectation => f.write_str("the Expect header is not supported"),
            Self::Key => f.write_str("the Sec-WebSocket-Key header is not 16 bytes in base64"),
            Self::Version => f.write_str("the Sec-WebSocket-Version header is missing or malformed"),
            Self::UnsupportedVersion => f.write_str("only version 13 of WebSocket is supported"),
            Self::RepeatedOrigin => f.write_str("the request has several Origin headers"),
            Self::Origin => f.write_str("pages of this origin may not connect"),
        }
    }
}

impl core::error::Error for HandshakeError {}

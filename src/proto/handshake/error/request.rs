//! [`RequestError`]: a request that breaks a rule.

use alloc::boxed::Box;
use core::fmt;

use super::head::HeadError;

/// The client's request breaks a rule (RFC 6455 section 4.2.1, RFC 9110, RFC 9112).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The head cannot be read. 400; 431 when it is too long, 505 for another version of HTTP.
    Head(HeadError),
    /// The request-target alone is longer than [`Config::max_head`](crate::Config::max_head) (RFC 9112 section 3). 414.
    TargetTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A request-target that names no resource, or holds characters that are not allowed in it. 400.
    Target,
    /// No valid `Host`, or several. 400.
    Host,
    /// HTTP/1.0, which has no upgrade. 400.
    Http10,
    /// A plain HTTP request, where a WebSocket handshake is required. 426.
    NoUpgrade,
    /// A method other than GET. 405.
    Method,
    /// `Upgrade` breaks its grammar (RFC 9110 section 7.8). 400.
    Upgrade,
    /// `Connection` without `Upgrade`, or one that breaks its grammar (RFC 9110 section 7.6.1). 400.
    Connection,
    /// A handshake with a body. 400.
    Body,
    /// `Expect`, which is not supported. 417.
    Expectation,
    /// No valid `Sec-WebSocket-Key`, or several. 400.
    Key,
    /// No valid `Sec-WebSocket-Version`, or several. 400.
    Version,
    /// A version of the WebSocket protocol other than 13. 426.
    UnsupportedVersion,
    /// Several `Origin` fields. 400.
    RepeatedOrigin,
    /// `Sec-WebSocket-Protocol` breaks its grammar. 400.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` breaks its grammar (section 9.1). 400.
    Extensions,
    /// A `HEAD` request breaks this rule. The answer has the status of the rule, and no body (RFC 9110 section 9.3.2).
    HeadMethod(Box<Self>),
}

impl RequestError {
    /// The HTTP status with which a server answers.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Head(HeadError::Malformed | HeadError::Tls) => 400,
            // RFC 6585 section 5
            Self::Head(HeadError::TooLong { .. } | HeadError::TooManyFields { .. }) => 431,
            // RFC 9110 section 15.6.6
            Self::Head(HeadError::Version) => 505,
            Self::TargetTooLong { .. } => 414,
            Self::Target | Self::Host | Self::Http10 | Self::Upgrade | Self::Connection | Self::Body => 400,
            Self::Key | Self::Version | Self::RepeatedOrigin | Self::Subprotocol | Self::Extensions => 400,
            Self::Method => 405,
            Self::Expectation => 417,
            // RFC 6455 section 4.2.2, step 4: an error "such as 426".
            Self::NoUpgrade | Self::UnsupportedVersion => 426,
            Self::HeadMethod(error) => error.status(),
        }
    }

    /// The error of a request with this method.
    pub(in crate::proto::handshake) fn of_method(self, method: &[u8]) -> Self {
        if method == b"HEAD" { Self::HeadMethod(Box::new(self)) } else { self }
    }
}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(HeadError::Tls) => {
                "the client speaks TLS, and this port does not: the scheme of its address may be wrong (wss:// instead of ws://)"
            }
            Self::Head(error) => return fmt::Display::fmt(error, f),
            Self::HeadMethod(error) => return fmt::Display::fmt(error, f),
            Self::TargetTooLong { limit } => {
                return write!(f, "the request-target is longer than {limit} bytes");
            }
            Self::Target => "the request-target names no resource or holds characters that are not allowed in it",
            Self::Host => "the request has no valid Host header",
            Self::Http10 => "a WebSocket handshake needs HTTP/1.1, not HTTP/1.0",
            Self::NoUpgrade => "this is a WebSocket endpoint: the request does not ask for an upgrade",
            Self::Method => "a WebSocket handshake is a GET request",
            Self::Upgrade => "the Upgrade header is malformed",
            Self::Connection => "the Connection header is malformed or does not contain Upgrade",
            Self::Body => "a WebSocket handshake has no body",
            Self::Expectation => "the Expect header is not supported",
            Self::Key => "the Sec-WebSocket-Key header is not 16 bytes in base64",
            Self::Version => "the Sec-WebSocket-Version header is missing or malformed",
            Self::UnsupportedVersion => "only version 13 of WebSocket is supported",
            Self::RepeatedOrigin => "the request has several Origin headers",
            Self::Subprotocol => "the Sec-WebSocket-Protocol header is malformed",
            Self::Extensions => "the Sec-WebSocket-Extensions header is malformed",
        })
    }
}

impl core::error::Error for RequestError {}

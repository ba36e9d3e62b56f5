//! [`HandshakeError`]: why the connection did not open, and how a server answers it.

mod build;
mod head;
mod origin;
mod request;
mod response;
#[cfg(feature = "rustls")]
mod tls;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;

pub use build::BuildError;
pub use head::HeadError;
pub use origin::OriginError;
pub use request::RequestError;
pub use response::ResponseError;
pub(in crate::proto) use response::fmt_refusal;

use super::client::ClientResponse;
use super::headers::Headers;
use super::reply;
use super::uri_error::UriError;

/// The connection did not open. Each variant names what failed.
///
/// On a server, [`status`](Self::status) is the HTTP status that answers the error, and [`respond`](Self::respond) writes
/// that answer.
///
/// ```
/// use bowsprit::handshake::RequestError;
/// use bowsprit::HandshakeError;
///
/// let error = HandshakeError::from(RequestError::UnsupportedVersion);
/// assert_eq!(error.status(), Some(426));
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client's request breaks a rule (RFC 6455 section 4.2.1). Only a server gets this.
    Request(RequestError),
    /// The server agreed, but its response breaks a rule (section 4.1). Only a client gets this.
    Response(ResponseError),
    /// The server answered with a status other than 101; the response. Only a client gets this.
    Refused(Box<ClientResponse>),
    /// The server's [`OriginPolicy`](super::OriginPolicy) refuses the `Origin` of the request (section 10.2).
    Origin(OriginError),
    /// The caller asked for a request or a response that cannot be sent. Nothing was sent. A server that reports it to its
    /// client answers 500.
    Build(BuildError),
    /// The address is not a WebSocket URI (section 3). Nothing was sent.
    Uri(UriError),
    /// The address is `wss`, and the crate was built without TLS. Nothing was dialled (section 10.6).
    TlsUnavailable,
    /// TLS failed: the certificate is not trusted or names another host, or the peer does not speak TLS. No byte of the
    /// WebSocket handshake was sent.
    #[cfg(feature = "rustls")]
    Tls(rustls::Error),
    /// The handshake was not complete after this long: [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    TimedOut(Duration),
}

/// An HTTP response that answers a [`HandshakeError`], for an HTTP library to send.
///
/// ```
/// use bowsprit::HandshakeError;
/// use bowsprit::handshake::RequestError;
///
/// let response = HandshakeError::from(RequestError::Method).response().expect("a server answers it");
/// assert_eq!(response.status, 405);
/// assert_eq!(response.headers.get("Allow"), Some("GET"));
/// assert_eq!(response.headers.get("Connection"), Some("close"));
/// assert_eq!(response.body, "a WebSocket handshake is a GET request\n");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// All header fields but `Content-Length`. `Connection: close` is among them.
    pub headers: Headers,
    /// The body. The answer to a `HEAD` request is sent without it.
    pub body: String,
}

impl HandshakeError {
    /// The HTTP status with which a server answers this error; `None` for errors that only a client gets.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Request(error) => error.status(),
            Self::Origin(_) => 403,
            Self::TimedOut(_) => 408,
            Self::Build(_) => 500,
            Self::Response(_) | Self::Refused(_) | Self::Uri(_) | Self::TlsUnavailable => return None,
            #[cfg(feature = "rustls")]
            Self::Tls(_) => return None,
        })
    }

    /// Appends the answer to `output`: status, header fields (`Connection: close` is among them), and a line of text that
    /// says which rule was broken. The text is empty for 500. Close the connection once the answer is written. Appends
    /// nothing when [`status`](Self::status) is `None`.
    ///
    /// ```
    /// use bowsprit::HandshakeError;
    /// use bowsprit::handshake::RequestError;
    /// use bytes::BytesMut;
    ///
    /// let mut output = BytesMut::new();
    /// HandshakeError::from(RequestError::Method).respond(&mut output);
    /// assert!(output.starts_with(b"HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\n"));
    /// ```
    pub fn respond(&self, output: &mut BytesMut) {
        if let Some(ErrorResponse { status, headers, body }) = self.response() {
            let send = if self.answers_head() { reply::Body::LeftOut } else { reply::Body::Sent };
            reply::encode(status, &headers, body.as_bytes(), send, output);
        }
    }

    /// The answer, for an HTTP library to send: the same as [`respond`](Self::respond) writes. `None` when
    /// [`status`](Self::status) is.
    #[must_use]
    pub fn response(&self) -> Option<ErrorResponse> {
        let status = self.status()?;
        let mut headers = Headers::new();
        match self.request_error() {
            Some(RequestError::Method) => headers.append("Allow", b"GET"),
            // RFC 6455 section 4.4: a server lists the versions that it supports. 426 always has the header.
            Some(RequestError::Version) => headers.append("Sec-WebSocket-Version", b"13"),
            _ => {}
        }
        let body = match self {
            // The caller's own error: the client learns nothing of it.
            Self::Build(_) => String::new(),
            // What the policy compares stays in the server's log.
            Self::Origin(_) => String::from("pages of this origin may not connect\n"),
            _ => format!("{self}\n"),
        };
        if !body.is_empty() {
            headers.append("Content-Type", b"text/plain");
        }
        Some(ErrorResponse { status, headers: reply::complete(status, &headers), body })
    }

    /// The broken rule, also of a HEAD request.
    fn request_error(&self) -> Option<&RequestError> {
        match self {
            Self::Request(RequestError::HeadMethod(error)) => Some(error),
            Self::Request(error) => Some(error),
            _ => None,
        }
    }

    /// RFC 9110 section 9.3.2: the response to HEAD has no content.
    const fn answers_head(&self) -> bool {
        matches!(self, Self::Request(RequestError::HeadMethod(_)))
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => fmt::Display::fmt(error, f),
            Self::Response(error) => fmt::Display::fmt(error, f),
            Self::Refused(refusal) => fmt_refusal("the server", refusal, f),
            Self::Origin(error) => fmt::Display::fmt(error, f),
            Self::Build(error) => fmt::Display::fmt(error, f),
            Self::Uri(error) => fmt::Display::fmt(error, f),
            Self::TlsUnavailable => {
                f.write_str("a wss:// address needs TLS: enable the feature `rustls` of the crate bowsprit")
            }
            #[cfg(feature = "rustls")]
            Self::Tls(error) => tls::fmt_tls(error, f),
            Self::TimedOut(limit) => write!(f, "the opening handshake was not complete after {limit:?}"),
        }
    }
}

impl core::error::Error for HandshakeError {}

impl From<RequestError> for HandshakeError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ResponseError> for HandshakeError {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

impl From<OriginError> for HandshakeError {
    fn from(error: OriginError) -> Self {
        Self::Origin(error)
    }
}

impl From<BuildError> for HandshakeError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<UriError> for HandshakeError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

#[cfg(feature = "rustls")]
impl From<rustls::Error> for HandshakeError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

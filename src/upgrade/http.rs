//! The opening handshake in types of the crate `http`, both roles, without a socket.
//!
//! For a server or a client of HTTP that hands out such types, and then its connection. Heads are bounded, read and
//! written by them; [`Config::max_head`](crate::Config::max_head),
//! [`Config::max_head_fields`](crate::Config::max_head_fields) and
//! [`Config::handshake_timeout`](crate::Config::handshake_timeout) say nothing here.
//!
//! ```
//! use bowsprit::handshake::{client, server};
//! use bowsprit::{Config, Connection, Messages, upgrade};
//! use std::sync::Arc;
//!
//! let config = Arc::new(Config::default());
//!
//! // The client: 16 random bytes, fresh for every attempt.
//! let request = client::Request::try_from("ws://example.com/chat")?;
//! let (handshake, request) = upgrade::http::Handshake::start(&request, [1; 16], config.clone())?;
//!
//! // The server.
//! let response = match upgrade::http::receive(&request, config.clone()) {
//!     Err(error) => upgrade::http::refuse(&error),
//!     Ok(received) if received.path() != "/chat" => ::http::Response::new("no such thing\n".into()),
//!     Ok(received) => {
//!         let (response, accepted) = upgrade::http::accept(&received, &server::Accept::new())?;
//!         let _connection = Connection::server(Messages, config).with_extensions(accepted.extensions());
//!         response.map(|()| String::new())
//!     }
//! };
//! assert_eq!(response.status(), 101);
//!
//! // The client.
//! let response = handshake.receive(&response)?;
//! assert_eq!(response.subprotocol(), None);
//! # Ok::<(), bowsprit::HandshakeError>(())
//! ```

use std::string::{String, ToString as _};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, request};

use crate::Config;
use crate::handshake::client::{self, Expected};
use crate::handshake::server::{self, Accept, Accepted};
use crate::handshake::{Fields, HandshakeError, RequestHead, ResponseHead, UriError};

/// Checks a request that has arrived at a server. One of plain HTTP is no error:
/// [`is_upgrade`](server::Request::is_upgrade) tells.
///
/// # Errors
///
/// The kind that names the broken rule; [`refuse`] makes the answer.
pub fn receive<B>(request: &Request<B>, config: Arc<Config>) -> Result<server::Request, HandshakeError> {
    check(request.method().as_str(), request.uri(), request.version(), request.headers(), config)
}

/// [`receive`] of a request that has been taken apart.
///
/// # Errors
///
/// As [`receive`].
pub fn receive_parts(parts: &request::Parts, config: Arc<Config>) -> Result<server::Request, HandshakeError> {
    check(parts.method.as_str(), &parts.uri, parts.version, &parts.headers, config)
}

/// Agrees: the 101. The connection is open once that is sent, and the connection of HTTP belongs to it.
///
/// # Errors
///
/// As [`server::Request::accept`]; and [`HandshakeError::InvalidField`] for a header name that is too long for `http`.
pub fn accept(request: &server::Request, choices: &Accept) -> Result<(Response<()>, Accepted), HandshakeError> {
    let (fields, accepted) = request.agree(choices)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers(&fields)?;
    Ok((response, accepted))
}

/// The answer that says why not: the [`status`](HandshakeError::status), the fields that go with it, and, unless it is
/// the server's own fault, a line of text. 500 for what only a client meets.
///
/// It has HTTP close the connection: what may stand behind a refused handshake must not be taken for a request.
///
/// ```
/// use bowsprit::{HandshakeError, upgrade};
///
/// let response = upgrade::http::refuse(&HandshakeError::UnsupportedVersion);
/// assert_eq!(response.status(), 426);
/// assert_eq!(response.headers()["Sec-WebSocket-Version"], "13");
/// ```
#[must_use]
pub fn refuse(error: &HandshakeError) -> Response<String> {
    let (status, fields, body) = error.reply().unwrap_or_else(|| (500, Fields::new(), String::new()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The fields are our own: all of them have their place in a header map.
    *response.headers_mut() = headers(&fields).unwrap_or_default();
    response
}

/// A client's handshake whose request is on its way.
#[derive(Debug)]
pub struct Handshake {
    expected: Expected,
}

impl Handshake {
    /// The request to send, in origin-form and with its `Host`; the connection must lead to that host. Send nothing
    /// else before the response is there (RFC 6455 section 4.1).
    ///
    /// `nonce` is 16 bytes from a random source, fresh for every attempt.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Uri`] and [`HandshakeError::InvalidField`] for a resource name or a header name that is too
    /// long for `http`: its limit is just below 64 KiB.
    pub fn start(
        request: &client::Request,
        nonce: [u8; 16],
        config: Arc<Config>,
    ) -> Result<(Self, Request<()>), HandshakeError> {
        let (fields, expected) = Expected::of(request, nonce, config);
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().resource_name().parse().map_err(|_| UriError::Resource)?;
        *head.headers_mut() = headers(&fields)?;
        Ok((Self { expected }, head))
    }

    /// Checks the response. It must not be an interim one; HTTP skips these.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with status and fields, but without the body, when the status is not 101; else the
    /// kind that names the rule that the response breaks: then close the connection, whoever holds it.
    pub fn receive<B>(&self, response: &Response<B>) -> Result<client::Response, HandshakeError> {
        let (is_old, fields) = (is_old(response.version())?, fields(response.headers())?);
        self.expected.check(ResponseHead { status: response.status().as_u16(), is_old, fields })
    }
}

fn check(
    method: &str,
    target: &Uri,
    version: Version,
    headers: &HeaderMap,
    config: Arc<Config>,
) -> Result<server::Request, HandshakeError> {
    let (is_old, fields) = (is_old(version)?, fields(headers)?);
    server::Request::new(RequestHead { method: method.into(), target: target.to_string(), is_old, fields }, config)
}

/// Whether it is HTTP/1.0. HTTP/2 and HTTP/3 have no Upgrade; they open a WebSocket by extended CONNECT (RFC 8441, RFC
/// 9220), whose rules would have their place in `handshake`.
fn is_old(version: Version) -> Result<bool, HandshakeError> {
    match version {
        Version::HTTP_11 => Ok(false),
        Version::HTTP_10 => Ok(true),
        _ => Err(HandshakeError::HttpVersion),
    }
}

fn fields(headers: &HeaderMap) -> Result<Fields, HandshakeError> {
    let mut fields = Fields::new();
    for (name, value) in headers {
        fields.push(name.as_str(), value)?;
    }
    Ok(fields)
}

fn headers(fields: &Fields) -> Result<HeaderMap, HandshakeError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter() {
        let invalid = || HandshakeError::InvalidField(name.into());
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        headers.try_append(name, value).map_err(|_| invalid())?;
    }
    Ok(headers)
}

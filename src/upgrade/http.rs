//! The opening handshake in types of the crate `http`, both roles, without a socket.
//!
//! For HTTP servers and clients that hand out such types, and later the connection. They bound, read and write the heads:
//! [`Config::max_head`](crate::Config::max_head), [`Config::max_head_fields`](crate::Config::max_head_fields) and
//! [`Config::handshake_timeout`](crate::Config::handshake_timeout) have no effect here.
//!
//! The verdicts are those of [`ServerHandshake`](crate::handshake::ServerHandshake), over what the HTTP library hands out.
//! Where that has lost something, the verdict can differ: `http::Uri` drops the fragment of a request-target (`/a#b`
//! becomes `/a`), and HTTP/1.2 to 1.9 cannot be told apart from HTTP/1.1, if the library accepts them at all.
//!
//! ```
//! use bowsprit::handshake::{AcceptOptions, ClientRequest};
//! use bowsprit::{Config, Connection, Messages, upgrade};
//! use std::sync::Arc;
//!
//! let config = Arc::new(Config::default());
//!
//! // The client: 16 random bytes, fresh for every attempt.
//! let request = ClientRequest::try_from("ws://example.com/chat")?;
//! let (handshake, request) = upgrade::http::Handshake::start(&request, [1; 16], config.clone())?;
//!
//! // The server.
//! let response = match upgrade::http::receive(&request, config.clone()) {
//!     Err(error) => upgrade::http::refuse(&error),
//!     Ok(received) if received.path() != "/chat" => {
//!         upgrade::http::respond(&received, ::http::Response::new("no such thing\n".into()))
//!     }
//!     Ok(received) => {
//!         let (response, accepted) = upgrade::http::accept(&received, &AcceptOptions::new())?;
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

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header, request};

use crate::Config;
use crate::handshake::{
    AcceptOptions, Accepted, BuildError, ClientRequest, ClientResponse, HandshakeError, HeadError, Headers,
    HttpVersion, RequestError, ResponseError, ResponseValidator, ServerRequest, UriError,
};

/// Checks a request that has arrived at a server. A plain HTTP request is not an error: see
/// [`is_upgrade`](ServerRequest::is_upgrade).
///
/// # Errors
///
/// As [`ServerRequest::from_parts`]: [`HandshakeError::Request`] with the broken rule, [`HandshakeError::Origin`] for an
/// `Origin` that is not ASCII. A version other than HTTP/1.x is [`HeadError::Version`]. [`refuse`] makes the answer.
pub fn receive<B>(request: &Request<B>, config: Arc<Config>) -> Result<ServerRequest, HandshakeError> {
    check(request.method().as_str(), request.uri(), request.version(), request.headers(), config)
}

/// [`receive`] of a request that has been taken apart.
///
/// # Errors
///
/// The same as [`receive`].
pub fn receive_parts(parts: &request::Parts, config: Arc<Config>) -> Result<ServerRequest, HandshakeError> {
    check(parts.method.as_str(), &parts.uri, parts.version, &parts.headers, config)
}

/// Accepts the handshake: the 101. Once it is sent, the connection is open, and HTTP must not use it any more.
///
/// # Errors
///
/// [`RequestError::NoUpgrade`] for plain HTTP; [`HandshakeError::Origin`] when the policy refuses the origin;
/// [`BuildError::InvalidSubprotocol`] for a subprotocol that the client has not offered; [`BuildError::InvalidHeader`] for
/// a header name that is too long for the crate `http`.
pub fn accept(request: &ServerRequest, options: &AcceptOptions) -> Result<(Response<()>, Accepted), HandshakeError> {
    let (headers, accepted) = request.accept_headers(options)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = to_header_map(&headers)?;
    Ok((response, accepted))
}

/// The response that answers an error: its [`status`](HandshakeError::status), the headers that belong to it, and a line of
/// text that says which rule was broken; 500 without a text for errors that only a client gets.
///
/// It says `Connection: close`: the bytes after a refused handshake must not be read as another request.
///
/// ```
/// use bowsprit::handshake::RequestError;
/// use bowsprit::upgrade;
///
/// let response = upgrade::http::refuse(&RequestError::UnsupportedVersion.into());
/// assert_eq!(response.status(), 426);
/// assert_eq!(response.headers()["Sec-WebSocket-Version"], "13");
/// ```
#[must_use]
pub fn refuse(error: &HandshakeError) -> Response<String> {
    let Some(answer) = error.response() else {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return close(response);
    };
    let mut response = Response::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The headers are our own: each fits into a header map.
    *response.headers_mut() = to_header_map(&answer.headers).unwrap_or_default();
    response
}

/// Prepares a response of your own, such as a 404 or a 401. When the request asks for WebSocket, it gets
/// `Connection: close`: its sender may have sent frames already, and the server must not read them as another request.
/// The response to a plain HTTP request is returned unchanged.
///
/// Pass every response to an upgrade request through this, unless [`accept`] or [`refuse`] made it.
///
/// ```
/// # use bowsprit::handshake::ClientRequest;
/// # use bowsprit::{Config, upgrade};
/// # let request = ClientRequest::try_from("ws://example.com/nothing")?;
/// # let (_, request) = upgrade::http::Handshake::start(&request, [1; 16], Config::default().into())?;
/// let received = upgrade::http::receive(&request, Config::default().into())?;
/// let mut response = http::Response::new("no such thing\n");
/// *response.status_mut() = http::StatusCode::NOT_FOUND;
/// let response = upgrade::http::respond(&received, response);
/// assert_eq!(response.headers()["Connection"], "close");
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[must_use]
pub fn respond<B>(request: &ServerRequest, response: Response<B>) -> Response<B> {
    if request.is_upgrade() { close(response) } else { response }
}

/// Has HTTP close the connection after this response.
fn close<B>(mut response: Response<B>) -> Response<B> {
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110 section 7.8: Upgrade comes with its connection option.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade, close"));
    } else {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A client's handshake: makes the request, and checks the response.
#[derive(Debug)]
pub struct Handshake {
    validator: ResponseValidator,
}

impl Handshake {
    /// The request to send, in origin-form and with its `Host`, over a connection to that host. Send nothing else before
    /// the response has arrived (RFC 6455 section 4.1).
    ///
    /// `nonce` is 16 bytes from a random source, fresh for every attempt.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Uri`] and [`BuildError::InvalidHeader`] for a resource name or a header name that is too long for
    /// the crate `http`: its limit is just below 64 KiB.
    pub fn start(
        request: &ClientRequest,
        nonce: [u8; 16],
        config: Arc<Config>,
    ) -> Result<(Self, Request<()>), HandshakeError> {
        let (headers, validator) = ResponseValidator::new(request, nonce, config);
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().resource_name().parse().map_err(|_| UriError::Resource)?;
        *head.headers_mut() = to_header_map(&headers)?;
        Ok((Self { validator }, head))
    }

    /// Checks the response, which must not be an interim one: HTTP skips these.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with the response, but without its body, when the status is not 101;
    /// [`ClientResponse::set_body`] adds the body. [`HandshakeError::Response`] with the broken rule: close the connection
    /// then.
    pub fn receive<B>(&self, response: &Response<B>) -> Result<ClientResponse, HandshakeError> {
        let version = version(response.version()).map_err(ResponseError::Head)?;
        self.validator.validate(response.status().as_u16(), version, to_headers(response.headers())?)
    }
}

fn check(
    method: &str,
    target: &Uri,
    version: Version,
    headers: &HeaderMap,
    config: Arc<Config>,
) -> Result<ServerRequest, HandshakeError> {
    let version = self::version(version).map_err(RequestError::Head)?;
    ServerRequest::from_parts(method, &target.to_string(), version, to_headers(headers)?, config)
}

/// HTTP/2 and HTTP/3 have no upgrade. They open a WebSocket by extended CONNECT (RFC 8441, RFC 9220), which is not
/// supported.
const fn version(version: Version) -> Result<HttpVersion, HeadError> {
    match version {
        Version::HTTP_11 => Ok(HttpVersion::Http11),
        Version::HTTP_10 => Ok(HttpVersion::Http10),
        _ => Err(HeadError::Version),
    }
}

fn to_headers(map: &HeaderMap) -> Result<Headers, BuildError> {
    let mut headers = Headers::new();
    for (name, value) in map {
        headers.push(name.as_str(), value)?;
    }
    Ok(headers)
}

fn to_header_map(headers: &Headers) -> Result<HeaderMap, BuildError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let invalid = || BuildError::InvalidHeader(name.into());
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        map.try_append(name, value).map_err(|_| invalid())?;
    }
    Ok(map)
}

//! The server's side: the checks of the request, and the answer (RFC 6455 section 4.2).

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::authority::Authority;
use super::error::{BuildError, HandshakeError, HeadError, OriginError, RequestError};
use super::extension_filter::ExtensionFilter;
use super::head::{HeadReader, HttpVersion};
use super::headers::Headers;
use super::origin::OriginPolicy;
use super::uri;
use super::{key, reply};
use crate::proto::config::Config;
use crate::proto::extension::grammar::{self, Element, is_token};
use crate::proto::extension::{self, Agreement};

/// A server's handshake: reads the request, and checks it.
///
/// ```
/// use bowsprit::{Config, handshake::{AcceptOptions, ServerHandshake}};
/// use bytes::BytesMut;
/// use core::time::Duration;
///
/// let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
/// let mut input = BytesMut::from("GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
/// let request = handshake.receive(&mut input)?.expect("the head is whole");
///
/// let mut output = BytesMut::new();
/// match request.path() {
///     "/chat" => drop(request.accept(&AcceptOptions::new(), &mut output)?),
///     _ => request.respond(404, &[], b"no such thing\n", &mut output)?,
/// }
/// assert_eq!(output, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"[..]);
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    reader: HeadReader,
}

impl ServerHandshake {
    /// Waits for a request. [`Config::handshake_timeout`] counts from `now`.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Duration) -> Self {
        Self { reader: HeadReader::new(config, now) }
    }

    /// Takes the request out of `input` and checks it. The bytes after it stay in `input`: they belong to the connection
    /// once the request is accepted, and must not be read as anything else. Returns `None` while the request is not
    /// complete; leave in `input` what is there. Do not call it again once it has returned a request or an error.
    ///
    /// A request that does not ask for WebSocket at all is not an error: see
    /// [`is_upgrade`](ServerRequest::is_upgrade).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Request`] with the broken rule; [`HandshakeError::Origin`] for an `Origin` that is not ASCII.
    /// [`HandshakeError::respond`] writes the answer; then close the connection.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<ServerRequest>, HandshakeError> {
        let Some(head) = self.reader.request(input)? else { return Ok(None) };
        let config = Arc::clone(self.reader.config());
        ServerRequest::new(head.method, &head.target, head.version, head.headers, config).map(Some)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), on the clock that gave `now`.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.reader.poll_timeout()
    }

    /// Checks the deadline.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::TimedOut`] when the deadline has passed.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), HandshakeError> {
        self.reader.handle_timeout(now)
    }
}

/// A request that keeps all rules, of WebSocket's opening handshake or of plain HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerRequest {
    method: String,
    /// Origin-form.
    target: String,
    host: String,
    is_upgrade: bool,
    headers: Headers,
    config: Arc<Config>,
}

impl ServerRequest {
    /// Checks a request that an HTTP library has parsed, by the same rules as [`ServerHandshake::receive`].
    /// [`Config::max_head`], [`Config::max_head_fields`] and [`Config::handshake_timeout`] have no effect here: the
    /// library bounds the head.
    ///
    /// ```
    /// use bowsprit::Config;
    /// use bowsprit::handshake::{Headers, HttpVersion, ServerRequest};
    ///
    /// let mut headers = Headers::new();
    /// for (name, value) in [
    ///     ("Host", "example.com"),
    ///     ("Upgrade", "websocket"),
    ///     ("Connection", "keep-alive, Upgrade"),
    ///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ///     ("Sec-WebSocket-Version", "13"),
    /// ] {
    ///     headers.push(name, value)?;
    /// }
    /// let request = ServerRequest::from_parts("GET", "/chat", HttpVersion::Http11, headers, Config::default().into())?;
    /// assert!(request.is_upgrade());
    /// # Ok::<(), bowsprit::HandshakeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ServerHandshake::receive`]: [`HandshakeError::Request`] with the broken rule, [`HandshakeError::Origin`] for
    /// an `Origin` that is not ASCII. [`HandshakeError::response`] is the answer.
    pub fn from_parts(
        method: &str,
        target: &str,
        version: HttpVersion,
        headers: Headers,
        config: Arc<Config>,
    ) -> Result<Self, HandshakeError> {
        if !is_token(method.as_bytes()) {
            return Err(RequestError::Head(HeadError::Malformed).into());
        }
        Self::new(method.to_owned(), target, version, headers, config)
    }

    fn new(
        method: String,
        target: &str,
        version: HttpVersion,
        headers: Headers,
        config: Arc<Config>,
    ) -> Result<Self, HandshakeError> {
        // RFC 6455 section 4.2.1, item 3; a list, in any case (RFC 9110 section 7.8).
        let is_upgrade = headers.has_token("Upgrade", "websocket");
        let checked = check_resource(target, version, is_upgrade, &headers);
        let (host, target) = checked.map_err(|error| error.of_method(method.as_bytes()))?;
        if is_upgrade {
            check_upgrade(&method, &headers).map_err(|error| error.of_method(method.as_bytes()))?;
            // RFC 6454 section 6.2: an origin is serialized as ASCII. Others must not look like none.
            if let Some(origin) = headers.single("Origin").filter(|origin| !origin.is_ascii()) {
                let origin = String::from_utf8_lossy(origin).into_owned();
                return Err(OriginError { origin, host }.into());
            }
        }
        Ok(Self { method, target, host, is_upgrade, headers, config })
    }

    /// The bounds, deadlines and extensions with which the request was received.
    #[must_use]
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Replaces [`config`](Self::config): another choice of extensions and compression to agree on.
    #[must_use]
    pub fn with_config(self, config: Arc<Config>) -> Self {
        Self { config, ..self }
    }

    /// Whether this asks for WebSocket. If not, it is plain HTTP, and [`respond`](Self::respond) answers it.
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        self.is_upgrade
    }

    /// The method: `GET` when the request asks for WebSocket.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path and query, percent-encoded as they were sent. The target begins with `/` and holds only characters of a URI,
    /// and `[`, `]`, `|`, `^`, in the query also `{`, `}` and a backtick, which browsers do not encode.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The part of the target before the first `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The part of the target after the first `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The host, and perhaps the port, to which the request was sent: `example.com`, `[::1]:9001`. Empty only in plain
    /// HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin of the page that connects. Browsers always send it; other clients can send any value, or none.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.headers.get("Origin")
    }

    /// All header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The subprotocols that the client offers, the preferred one first. A repeated one stays repeated.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers.elements("Sec-WebSocket-Protocol").filter_map(|name| str::from_utf8(name).ok())
    }

    /// The first of these, the server's preference, that the client offers.
    #[must_use]
    pub fn select_subprotocol<'a>(&self, supported: &[&'a str]) -> Option<&'a str> {
        supported.iter().copied().find(|&name| self.subprotocols().any(|offered| offered == name))
    }

    /// The extensions that the client offers, the preferred one first.
    #[must_use]
    pub fn extensions(&self) -> Vec<Element<'_>> {
        // The field is checked in a handshake; in plain HTTP it can hold anything.
        grammar::parse(self.headers.get_all("Sec-WebSocket-Extensions")).unwrap_or_default()
    }

    /// Accepts the handshake: appends the 101 to `output`. The connection is open; frames may follow in the same write.
    ///
    /// # Errors
    ///
    /// Nothing is written then, and the request may still be answered with another response.
    /// [`RequestError::NoUpgrade`] for plain HTTP; [`HandshakeError::Origin`] when the policy refuses the origin;
    /// [`BuildError::InvalidSubprotocol`] for a subprotocol that the client has not offered.
    pub fn accept(&self, options: &AcceptOptions, output: &mut BytesMut) -> Result<Accepted, HandshakeError> {
        let (headers, accepted) = self.accept_headers(options)?;
        output.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        headers.encode(output);
        output.put_slice(b"\r\n");
        Ok(accepted)
    }

    /// Accepts the handshake for an HTTP library to send: the headers of the 101.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept): [`RequestError::NoUpgrade`], [`HandshakeError::Origin`],
    /// [`BuildError::InvalidSubprotocol`].
    pub fn accept_headers(&self, options: &AcceptOptions) -> Result<(Headers, Accepted), HandshakeError> {
        if !self.is_upgrade {
            return Err(RequestError::NoUpgrade.of_method(self.method.as_bytes()).into());
        }
        options.origin.check(self.origin(), &self.host)?;
        if let Some(name) = &options.subprotocol
            && !self.subprotocols().any(|offered| offered == name)
        {
            return Err(BuildError::InvalidSubprotocol(name.clone()).into());
        }
        let key = self.headers.single("Sec-WebSocket-Key").ok_or(RequestError::Key)?;
        let mut headers = Headers::new();
        headers.append("Upgrade", b"websocket");
        headers.append("Connection", b"Upgrade");
        headers.append("Sec-WebSocket-Accept", &key::accept(key));
        if let Some(name) = &options.subprotocol {
            headers.append("Sec-WebSocket-Protocol", name.as_bytes());
        }
        let accepts =
            |offer: &Element<'_>| options.extensions.as_ref().is_none_or(|filter| filter.accepts(self, offer));
        let (answer, extensions) = extension::answer(&self.config, &self.extensions(), accepts);
        if let Some(answer) = answer {
            headers.append("Sec-WebSocket-Extensions", answer.as_bytes());
        }
        headers.extend(&options.headers);
        Ok((headers, Accepted { subprotocol: options.subprotocol.clone(), extensions }))
    }

    /// Answers with another status: appends a response to `output`, with `Connection: close` and `Content-Length`. Close
    /// the connection once it is written. The answer to `HEAD` is written without its body.
    ///
    /// A handshake may be refused with 300 to 599, plain HTTP answered with 200 to 599. A 426 has the headers that name
    /// the protocol to upgrade to.
    ///
    /// # Errors
    ///
    /// Nothing is written then. [`BuildError::InvalidStatus`] for another status, or a body with 204 or 304;
    /// [`BuildError::ReservedHeader`] for a header that the handshake sets itself; [`BuildError::InvalidHeader`] when a
    /// name is not a token or a value holds control characters; [`BuildError::MissingHeader`] for a 401 without
    /// `WWW-Authenticate` or a 405 without `Allow`.
    pub fn respond(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
        output: &mut BytesMut,
    ) -> Result<(), BuildError> {
        let lowest = if self.is_upgrade { 300 } else { 200 };
        if !(lowest..=599).contains(&status) || !body.is_empty() && !reply::has_body(status) {
            return Err(BuildError::InvalidStatus(status));
        }
        let headers = reply::check_headers(status, headers)?;
        let send = if self.method == "HEAD" { reply::Body::LeftOut } else { reply::Body::Sent };
        reply::encode(status, &headers, body, send, output);
        Ok(())
    }
}

/// How a server accepts a handshake. By default: no subprotocol, and only pages of its own origin.
///
/// ```
/// use bowsprit::handshake::{AcceptOptions, OriginPolicy};
///
/// let options = AcceptOptions::new()
///     .subprotocol("chat")
///     .header("Set-Cookie", "seen=1")?
///     .origin(OriginPolicy::allow(["https://app.example"])?);
/// # let _ = options;
/// # Ok::<(), bowsprit::handshake::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AcceptOptions {
    subprotocol: Option<String>,
    headers: Headers,
    origin: OriginPolicy,
    extensions: Option<ExtensionFilter<ServerRequest>>,
}

impl AcceptOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { subprotocol: None, headers: Headers::new(), origin: OriginPolicy::SameOrigin, extensions: None }
    }

    /// Agrees to this subprotocol, which must be one that the client offers:
    /// [`ServerRequest::select_subprotocol`] finds it.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.to_owned());
        self
    }

    /// Sends another header with the 101. A name may be given several times, such as `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// [`BuildError::ReservedHeader`] for a header that the handshake or HTTP sets itself; [`BuildError::InvalidHeader`]
    /// when the name is not a token or the value holds control characters.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        reply::push(&mut self.headers, name, value)?;
        Ok(self)
    }

    /// Sets the policy for `Origin`: which web pages may connect.
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.origin = policy;
        self
    }

    /// Lets `accepts` decide which offers of extensions may be accepted. It is called for each offer of an extension that
    /// [`Config`] has, and those that it accepts are negotiated as usual. By default all are accepted.
    ///
    /// ```
    /// use bowsprit::handshake::AcceptOptions;
    ///
    /// // Secrets are not compressed (RFC 7692 section 8), and nothing is with a window that the client bounds.
    /// let options = AcceptOptions::new().extensions(|request, offer| match offer.name {
    ///     "permessage-deflate" => request.path() != "/account" && offer.value("server_max_window_bits").is_none(),
    ///     _ => true,
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn extensions(
        mut self,
        accepts: impl Fn(&ServerRequest, &Element<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.extensions = Some(ExtensionFilter::new(accepts));
        self
    }
}

/// What client and server agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    subprotocol: Option<String>,
    extensions: Agreement,
}

impl Accepted {
    /// The extensions, for [`Connection::with_extensions`](crate::Connection::with_extensions).
    #[must_use]
    pub const fn extensions(&self) -> &Agreement {
        &self.extensions
    }

    /// The subprotocol.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// The host and the resource name of a request, or the rule that it breaks.
fn check_resource(
    target: &str,
    version: HttpVersion,
    is_upgrade: bool,
    headers: &Headers,
) -> Result<(String, String), RequestError> {
    // RFC 6455 section 4.2.1, item 1: HTTP/1.1 or higher.
    if is_upgrade && version == HttpVersion::Http10 {
        return Err(RequestError::Http10);
    }
    let (authority, target) = split_target(target)?;
    let host = host(headers, version)?;
    // RFC 9112 section 3.2.2: the host in the target replaces the one in the field.
    Ok((authority.unwrap_or(host).to_owned(), target))
}

/// The authority and the resource name of a request-target. RFC 6455 section 4.2.1, item 1 allows origin-form and
/// absolute-form.
fn split_target(target: &str) -> Result<(Option<&str>, String), RequestError> {
    let (authority, resource) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(RequestError::Target)?;
        if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(RequestError::Target);
        }
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        Authority::parse(authority).map_err(|_| RequestError::Target)?;
        (Some(authority), resource)
    };
    // RFC 9112 section 3.2: a target is a URI without fragment.
    if !uri::is_target(resource) {
        return Err(RequestError::Target);
    }
    let slash = if resource.starts_with('/') { "" } else { "/" };
    Ok((authority, [slash, resource].concat()))
}

/// RFC 9112 section 3.2: without exactly one valid `Host` the answer MUST be 400; HTTP/1.0 may have none.
fn host(headers: &Headers, version: HttpVersion) -> Result<&str, RequestError> {
    if version == HttpVersion::Http10 && !headers.contains("Host") {
        return Ok("");
    }
    let host = headers.single("Host").and_then(|host| str::from_utf8(host).ok());
    host.filter(|host| Authority::parse(host).is_ok()).ok_or(RequestError::Host)
}

/// The other items of the list in RFC 6455 section 4.2.1.
fn check_upgrade(method: &str, headers: &Headers) -> Result<(), RequestError> {
    if method != "GET" {
        return Err(RequestError::Method);
    }
    // Item 3, and RFC 9110 section 7.8: protocol = protocol-name ["/" protocol-version], both tokens.
    let is_protocol = |element: &[u8]| element.splitn(2, |&byte| byte == b'/').all(is_token);
    if !headers.elements("Upgrade").all(is_protocol) {
        return Err(RequestError::Upgrade);
    }
    // Item 4
    if !headers.has_upgrade_option() {
        return Err(RequestError::Connection);
    }
    // RFC 9110 section 7.8: the request with its body comes first, then the upgrade. A handshake has no body, and
    // two readers must not disagree about what the bytes after the head are.
    if headers.contains("Transfer-Encoding") || headers.get_all("Content-Length").any(|length| length != b"0") {
        return Err(RequestError::Body);
    }
    if headers.contains("Expect") {
        return Err(RequestError::Expectation);
    }
    if !headers.single("Sec-WebSocket-Key").is_some_and(key::is_valid) {
        return Err(RequestError::Key);
    }
    check_version(headers.single("Sec-WebSocket-Version").ok_or(RequestError::Version)?)?;
    if headers.get_all("Origin").count() > 1 {
        return Err(RequestError::RepeatedOrigin);
    }
    const SUBPROTOCOLS: &str = "Sec-WebSocket-Protocol";
    let mut subprotocols = headers.elements(SUBPROTOCOLS).peekable();
    if subprotocols.peek().is_none() && headers.contains(SUBPROTOCOLS) || !subprotocols.all(is_token) {
        return Err(RequestError::Subprotocol);
    }
    grammar::parse(headers.get_all("Sec-WebSocket-Extensions")).map_err(|_| RequestError::Extensions)?;
    Ok(())
}

/// RFC 6455 section 11.3.5: a number from 0 to 255 without leading zeros; only 13 is supported.
fn check_version(version: &[u8]) -> Result<(), RequestError> {
    let digits = version == b"0" || version.first() != Some(&b'0') && version.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(version).ok().filter(|_| digits).and_then(|version| version.parse::<u8>().ok());
    match number {
        Some(13) => Ok(()),
        Some(_) => Err(RequestError::UnsupportedVersion),
        None => Err(RequestError::Version),
    }
}

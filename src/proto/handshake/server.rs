//! The server's side: the checks of the request, and the answer (RFC 6455 section 4.2).

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::choice::Choice;
use super::error::HandshakeError;
use super::fields::Fields;
use super::head::{HeadReader, RequestHead};
use super::origin::OriginPolicy;
use super::uri::Authority;
use super::{key, reply};
use crate::proto::config::Config;
use crate::proto::extension::grammar::{self, Element, is_token};
use crate::proto::extension::{self, Agreement};

/// A handshake that waits for its request.
///
/// ```
/// use bowsprit::{Config, handshake::server::{Accept, Handshake}};
/// use bytes::BytesMut;
/// use core::time::Duration;
///
/// let mut handshake = Handshake::new(Config::default().into(), Duration::ZERO);
/// let mut input = BytesMut::from("GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
/// let request = handshake.receive(&mut input)?.expect("the head is whole");
///
/// let mut output = BytesMut::new();
/// match request.path() {
///     "/chat" => drop(request.accept(&Accept::new(), &mut output)?),
///     _ => request.respond(404, &[], b"no such thing\n", &mut output)?,
/// }
/// assert_eq!(output, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"[..]);
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    reader: HeadReader,
}

impl Handshake {
    /// `now` is where [`Config::handshake_timeout`] starts.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Duration) -> Self {
        Self { reader: HeadReader::new(config, now) }
    }

    /// Takes the request out of `input` and checks it; what stands behind it stays there, for the connection once the
    /// request is accepted, for nobody otherwise. `None`: more has to arrive; leave in `input` what is there. Call it
    /// no more once it has given a request or an error.
    ///
    /// A request that does not ask for WebSocket at all is no error:
    /// [`is_upgrade`](Request::is_upgrade) tells.
    ///
    /// # Errors
    ///
    /// The kind that names the broken rule. [`HandshakeError::respond`] writes the answer; then close the connection.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Request>, HandshakeError> {
        let Some(head) = self.reader.request(input)? else { return Ok(None) };
        Request::new(head, Arc::clone(self.reader.config())).map(Some)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), on the clock that gave `now`.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.reader.poll_timeout()
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::TimedOut`] when it is too late.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), HandshakeError> {
        self.reader.handle_timeout(now)
    }
}

/// A request that keeps all rules: of WebSocket's opening handshake, or of plain HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    method: String,
    /// Origin-form.
    target: String,
    host: String,
    is_upgrade: bool,
    fields: Fields,
    config: Arc<Config>,
}

impl Request {
    /// The checks of the request, whatever carried it.
    pub(crate) fn new(head: RequestHead, config: Arc<Config>) -> Result<Self, HandshakeError> {
        let RequestHead { method, target, is_old, fields } = head;
        // RFC 6455 section 4.2.1, item 3; a list, in any case (RFC 9110 section 7.8).
        let is_upgrade = fields.has_token("Upgrade", "websocket");
        if is_upgrade && is_old {
            return Err(HandshakeError::HttpVersion);
        }
        let (authority, target) = split_target(&target)?;
        let host = host(&fields, is_old)?;
        // RFC 9112 section 3.2.2: the host in the target takes the place of the one in the field.
        let host = authority.unwrap_or(host).to_owned();
        if is_upgrade {
            check_upgrade(&method, &fields)?;
        }
        Ok(Self { method, target, host, is_upgrade, fields, config })
    }

    #[cfg(feature = "hyper")]
    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    #[cfg(feature = "axum")]
    pub(crate) const fn config_mut(&mut self) -> &mut Arc<Config> {
        &mut self.config
    }

    /// Whether this asks for WebSocket. If not it is plain HTTP, and [`respond`](Self::respond) answers it.
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        self.is_upgrade
    }

    /// `GET`, when it asks for WebSocket.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What is asked for: path and query. Begins with `/`, and is visible ASCII without `#`; percent-encoding as sent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The part of the target before the first `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The part of the target behind the first `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Whom the request was sent to: `example.com`, `[::1]:9001`. Empty only in plain HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin of the page that asks, when a browser does. No proof: other clients write what they like.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.fields.get("Origin")
    }

    /// All header fields.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The subprotocols that the client offers, the preferred one first. A repeated one stays repeated.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.fields.elements("Sec-WebSocket-Protocol").filter_map(|name| str::from_utf8(name).ok())
    }

    /// The first of these, the server's preference, that the client offers.
    #[must_use]
    pub fn select_subprotocol<'a>(&self, supported: &[&'a str]) -> Option<&'a str> {
        supported.iter().copied().find(|&name| self.subprotocols().any(|offered| offered == name))
    }

    /// The extensions that the client offers, the preferred one first.
    #[must_use]
    pub fn extensions(&self) -> Vec<Element<'_>> {
        // Plain HTTP may hold anything there; a handshake has been checked.
        grammar::parse(self.fields.lines("Sec-WebSocket-Extensions")).unwrap_or_default()
    }

    /// Agrees: appends the 101 to `output`. The connection is open; frames may follow in the same write.
    ///
    /// # Errors
    ///
    /// Nothing is written then, and the request may be answered otherwise.
    /// [`HandshakeError::NoUpgrade`] for plain HTTP, [`HandshakeError::Origin`] when the policy refuses,
    /// [`HandshakeError::InvalidSubprotocol`] for one that the client has not offered.
    pub fn accept(&self, choices: &Accept, output: &mut BytesMut) -> Result<Accepted, HandshakeError> {
        let (fields, accepted) = self.agree(choices)?;
        output.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        fields.encode(output);
        output.put_slice(b"\r\n");
        Ok(accepted)
    }

    /// The header fields of the 101, and what they agree on.
    pub(crate) fn agree(&self, choices: &Accept) -> Result<(Fields, Accepted), HandshakeError> {
        if !self.is_upgrade {
            return Err(HandshakeError::NoUpgrade);
        }
        if !choices.origin.accepts(self.origin(), &self.host) {
            return Err(HandshakeError::Origin);
        }
        if let Some(name) = &choices.subprotocol
            && !self.subprotocols().any(|offered| offered == name)
        {
            return Err(HandshakeError::InvalidSubprotocol(name.clone()));
        }
        let key = self.fields.single("Sec-WebSocket-Key").ok_or(HandshakeError::Key)?;
        let mut fields = Fields::new();
        fields.append("Upgrade", b"websocket");
        fields.append("Connection", b"Upgrade");
        fields.append("Sec-WebSocket-Accept", &key::accept(key));
        if let Some(name) = &choices.subprotocol {
            fields.append("Sec-WebSocket-Protocol", name.as_bytes());
        }
        let takes = |offer: &Element<'_>| choices.extensions.as_ref().is_none_or(|choice| choice.takes(self, offer));
        let (answer, extensions) = extension::answer(&self.config, &self.extensions(), takes);
        if let Some(answer) = answer {
            fields.append("Sec-WebSocket-Extensions", answer.as_bytes());
        }
        fields.extend(&choices.fields);
        Ok((fields, Accepted { subprotocol: choices.subprotocol.clone(), extensions }))
    }

    /// Answers with another status: appends a response to `output` that says `Connection: close` and how long its
    /// body is. Close the connection once it is sent.
    ///
    /// A handshake may be refused with 300 to 599, plain HTTP answered with 200 to 599. With 426 go the fields that
    /// say what to upgrade to.
    ///
    /// # Errors
    ///
    /// Nothing is written then. [`HandshakeError::InvalidStatus`] for another status, or a body with 204 or 304;
    /// [`HandshakeError::ReservedField`], [`HandshakeError::InvalidField`] for a header that may not be set;
    /// [`HandshakeError::MissingField`] for a 401 without `WWW-Authenticate` or a 405 without `Allow`.
    pub fn respond(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
        output: &mut BytesMut,
    ) -> Result<(), HandshakeError> {
        let lowest = if self.is_upgrade { 300 } else { 200 };
        if !(lowest..=599).contains(&status) || !body.is_empty() && !reply::has_body(status) {
            return Err(HandshakeError::InvalidStatus(status));
        }
        let fields = reply::check_fields(status, headers)?;
        let send = if self.method == "HEAD" { reply::Body::LeftOut } else { reply::Body::Sent };
        reply::encode(status, &fields, body, send, output);
        Ok(())
    }
}

/// What a server chooses when it accepts. By default: no subprotocol, and only pages of its own origin.
///
/// ```
/// use bowsprit::handshake::{OriginPolicy, server::Accept};
///
/// let choices = Accept::new()
///     .subprotocol("chat")
///     .header("Set-Cookie", "seen=1")?
///     .origin(OriginPolicy::allow(["https://app.example"])?);
/// # let _ = choices;
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Accept {
    subprotocol: Option<String>,
    fields: Fields,
    origin: OriginPolicy,
    extensions: Option<Choice>,
}

impl Accept {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { subprotocol: None, fields: Fields::new(), origin: OriginPolicy::SameOrigin, extensions: None }
    }

    /// Agrees to this subprotocol, one that the client offers:
    /// [`Request::select_subprotocol`] finds it.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.to_owned());
        self
    }

    /// Sends another header field with the 101. One name may be sent several times, as `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ReservedField`] for what the handshake or HTTP itself sets, [`HandshakeError::InvalidField`]
    /// when the name is no token or the value holds control characters.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HandshakeError> {
        reply::push(&mut self.fields, name, value)?;
        Ok(self)
    }

    /// Accepts pages of these origins.
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.origin = policy;
        self
    }

    /// Lets `choose` decide which offers of extensions may be accepted: it is asked for each that
    /// [`Config`] has the extension for, and those that it takes are negotiated as ever. By default it
    /// takes all.
    ///
    /// ```
    /// use bowsprit::handshake::server::Accept;
    ///
    /// // What holds secrets is not compressed (RFC 7692 section 8), nor is anything in a small window.
    /// let choices = Accept::new().extensions(|request, offer| match offer.name {
    ///     "permessage-deflate" => request.path() != "/account" && offer.value("server_max_window_bits").is_none(),
    ///     _ => true,
    /// });
    /// # let _ = choices;
    /// ```
    #[must_use]
    pub fn extensions(mut self, choose: impl Fn(&Request, &Element<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.extensions = Some(Choice::new(choose));
        self
    }
}

/// What was agreed on.
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

/// The authority and the resource name of a request-target: RFC 6455 section 4.2.1, item 1 allows origin-form and
/// absolute-form.
fn split_target(target: &str) -> Result<(Option<&str>, String), HandshakeError> {
    // RFC 9112 section 3.2: a target is a URI without fragment.
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(HandshakeError::Target);
    }
    if target.starts_with('/') {
        return Ok((None, target.to_owned()));
    }
    let (scheme, rest) = target.split_once("://").ok_or(HandshakeError::Target)?;
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(HandshakeError::Target);
    }
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Authority::parse(authority).map_err(|_| HandshakeError::Target)?;
    let slash = if resource.starts_with('/') { "" } else { "/" };
    Ok((Some(authority), [slash, resource].concat()))
}

/// RFC 9112 section 3.2: without exactly one valid `Host` the answer MUST be 400; HTTP/1.0 may have none.
fn host(fields: &Fields, is_old: bool) -> Result<&str, HandshakeError> {
    if is_old && !fields.contains("Host") {
        return Ok("");
    }
    let host = fields.single("Host").and_then(|host| str::from_utf8(host).ok());
    host.filter(|host| Authority::parse(host).is_ok()).ok_or(HandshakeError::Host)
}

/// RFC 6455 section 4.2.1, the rest of its list.
fn check_upgrade(method: &str, fields: &Fields) -> Result<(), HandshakeError> {
    if method != "GET" {
        return Err(HandshakeError::Method);
    }
    if !fields.has_token("Connection", "Upgrade") {
        return Err(HandshakeError::Connection);
    }
    // RFC 9110 section 7.8: the request with its body comes first, then the upgrade. A handshake has no body, and
    // bytes behind the head must never be taken for another thing than its sender meant.
    if fields.contains("Transfer-Encoding") || fields.lines("Content-Length").any(|length| length != b"0") {
        return Err(HandshakeError::Body);
    }
    if fields.contains("Expect") {
        return Err(HandshakeError::Expectation);
    }
    if !fields.single("Sec-WebSocket-Key").is_some_and(key::is_valid) {
        return Err(HandshakeError::Key);
    }
    check_version(fields.single("Sec-WebSocket-Version").ok_or(HandshakeError::Version)?)?;
    if fields.lines("Origin").count() > 1 {
        return Err(HandshakeError::RepeatedOrigin);
    }
    // RFC 6454 section 6.2: an origin is serialized as ASCII. Others must not look like none.
    if fields.contains("Origin") && fields.get("Origin").is_none_or(|origin| !origin.is_ascii()) {
        return Err(HandshakeError::Origin);
    }
    const SUBPROTOCOLS: &str = "Sec-WebSocket-Protocol";
    let mut subprotocols = fields.elements(SUBPROTOCOLS).peekable();
    if subprotocols.peek().is_none() && fields.contains(SUBPROTOCOLS) || !subprotocols.all(is_token) {
        return Err(HandshakeError::Subprotocol);
    }
    grammar::parse(fields.lines("Sec-WebSocket-Extensions")).map_err(|_| HandshakeError::Extensions)?;
    Ok(())
}

/// Section 11.3.5: a number from 0 to 255 without leading zeros, and here it is 13.
fn check_version(version: &[u8]) -> Result<(), HandshakeError> {
    let digits = version == b"0" || version.first() != Some(&b'0') && version.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(version).ok().filter(|_| digits).and_then(|version| version.parse::<u8>().ok());
    match number {
        Some(13) => Ok(()),
        Some(_) => Err(HandshakeError::UnsupportedVersion),
        None => Err(HandshakeError::Version),
    }
}

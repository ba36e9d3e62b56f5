//! The client's side: the request, and the checks of the response (RFC 6455 section 4.1).

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::body::Rest;
use super::error::HandshakeError;
use super::fields::Fields;
use super::head::{HeadReader, ResponseHead};
use super::uri::{Uri, UriError};
use super::{key, reply};
use crate::proto::config::Config;
use crate::proto::extension::grammar::{self, is_token};
use crate::proto::extension::{self, Agreement};

/// What a client asks for. Checked as it is built: whatever it holds, it makes one head and nothing more.
///
/// ```
/// use bowsprit::handshake::client::Request;
///
/// let request = Request::new("wss://example.com/chat".parse()?)
///     .subprotocol("chat")?
///     .header("Authorization", "Bearer 0123")?;
/// assert!(request.header("Host", "other.example").is_err());
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    uri: Uri,
    origin: Option<String>,
    subprotocols: Vec<String>,
    requires_subprotocol: bool,
    fields: Fields,
}

impl Request {
    /// A request for this resource, with nothing else in it.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { uri, origin: None, subprotocols: Vec::new(), requires_subprotocol: false, fields: Fields::new() }
    }

    /// What is asked for.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Offers a subprotocol, the preferred one first.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::InvalidSubprotocol`] when the name is no token, or is offered already. Upper and lower case
    /// are different names.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, HandshakeError> {
        // RFC 6455 section 4.1, item 10: tokens, and all unique.
        if !is_token(name.as_bytes()) || self.subprotocols.iter().any(|offered| offered == name) {
            return Err(HandshakeError::InvalidSubprotocol(name.to_owned()));
        }
        self.subprotocols.push(name.to_owned());
        Ok(self)
    }

    /// Whether to fail when subprotocols are offered and the server agrees to none, as browsers do. RFC 6455 lets the
    /// connection open without one, and so does this by default.
    #[must_use]
    pub const fn require_subprotocol(mut self, required: bool) -> Self {
        self.requires_subprotocol = required;
        self
    }

    /// Sends this `Origin`, as it stands. Only browsers have to (section 4.1, item 8).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::InvalidField`] when it is empty or holds anything but visible ASCII.
    pub fn origin(mut self, origin: &str) -> Result<Self, HandshakeError> {
        if origin.is_empty() || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HandshakeError::InvalidField("Origin".to_owned()));
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Sends another header field: `Authorization`, `Cookie`, a name of your own.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ReservedField`] for what the handshake or HTTP itself sets, [`HandshakeError::RepeatedField`]
    /// for a name that is there already, [`HandshakeError::InvalidField`] when the name is no token or the value holds
    /// control characters.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HandshakeError> {
        if self.fields.contains(name) {
            return Err(HandshakeError::RepeatedField(name.to_owned()));
        }
        reply::push(&mut self.fields, name, value)?;
        Ok(self)
    }

    /// The whole list of header fields of this attempt.
    fn head(&self, key: &[u8], extensions: Option<&str>) -> Fields {
        let mut fields = Fields::new();
        fields.append("Host", self.uri.host_field().as_bytes());
        fields.append("Upgrade", b"websocket");
        fields.append("Connection", b"Upgrade");
        fields.append("Sec-WebSocket-Key", key);
        fields.append("Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            fields.append("Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            fields.append("Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(extensions) = extensions {
            fields.append("Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        fields.extend(&self.fields);
        fields
    }
}

impl From<Uri> for Request {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl TryFrom<&str> for Request {
    type Error = UriError;

    /// A request for this URI.
    ///
    /// # Errors
    ///
    /// [`UriError`] when it is none.
    fn try_from(uri: &str) -> Result<Self, UriError> {
        uri.parse().map(Self::new)
    }
}

/// A handshake whose request is on its way.
///
/// ```
/// use bowsprit::{Config, handshake::client::{Handshake, Request}};
/// use bytes::BytesMut;
/// use core::time::Duration;
///
/// let request = Request::new("ws://server.example.com/chat".parse()?);
/// let nonce = *b"the sample nonce"; // 16 random bytes, fresh for every attempt
/// let mut output = BytesMut::new();
/// let mut handshake = Handshake::start(&request, nonce, Config::default().into(), Duration::ZERO, &mut output);
/// assert!(output.starts_with(b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"));
///
/// let mut input = BytesMut::from(&b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello"[..]);
/// let response = handshake.receive(&mut input)?.expect("the head is whole");
/// assert_eq!(response.status(), 101);
/// assert_eq!(input, b"\x81\x05Hello"[..]); // for the connection
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    reader: HeadReader,
    expected: Expected,
}

impl Handshake {
    /// Appends the request to `output`. Send nothing else until the response is there (section 4.1).
    ///
    /// `nonce` is 16 bytes from a random source, fresh for every attempt. `now` is where
    /// [`Config::handshake_timeout`] starts.
    #[must_use]
    pub fn start(
        request: &Request,
        nonce: [u8; 16],
        config: Arc<Config>,
        now: Duration,
        output: &mut BytesMut,
    ) -> Self {
        let (fields, expected) = Expected::of(request, nonce, Arc::clone(&config));
        output.put_slice(b"GET ");
        output.put_slice(request.uri.resource_name().as_bytes());
        output.put_slice(b" HTTP/1.1\r\n");
        fields.encode(output);
        output.put_slice(b"\r\n");
        Self { reader: HeadReader::new(config, now), expected }
    }

    /// Takes the response out of `input` and checks it; what stands behind it stays there: frames, or the body of a
    /// refusal. `None`: more has to arrive; leave in `input` what is there. Call it no more once it has given a response or an
    /// error.
    ///
    /// Interim responses (100, 102, 103) are skipped. The bounds hold for all heads together.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with what the server answered when that is not 101; else the kind that names the
    /// rule that the response breaks. Close the transport; nothing is sent (section 7.1.7).
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Response>, HandshakeError> {
        while let Some(head) = self.reader.response(input)? {
            // RFC 9110 section 15.2: a client parses interim responses, and may ignore them.
            if !matches!(head.status, 100 | 102..=199) {
                return self.expected.check(head).map(Some);
            }
        }
        Ok(None)
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

/// What a request makes of its response: the checks, whatever carries the two.
#[derive(Debug)]
pub(crate) struct Expected {
    accept: [u8; 28],
    subprotocols: Vec<String>,
    requires_subprotocol: bool,
    config: Arc<Config>,
}

impl Expected {
    /// The header fields of the request, and what has to answer them.
    pub(crate) fn of(request: &Request, nonce: [u8; 16], config: Arc<Config>) -> (Fields, Self) {
        let key = key::encode(nonce);
        let fields = request.head(&key, extension::offer(&config).as_deref());
        let accept = key::accept(&key);
        let subprotocols = request.subprotocols.clone();
        (fields, Self { accept, subprotocols, requires_subprotocol: request.requires_subprotocol, config })
    }

    /// RFC 6455 section 4.1, the last list, for a response that is not an interim one.
    pub(crate) fn check(&self, head: ResponseHead) -> Result<Response, HandshakeError> {
        // Item 1
        if head.status != 101 {
            return Err(HandshakeError::Refused(Box::new(Response::new(head, None, Agreement::default()))));
        }
        let fields = &head.fields;
        if head.is_old {
            return Err(HandshakeError::HttpVersion);
        }
        // Item 2: the whole value, in any case.
        if !fields.single("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(HandshakeError::Upgrade);
        }
        // Item 3
        if !fields.has_token("Connection", "Upgrade") {
            return Err(HandshakeError::Connection);
        }
        // Item 4, and section 11.3.3: not more than once.
        if fields.single("Sec-WebSocket-Accept") != Some(&self.accept) {
            return Err(HandshakeError::Accept);
        }
        // Item 5: only what was offered, and as it was offered.
        let answered = grammar::parse(fields.lines("Sec-WebSocket-Extensions"));
        let answered = answered.map_err(|_| HandshakeError::Extensions)?;
        let extensions = extension::agree(&self.config, &answered).ok_or(HandshakeError::Extensions)?;
        let subprotocol = self.subprotocol(fields)?;
        Ok(Response::new(head, subprotocol, extensions))
    }

    /// Item 6: one that was offered, compared exactly; section 11.3.4: not more than once.
    fn subprotocol(&self, fields: &Fields) -> Result<Option<String>, HandshakeError> {
        const NAME: &str = "Sec-WebSocket-Protocol";
        if !fields.contains(NAME) {
            let missing = self.requires_subprotocol && !self.subprotocols.is_empty();
            return if missing { Err(HandshakeError::NoSubprotocol) } else { Ok(None) };
        }
        let named = fields.single(NAME).ok_or(HandshakeError::Subprotocol)?;
        let offered = self.subprotocols.iter().find(|offered| offered.as_bytes() == named);
        offered.cloned().map(Some).ok_or(HandshakeError::Subprotocol)
    }
}

/// What the server answered: 101, and the connection is open; or, in [`HandshakeError::Refused`], anything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    status: u16,
    fields: Fields,
    subprotocol: Option<String>,
    extensions: Agreement,
    rest: Rest,
    body: Vec<u8>,
}

impl Response {
    fn new(head: ResponseHead, subprotocol: Option<String>, extensions: Agreement) -> Self {
        let rest = Rest::new(head.status, &head.fields);
        Self { status: head.status, fields: head.fields, subprotocol, extensions, rest, body: Vec::new() }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// All header fields: `Set-Cookie` whatever the status, `Location` of a redirect, `WWW-Authenticate` of a 401.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions that the server chose, for [`Connection::with_extensions`](crate::Connection::with_extensions).
    #[must_use]
    pub const fn extensions(&self) -> &Agreement {
        &self.extensions
    }

    /// The versions of WebSocket that a refusing server says it supports (section 4.4), in its order.
    pub fn versions(&self) -> impl Iterator<Item = u8> {
        self.fields.elements("Sec-WebSocket-Version").filter_map(|version| str::from_utf8(version).ok()?.parse().ok())
    }

    /// Takes what has arrived of a refusal's body out of `input`, until it holds `max` bytes. Whether that was all:
    /// else there may come more until the transport ends.
    pub fn receive_body(&mut self, input: &mut BytesMut, max: usize) -> bool {
        self.rest.receive(input, &mut self.body, max)
    }

    /// The body of a refusal that somebody else has read.
    #[cfg(feature = "hyper")]
    pub(crate) fn set_body(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    /// The body of a refusal, as far as an adapter has taken it in.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

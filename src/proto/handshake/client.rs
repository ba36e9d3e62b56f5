//! The client's side: the request, and the checks of the response (RFC 6455 section 4.1).

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::body::BodyDecoder;
use super::credentials::{Credentials, is_bearer_token};
use super::error::{BuildError, HandshakeError, HeadError, ResponseError};
use super::head::{HeadReader, HttpVersion, ResponseHead};
use super::headers::{Headers, is_credential};
use super::uri::Uri;
use super::uri_error::UriError;
use super::{key, reply};
use crate::proto::config::Config;
use crate::proto::extension::grammar::{self, is_token};
use crate::proto::extension::{self, Agreement};

/// The request that a client sends. It is checked as it is built: it always makes exactly one head.
///
/// ```
/// use bowsprit::handshake::ClientRequest;
///
/// let request = ClientRequest::new("wss://example.com/chat".parse()?)
///     .subprotocol("chat")?
///     .header("Authorization", "Bearer 0123")?;
/// assert!(request.header("Host", "other.example").is_err());
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRequest {
    uri: Uri,
    origin: Option<String>,
    subprotocols: Vec<String>,
    requires_subprotocol: bool,
    headers: Headers,
}

impl ClientRequest {
    /// A request for this resource, without optional headers.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { uri, origin: None, subprotocols: Vec::new(), requires_subprotocol: false, headers: Headers::new() }
    }

    /// The address of the resource.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Offers a subprotocol, the preferred one first.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidSubprotocol`] when the name is not a token, or is offered already. Upper and lower case are
    /// different names.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, BuildError> {
        // RFC 6455 section 4.1, item 10: tokens, and all unique.
        if !is_token(name.as_bytes()) || self.subprotocols.iter().any(|offered| offered == name) {
            return Err(BuildError::InvalidSubprotocol(name.to_owned()));
        }
        self.subprotocols.push(name.to_owned());
        Ok(self)
    }

    /// Whether to fail when subprotocols are offered and the server agrees to none, as browsers do. RFC 6455 lets the
    /// connection open without one, which is the default here.
    #[must_use]
    pub const fn require_subprotocol(mut self, required: bool) -> Self {
        self.requires_subprotocol = required;
        self
    }

    /// Sends this `Origin`, unchanged. Only browsers have to send one (section 4.1, item 8).
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidHeader`] when it is empty or holds anything but visible ASCII.
    pub fn origin(mut self, origin: &str) -> Result<Self, BuildError> {
        if origin.is_empty() || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BuildError::InvalidHeader("Origin".to_owned()));
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Sends another header: `Authorization`, `Cookie`, a name of your own.
    ///
    /// # Errors
    ///
    /// [`BuildError::ReservedHeader`] for a header that the handshake or HTTP sets itself;
    /// [`BuildError::RepeatedHeader`] for a name that was given already; [`BuildError::InvalidHeader`] when the name is
    /// not a token or the value holds control characters.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        if self.headers.contains(name) {
            return Err(BuildError::RepeatedHeader(name.to_owned()));
        }
        reply::push(&mut self.headers, name, value)?;
        Ok(self)
    }

    /// Sends `Authorization: Basic` with this user name and password (RFC 7617), in place of those of the address.
    ///
    /// # Errors
    ///
    /// [`BuildError::RepeatedHeader`] when `Authorization` was given already; [`BuildError::InvalidHeader`] when the user
    /// name holds a colon, or one of both holds control characters.
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, BuildError> {
        let invalid = || BuildError::InvalidHeader(AUTHORIZATION.to_owned());
        let credentials = Credentials::new(user, password).ok_or_else(invalid)?;
        self.header(AUTHORIZATION, &credentials.basic())
    }

    /// Sends `Authorization: Bearer` with this token (RFC 6750).
    ///
    /// # Errors
    ///
    /// [`BuildError::RepeatedHeader`] when `Authorization` was given already; [`BuildError::InvalidHeader`] when the token
    /// is empty or holds anything but letters, digits, `- . _ ~ + /` and `=` at its end.
    pub fn bearer_auth(self, token: &str) -> Result<Self, BuildError> {
        if !is_bearer_token(token) {
            return Err(BuildError::InvalidHeader(AUTHORIZATION.to_owned()));
        }
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// The same request for another address. The headers with credentials stay within one origin.
    pub(in crate::proto) fn redirected(&self, uri: Uri) -> Self {
        if uri.is_same_origin(&self.uri) {
            return Self { uri: uri.with_user_info_of(&self.uri), ..self.clone() };
        }
        let mut headers = Headers::new();
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_credential(name)) {
            headers.append(name, value);
        }
        Self { uri, headers, ..self.clone() }
    }

    /// All headers of one attempt.
    fn head(&self, key: &[u8], extensions: Option<&str>) -> Headers {
        let mut headers = Headers::new();
        headers.append("Host", self.uri.host_field().as_bytes());
        headers.append("Upgrade", b"websocket");
        headers.append("Connection", b"Upgrade");
        headers.append("Sec-WebSocket-Key", key);
        headers.append("Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            headers.append("Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            headers.append("Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(extensions) = extensions {
            headers.append("Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        if let Some(credentials) = self.uri.credentials().filter(|_| !self.headers.contains(AUTHORIZATION)) {
            headers.append(AUTHORIZATION, credentials.basic().as_bytes());
        }
        headers.extend(&self.headers);
        headers
    }
}

const AUTHORIZATION: &str = "Authorization";

impl From<Uri> for ClientRequest {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl TryFrom<&str> for ClientRequest {
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

/// A client's handshake: writes the request, and checks the response.
///
/// ```
/// use bowsprit::{Config, handshake::{ClientHandshake, ClientRequest}};
/// use bytes::BytesMut;
/// use core::time::Duration;
///
/// let request = ClientRequest::new("ws://server.example.com/chat".parse()?);
/// let nonce = *b"the sample nonce"; // 16 random bytes, fresh for every attempt
/// let mut output = BytesMut::new();
/// let mut handshake = ClientHandshake::start(&request, nonce, Config::default().into(), Duration::ZERO, &mut output);
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
pub struct ClientHandshake {
    reader: HeadReader,
    validator: ResponseValidator,
}

impl ClientHandshake {
    /// Appends the request to `output`. Send nothing else before the response has arrived (section 4.1).
    ///
    /// `nonce` is 16 bytes from a random source, fresh for every attempt. [`Config::handshake_timeout`] counts from `now`.
    #[must_use]
    pub fn start(
        request: &ClientRequest,
        nonce: [u8; 16],
        config: Arc<Config>,
        now: Duration,
        output: &mut BytesMut,
    ) -> Self {
        let (headers, validator) = ResponseValidator::new(request, nonce, Arc::clone(&config));
        output.put_slice(b"GET ");
        output.put_slice(request.uri.resource_name().as_bytes());
        output.put_slice(b" HTTP/1.1\r\n");
        headers.encode(output);
        output.put_slice(b"\r\n");
        Self { reader: HeadReader::new(config, now), validator }
    }

    /// Takes the response out of `input` and checks it. The bytes after it stay in `input`: frames, or the body of a
    /// refusal. Returns `None` while the response is not complete; leave in `input` what is there. Do not call it again
    /// once it has returned a response or an error.
    ///
    /// Interim responses (100, 102, 103) are skipped. [`Config::max_head`] bounds all heads together.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with the response when its status is not 101;
    /// [`ClientResponse::receive_body`] reads its body. [`HandshakeError::Response`] with the broken rule: close the
    /// transport and send nothing (section 7.1.7).
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<ClientResponse>, HandshakeError> {
        while let Some(head) = self.reader.response(input).map_err(ResponseError::Head)? {
            // RFC 9110 section 15.2: a client parses interim responses, and may ignore them.
            if !matches!(head.status, 100 | 102..=199) {
                return self.validator.check(head).map(Some);
            }
        }
        Ok(None)
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

/// The checks of the response to one request, for a client whose HTTP library writes and reads the heads.
///
/// ```
/// use bowsprit::Config;
/// use bowsprit::handshake::{ClientRequest, Headers, HttpVersion, ResponseValidator};
///
/// let request = ClientRequest::try_from("ws://server.example.com/chat")?;
/// let (headers, validator) = ResponseValidator::new(&request, *b"the sample nonce", Config::default().into());
/// assert_eq!(headers.get("Host"), Some("server.example.com"));
///
/// let mut answer = Headers::new();
/// answer.push("Upgrade", "websocket")?;
/// answer.push("Connection", "Upgrade")?;
/// answer.push("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")?;
/// let response = validator.validate(101, HttpVersion::Http11, answer)?;
/// assert_eq!(response.subprotocol(), None);
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct ResponseValidator {
    accept: [u8; 28],
    subprotocols: Vec<String>,
    requires_subprotocol: bool,
    config: Arc<Config>,
}

impl ResponseValidator {
    /// The headers of the request to send (`GET`, with [`Uri::resource_name`] as the target, HTTP/1.1), and the checks of
    /// its response.
    ///
    /// `nonce` is 16 bytes from a random source, fresh for every attempt.
    #[must_use]
    pub fn new(request: &ClientRequest, nonce: [u8; 16], config: Arc<Config>) -> (Headers, Self) {
        let key = key::encode(nonce);
        let headers = request.head(&key, extension::offer(&config).as_deref());
        let accept = key::accept(&key);
        let subprotocols = request.subprotocols.clone();
        (headers, Self { accept, subprotocols, requires_subprotocol: request.requires_subprotocol, config })
    }

    /// Checks a response, which must not be an interim one.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with the response when its status is not 101: [`ClientResponse::set_body`] adds its
    /// body. [`HandshakeError::Response`] with the broken rule: close the transport and send nothing.
    pub fn validate(
        &self,
        status: u16,
        version: HttpVersion,
        headers: Headers,
    ) -> Result<ClientResponse, HandshakeError> {
        if status < 100 {
            return Err(ResponseError::Head(HeadError::Malformed).into());
        }
        self.check(ResponseHead { status, version, headers })
    }

    /// RFC 6455 section 4.1, the last list.
    fn check(&self, head: ResponseHead) -> Result<ClientResponse, HandshakeError> {
        // Item 1
        if head.status != 101 {
            return Err(HandshakeError::Refused(Box::new(ClientResponse::refusal(head))));
        }
        let (subprotocol, extensions) = self.check_upgrade(&head)?;
        Ok(ClientResponse::new(head, subprotocol, extensions))
    }

    fn check_upgrade(&self, head: &ResponseHead) -> Result<(Option<String>, Agreement), ResponseError> {
        let headers = &head.headers;
        if head.version == HttpVersion::Http10 {
            return Err(ResponseError::Http10);
        }
        // Item 2: the complete value, in any case.
        if !headers.single("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(ResponseError::Upgrade);
        }
        // Item 3
        if !headers.has_upgrade_option() {
            return Err(ResponseError::Connection);
        }
        // Item 4, and section 11.3.3: not more than once.
        if headers.single("Sec-WebSocket-Accept") != Some(&self.accept) {
            return Err(ResponseError::Accept);
        }
        // Item 5: only what was offered, and as it was offered.
        let answered = grammar::parse(headers.get_all("Sec-WebSocket-Extensions"));
        let answered = answered.map_err(|_| ResponseError::Extensions)?;
        let extensions = extension::agree(&self.config, &answered).ok_or(ResponseError::Extensions)?;
        Ok((self.subprotocol(headers)?, extensions))
    }

    /// Item 6: one that was offered, compared exactly; section 11.3.4: not more than once.
    fn subprotocol(&self, headers: &Headers) -> Result<Option<String>, ResponseError> {
        const NAME: &str = "Sec-WebSocket-Protocol";
        if !headers.contains(NAME) {
            let missing = self.requires_subprotocol && !self.subprotocols.is_empty();
            return if missing { Err(ResponseError::NoSubprotocol) } else { Ok(None) };
        }
        let named = headers.single(NAME).ok_or(ResponseError::Subprotocol)?;
        let offered = self.subprotocols.iter().find(|offered| offered.as_bytes() == named);
        offered.cloned().map(Some).ok_or(ResponseError::Subprotocol)
    }
}

/// The server's response: 101, and the connection is open; or any other status, in [`HandshakeError::Refused`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientResponse {
    status: u16,
    headers: Headers,
    subprotocol: Option<String>,
    extensions: Agreement,
    decoder: BodyDecoder,
    body: Vec<u8>,
}

impl ClientResponse {
    /// The most bytes that are kept of a refusal's body: 64 KiB.
    pub const MAX_BODY: usize = 64 << 10;

    /// A response that refuses.
    pub(in crate::proto) fn refusal(head: ResponseHead) -> Self {
        Self::new(head, None, Agreement::default())
    }

    fn new(head: ResponseHead, subprotocol: Option<String>, extensions: Agreement) -> Self {
        let decoder = BodyDecoder::new(head.status, &head.headers);
        Self { status: head.status, headers: head.headers, subprotocol, extensions, decoder, body: Vec::new() }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// All headers: `Set-Cookie` with any status, `Location` of a redirect, `WWW-Authenticate` of a 401.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
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

    /// The versions of WebSocket that a refusing server supports (section 4.4), in the order in which it lists them.
    pub fn versions(&self) -> impl Iterator<Item = u8> {
        self.headers.elements("Sec-WebSocket-Version").filter_map(|version| str::from_utf8(version).ok()?.parse().ok())
    }

    /// Takes what has arrived of a refusal's body out of `input`, until the body holds `max` bytes, or
    /// [`MAX_BODY`](Self::MAX_BODY) if `max` is larger. Returns whether the body is complete or has reached that size; if
    /// not, call it again when more has arrived, until the transport ends. A server can keep a body open for ever: bound
    /// the time to wait.
    pub fn receive_body(&mut self, input: &mut BytesMut, max: usize) -> bool {
        self.decoder.receive(input, &mut self.body, max.min(Self::MAX_BODY))
    }

    /// Sets the body of a refusal that an HTTP library has read, cut to [`MAX_BODY`](Self::MAX_BODY).
    pub fn set_body(&mut self, mut body: Vec<u8>) {
        body.truncate(Self::MAX_BODY);
        self.body = body;
    }

    /// The body of a refusal, as far as it was received: at most [`MAX_BODY`](Self::MAX_BODY) bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The beginning of [`body`](Self::body) as text: up to the first byte that is not UTF-8 or is a control character
    /// other than tab, CR and LF. Empty when `Content-Type` names something else than text, JSON or XML, or when
    /// `Content-Encoding` says that the body is compressed.
    #[must_use]
    pub fn body_text(&self) -> &str {
        let media = self.headers.get("Content-Type").unwrap_or("text/plain").split(';').next().unwrap_or_default();
        let (media, prefix) = (media.trim(), "text/");
        let starts = media.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let ends = |end: &str| media.to_ascii_lowercase().ends_with(end);
        if !(starts || ends("json") || ends("xml")) || self.headers.contains("Content-Encoding") {
            return "";
        }
        let text = self.body.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let end = text.find(|char: char| char.is_control() && !matches!(char, '\t' | '\r' | '\n'));
        &text[..end.unwrap_or(text.len())]
    }
}

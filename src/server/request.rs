//! A request: what was asked, by whom.

use std::borrow::Cow;
use std::boxed::Box;
use std::net::SocketAddr;
use std::string::String;

use bytes::Bytes;

use crate::handshake::{Headers, ServerRequest};

/// A request, of plain HTTP or for a WebSocket. It passed the checks of [`ServerRequest`].
#[derive(Clone, Debug)]
pub struct Request {
    head: ServerRequest,
    /// Of the route's path, decoded.
    params: Params,
    peer: SocketAddr,
    body: Bytes,
}

/// Names and values.
pub(super) type Params = Box<[(Box<str>, Box<str>)]>;

impl Request {
    pub(super) fn new(head: ServerRequest, peer: SocketAddr) -> Self {
        Self { head, params: Box::default(), peer, body: Bytes::new() }
    }

    pub(super) fn with_params(self, params: Params) -> Self {
        Self { params, ..self }
    }

    pub(super) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// `GET`, when it asks for WebSocket.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// The path, percent-encoded as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// A parameter of the route's path, percent-decoded.
    ///
    /// The parameter `room` of the route `/chat/{room}` is one segment. It is never `.` or `..`, and holds no `/`, `\` and no
    /// control character (such as CR, LF or NUL): such a request is answered with 400.
    ///
    /// The parameter `path` of the route `/files/{*path}` is the remainder of the path. It may hold **everything** that is
    /// UTF-8: `..` segments, also from `%2e%2e`, a leading `/` from `%2f`, CR, LF and NUL. See [`Router`](super::Router)
    /// before it becomes the name of a file.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find_map(|(known, value)| (**known == *name).then_some(&**value))
    }

    /// The query, as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.query()
    }

    /// Names and values of the query, decoded as a form's (`+` is a space).
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The first value of this name in the query, decoded.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        self.head.headers()
    }

    /// The first header field of this name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)
    }

    /// Names and values of the cookies, as they were sent (RFC 6265 section 4.2.1).
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.headers().get_all("Cookie").filter_map(|line| str::from_utf8(line).ok());
        lines.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = value.trim();
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Some((name.trim(), unquoted.unwrap_or(value)))
        })
    }

    /// The first cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Where the client's end of the connection is: of a proxy, where there is one.
    #[must_use]
    pub const fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    /// The body, of at most [`Router::max_body`](super::Router::max_body) bytes. Empty of what asks for a WebSocket.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Host, origin, offered subprotocols and extensions, and the rest of what the handshake knows.
    #[must_use]
    pub const fn head(&self) -> &ServerRequest {
        &self.head
    }
}

/// The decoded parameters of a path. `None` if one of them is not UTF-8, or is one segment and cannot be a segment.
pub(super) fn decode<'a>(params: impl Iterator<Item = (&'a str, &'a str)>, wildcard: Option<&str>) -> Option<Params> {
    params
        .map(|(name, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
            let invalid = |c: char| matches!(c, '/' | '\\') || c.is_control();
            if wildcard != Some(name) && (matches!(&*value, "." | "..") || value.contains(invalid)) {
                return None;
            }
            Some((Box::from(name), String::from(value).into()))
        })
        .collect()
}

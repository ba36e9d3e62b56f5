//! [`Headers`]: a list of HTTP header fields. Every check of the handshake reads one, whichever HTTP library parsed it.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut as _, BytesMut};

use super::error::BuildError;
use crate::proto::extension::grammar::is_token;

/// HTTP header fields in the order of the wire. Each line is one entry: several lines with one name stay apart.
///
/// Names compare without case. Values are bytes, without whitespace around them.
///
/// ```
/// use bowsprit::handshake::Headers;
///
/// let mut headers = Headers::new();
/// assert!(headers.is_empty());
/// headers.push("Set-Cookie", "a=1")?;
/// headers.push("Set-Cookie", "b=2")?;
/// assert!(headers.get_all("set-cookie").eq([b"a=1", b"b=2"]));
/// assert!(headers.push("X", "1\r\nEvil: 2").is_err());
/// assert_eq!((headers.is_empty(), headers.len()), (false, 2));
/// # Ok::<(), bowsprit::handshake::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// All names, one after the other; all values likewise.
    names: String,
    values: Vec<u8>,
    /// Where each field's name and value end.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { names: String::new(), values: Vec::new(), ends: Vec::new() }
    }

    /// Appends a field. Whitespace around the value is dropped.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidHeader`] when the name is not a token, or the value holds a control character other than
    /// a tab.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), BuildError> {
        let value = value.as_ref();
        // RFC 9110 section 5.5: CR, LF and NUL are dangerous, other control characters invalid.
        if !is_token(name.as_bytes()) || value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(BuildError::InvalidHeader(name.to_owned()));
        }
        self.append(name, trim(value));
        Ok(())
    }

    /// A field that has been checked.
    pub(super) fn append(&mut self, name: &str, value: &[u8]) {
        self.names.push_str(name);
        self.values.extend_from_slice(value);
        self.ends.push((self.names.len(), self.values.len()));
    }

    /// Appends all of these.
    pub(super) fn extend(&mut self, headers: &Self) {
        for (name, value) in headers.iter() {
            self.append(name, value);
        }
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = (0, 0);
        self.ends.iter().map(move |&end| {
            let field = (&self.names[start.0..end.0], &self.values[start.1..end.1]);
            start = end;
            field
        })
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The values of all fields of this name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field of this name; `None` when there is none, or it is not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        // `get_all` would borrow the name for as long as the value.
        let (_, value) = self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        str::from_utf8(value).ok()
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get_all(name).next().is_some()
    }

    /// The elements of the comma-separated lists in all fields of this name, without empty ones (RFC 9110 section
    /// 5.6.1). A comma inside a quoted string separates, too.
    pub fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let elements = self.get_all(name).flat_map(|line| line.split(|&byte| byte == b','));
        elements.map(trim).filter(|element| !element.is_empty())
    }

    /// Whether the comma-separated lists in the fields of this name contain this token, without regard to case.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether `Connection` keeps its grammar, a list of tokens (RFC 9110 section 7.6.1), and contains `Upgrade`.
    pub(super) fn has_upgrade_option(&self) -> bool {
        self.elements("Connection").all(is_token) && self.has_token("Connection", "Upgrade")
    }

    /// The value of the one field of this name; `None` when there are none or several.
    pub(in crate::proto) fn single<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut lines = self.get_all(name);
        lines.next().filter(|_| lines.next().is_none())
    }

    /// Appends the fields as they stand in a head.
    pub(super) fn encode(&self, output: &mut BytesMut) {
        for (name, value) in self.iter() {
            output.put_slice(name.as_bytes());
            output.put_slice(b": ");
            output.put_slice(value);
            output.put_slice(b"\r\n");
        }
    }
}

/// Without the values of the fields in which a client logs in.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| match is_credential(name) {
            true => (name, "(hidden)".into()),
            false => (name, String::from_utf8_lossy(value)),
        };
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

/// Whether a field of a request says who the client is, to one origin alone.
pub(super) fn is_credential(name: &str) -> bool {
    ["Authorization", "Cookie", "Proxy-Authorization"].iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

/// Whether a field belongs to the handshake or to the framing of HTTP. A caller cannot set these.
pub(super) fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 9] =
        ["Host", "Upgrade", "Connection", "Origin", "Content-Length", "Transfer-Encoding", "TE", "Trailer", "Expect"];
    let prefix = name.as_bytes().get(..SEC_WEBSOCKET.len());
    RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(SEC_WEBSOCKET))
}

const SEC_WEBSOCKET: &[u8] = b"Sec-WebSocket-";

/// Without the optional whitespace (spaces and tabs) around it.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

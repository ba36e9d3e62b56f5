//! WebSocket URIs (RFC 6455 section 3, over RFC 3986).

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::authority::{DialAuthority, Host};
use super::credentials::Credentials;
use super::percent::{is_pchar, percent_signs_are_valid};
use super::uri_error::UriError;

/// A `ws` or `wss` URI that has been checked whole: nothing in it can break a request head.
///
/// A fragment is refused. User information (`user:password@`) becomes an `Authorization` header, and is never shown. In path
/// and query, characters that browsers percent-encode are encoded: those outside ASCII (as UTF-8), blanks and
/// `" < > ^ ` { | }`. A host outside ASCII is refused: write it as punycode (`xn--...`).
///
/// ```
/// use bowsprit::handshake::Uri;
///
/// let uri: Uri = "wss://[2001:db8::1]:9001/chat?room=ü".parse()?;
/// assert!(uri.is_secure());
/// assert_eq!((uri.host(), uri.port()), ("2001:db8::1", 9001));
/// assert_eq!(uri.host_field(), "[2001:db8::1]:9001");
/// assert_eq!(uri.resource_name(), "/chat?room=%C3%BC");
/// # Ok::<(), bowsprit::handshake::UriError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Uri {
    secure: bool,
    host: Host,
    port: u16,
    resource_name: String,
    credentials: Option<Credentials>,
}

impl Uri {
    /// A URI of its parts, as they are before any escaping: what has a meaning of its own in a URI (`%`, `#`, a `?` in
    /// the path) or no place there is percent-encoded. `/` separates in the path, `&` and `=` stand as they are.
    ///
    /// `host` is a name, an IPv4 address or an IPv6 address with or without brackets, perhaps with a zone (`fe80::1%eth0`);
    /// `port` `None` is the default one; an empty `query` is none.
    ///
    /// ```
    /// use bowsprit::handshake::Uri;
    ///
    /// let uri = Uri::from_parts(false, "::1", Some(9001), "/a#b", "50%=c d")?;
    /// assert_eq!(uri.to_string(), "ws://[::1]:9001/a%23b?50%25=c%20d");
    /// # Ok::<(), bowsprit::handshake::UriError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UriError`] when host or port is not a legal one.
    pub fn from_parts(secure: bool, host: &str, port: Option<u16>, path: &str, query: &str) -> Result<Self, UriError> {
        let host = Host::of_part(host)?;
        let port = port.unwrap_or(default_port(secure));
        if port == 0 {
            return Err(UriError::Port);
        }
        let mut resource_name = String::from(if path.starts_with('/') { "" } else { "/" });
        escape(path, |byte| is_pchar(byte) || byte == b'/', &mut resource_name);
        if !query.is_empty() {
            resource_name.push('?');
            escape(query, |byte| is_pchar(byte) || matches!(byte, b'/' | b'?'), &mut resource_name);
        }
        Ok(Self { secure, host, port, resource_name, credentials: None })
    }

    /// Whether the connection goes over TLS: the scheme is `wss`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to; an IPv6 address without its brackets and its [zone](Self::zone).
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.bare()
    }

    /// The zone of an IPv6 address (RFC 6874): the network interface through which a link-local address is reached. It is
    /// for dialling alone and never sent.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.host.zone()
    }

    /// Whether the URI holds user information, a user name and a password: a request then has an `Authorization` header
    /// with them (RFC 7617), unless it has one of its own.
    #[must_use]
    pub const fn has_user_info(&self) -> bool {
        self.credentials.is_some()
    }

    /// The same URI without user information.
    #[must_use]
    pub fn without_user_info(mut self) -> Self {
        self.credentials = None;
        self
    }

    /// The port to connect to: 80 or 443 when the URI names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` field: the host, and the port unless it is the scheme's own (section 4.1).
    #[must_use]
    pub fn host_field(&self) -> String {
        if self.port == default_port(self.secure) { self.host.bracketed().to_owned() } else { self.authority() }
    }

    /// Host and port, also when it is the default one: `example.com:80`, `[::1]:9001`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host.bracketed(), self.port)
    }

    /// What the request asks for: path and query, never empty (section 3).
    #[must_use]
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    pub(in crate::proto) const fn dial_host(&self) -> &Host {
        &self.host
    }

    pub(in crate::proto) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The same URI with this path and query, given as in a URI.
    pub(in crate::proto) fn with_resource(&self, resource: &str) -> Result<Self, UriError> {
        Ok(Self { resource_name: parse_resource(resource)?, ..self.clone() })
    }

    /// The same URI with the user information of another one.
    pub(in crate::proto) fn with_user_info_of(mut self, other: &Self) -> Self {
        self.credentials.clone_from(&other.credentials);
        self
    }

    /// Whether both have the same scheme, host and port.
    pub(in crate::proto) fn is_same_origin(&self, other: &Self) -> bool {
        (self.secure, self.port, self.zone()) == (other.secure, other.port, other.zone())
            && self.host().eq_ignore_ascii_case(other.host())
    }
}

impl FromStr for Uri {
    type Err = UriError;

    /// The URI in this text.
    ///
    /// # Errors
    ///
    /// [`UriError`] says which component is not legal.
    fn from_str(uri: &str) -> Result<Self, UriError> {
        let (scheme, rest) = uri.split_once("://").ok_or(UriError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UriError::Scheme),
        };
        // RFC 6455 section 3: fragment identifiers MUST NOT be used; not even an empty one.
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let DialAuthority { host, port, credentials } = DialAuthority::parse(authority)?;
        let resource_name = parse_resource(resource)?;
        Ok(Self { secure, host, port: port.unwrap_or(default_port(secure)), resource_name, credentials })
    }
}

/// Without user information.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        match self.zone() {
            None => write!(f, "{scheme}://{}{}", self.host_field(), self.resource_name),
            Some(zone) => {
                let mut escaped = String::new();
                escape(zone, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte), &mut escaped);
                write!(f, "{scheme}://[{}%25{escaped}]", self.host())?;
                if self.port != default_port(self.secure) {
                    write!(f, ":{}", self.port)?;
                }
                f.write_str(&self.resource_name)
            }
        }
    }
}

/// The default port of plain text (`http`, `ws`) or TLS (`https`, `wss`).
pub(in crate::proto) const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Whether this is the path of a request-target, and perhaps a query, that no other HTTP software reads differently.
///
/// RFC 3986 sections 3.3 and 3.4, and the characters that browsers send without percent-encoding although it requires
/// that (WHATWG URL): `[`, `]`, `|` and `^` anywhere, `{`, `}` and a backtick in the query.
pub(super) fn is_target(target: &str) -> bool {
    let mut in_query = false;
    let legal = target.bytes().all(|byte| {
        in_query |= byte == b'?';
        is_pchar(byte)
            || matches!(byte, b'/' | b'?' | b'%' | b'[' | b']' | b'|' | b'^')
            || in_query && matches!(byte, b'{' | b'}' | b'`')
    });
    legal && percent_signs_are_valid(target)
}

/// Path and query, complete, with what RFC 3986 does not allow in them percent-encoded, as browsers do: characters outside
/// ASCII, blanks and `" < > ^ ` { | }`; and `[ ]` in the path, which stay in the query. Control characters and `\\` are
/// refused: some software reads them as the end of the line, or as `/`.
fn parse_resource(resource: &str) -> Result<String, UriError> {
    let is_encoded = |byte: u8| !byte.is_ascii() || b" \"<>^`{|}[]".contains(&byte);
    let is_legal = |byte: u8| is_pchar(byte) || matches!(byte, b'/' | b'?' | b'%');
    if !resource.bytes().all(|byte| is_legal(byte) || is_encoded(byte)) || !percent_signs_are_valid(resource) {
        return Err(UriError::Resource);
    }
    // RFC 6455 section 3: an empty path is "/", an empty query is left out.
    let mut resource_name = String::from(if resource.starts_with('/') { "" } else { "/" });
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    escape(path, is_legal, &mut resource_name);
    if !query.is_empty() {
        resource_name.push('?');
        escape(query, |byte| is_legal(byte) || matches!(byte, b'[' | b']'), &mut resource_name);
    }
    Ok(resource_name)
}

/// Percent-encodes (RFC 3986 section 2.1) each byte that may not stand as it is.
fn escape(text: &str, stands: impl Fn(u8) -> bool, escaped: &mut String) {
    for byte in text.bytes() {
        if stands(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
}

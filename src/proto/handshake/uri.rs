//! WebSocket URIs (RFC 6455 section 3, over RFC 3986).

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

/// A `ws` or `wss` URI that has been checked whole: nothing in it can break a request head.
///
/// A fragment and user information are refused. Characters outside ASCII in path and query are percent-encoded as
/// UTF-8; in a host they are refused, write it as punycode (`xn--...`). All else has to be a URI already.
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
    /// Brackets kept.
    host: String,
    port: u16,
    resource_name: String,
}

impl Uri {
    /// A URI of its parts, as they are before any escaping: what has a meaning of its own in a URI (`%`, `#`, a `?` in
    /// the path) or no place there is percent-encoded. `/` separates in the path, `&` and `=` stand as they are.
    ///
    /// `host` is a name, an IPv4 address or an IPv6 address with or without brackets; `port` `None` is the default
    /// one; an empty `query` is none.
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
        let brackets = host.parse::<Ipv6Addr>().is_ok();
        let host = if brackets { format!("[{host}]") } else { host.to_owned() };
        check_host(&host)?;
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
        Ok(Self { secure, host, port, resource_name })
    }

    /// Whether the connection goes over TLS: the scheme is `wss`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port to connect to: 80 or 443 when the URI names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` field: the host, and the port unless it is the scheme's own (section 4.1).
    #[must_use]
    pub fn host_field(&self) -> String {
        if self.port == default_port(self.secure) { self.host.clone() } else { self.authority() }
    }

    /// Host and port, also when it is the default one: `example.com:80`, `[::1]:9001`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the request asks for: path and query, never empty (section 3).
    #[must_use]
    pub fn resource_name(&self) -> &str {
        &self.resource_name
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
        let Authority { host, port } = Authority::parse(authority)?;
        // RFC 6455 section 3: an empty path is "/", an empty query is left out.
        let slash = if resource.starts_with('/') { "" } else { "/" };
        let resource = match resource.split_once('?') {
            Some((path, "")) => path,
            _ => resource,
        };
        let mut resource_name = slash.to_owned();
        check_resource(resource)?;
        escape(resource, |byte| byte.is_ascii(), &mut resource_name);
        Ok(Self { secure, host: host.to_owned(), port: port.unwrap_or(default_port(secure)), resource_name })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_field(), self.resource_name)
    }
}

/// Why a text is no WebSocket URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UriError {
    /// Not `ws://` or `wss://`.
    Scheme,
    /// A fragment: `#` (write `%23` when it is part of a name).
    Fragment,
    /// User information: `user:password@`.
    UserInfo,
    /// A host that is empty or holds characters that may not stand there.
    Host,
    /// A host with characters outside ASCII: write it as punycode (`xn--...`).
    NonAsciiHost,
    /// A port that is no number from 1 to 65535.
    Port,
    /// A character, or a `%` without two hexadecimal digits, that may not stand in path or query.
    Resource,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address does not begin with ws:// or wss://",
            Self::Fragment => {
                "the address holds a fragment (#), which WebSocket has no use for; write %23 for a plain #"
            }
            Self::UserInfo => "the address holds a user name; send an Authorization header instead",
            Self::Host => "the address has no valid host",
            Self::NonAsciiHost => "the host has characters outside ASCII; write it as punycode (xn--...)",
            Self::Port => "the port of the address is not a number from 1 to 65535",
            Self::Resource => "the path or query of the address holds a character that has to be percent-encoded",
        })
    }
}

impl core::error::Error for UriError {}

/// `host [":" port]`, as in a URI, in the `Host` field and in an origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    /// Brackets kept.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(authority: &'a str) -> Result<Self, UriError> {
        if authority.contains('@') {
            return Err(UriError::UserInfo);
        }
        // The last colon separates the port, unless it stands inside brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        check_host(host)?;
        // RFC 3986 section 3.2.3: port = *DIGIT; an empty one is the default.
        let port = match port {
            "" => None,
            _ if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().map_err(|_| UriError::Port)?),
            _ => return Err(UriError::Port),
        };
        if port == Some(0) { Err(UriError::Port) } else { Ok(Self { host, port }) }
    }
}

/// The default port of plain text (`http`, `ws`) or TLS (`https`, `wss`).
pub(super) const fn default_port(secure: bool) -> u16 {
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

/// RFC 3986 section 3.2.2: an IPv6 address in brackets, or a reg-name (which an IPv4 address is too), not empty
/// (RFC 9110 section 4.2.1). Of the future address forms none exists.
fn check_host(host: &str) -> Result<(), UriError> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(UriError::Host)?;
        return address.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| UriError::Host);
    }
    if !host.is_ascii() {
        return Err(UriError::NonAsciiHost);
    }
    let valid = !host.is_empty() && percent_signs_are_valid(host);
    let valid = valid && host.bytes().all(|byte| byte == b'%' || is_pchar(byte) && !matches!(byte, b':' | b'@'));
    if valid { Ok(()) } else { Err(UriError::Host) }
}

/// RFC 3986 sections 3.3 and 3.4, and what is not ASCII, which will be encoded.
fn check_resource(resource: &str) -> Result<(), UriError> {
    let legal = |byte: u8| !byte.is_ascii() || is_pchar(byte) || matches!(byte, b'/' | b'?' | b'%');
    if resource.bytes().all(legal) && percent_signs_are_valid(resource) { Ok(()) } else { Err(UriError::Resource) }
}

fn percent_signs_are_valid(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|&byte| byte == b'%');
    parts.next();
    parts.all(|part| matches!(part, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

/// pchar without pct-encoded: unreserved, sub-delims, ":" and "@".
const fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
        || matches!(byte, b':' | b'@')
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

//! [`Proxy`]: its address, and how to speak to it.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::proto::handshake::UriError;
use crate::proto::handshake::authority::{DialAuthority, Host};
use crate::proto::handshake::credentials::Credentials;

/// A proxy, read from its address: `http://`, `https://`, `socks5://` or `socks5h://`, then perhaps `user:password@`
/// (percent-encoded), a host, and perhaps a port.
///
/// Without a scheme, it is an HTTP proxy. The default ports are 80, 443 and 1080. `Debug` and `Display` never show user name
/// and password.
///
/// ```
/// use bowsprit::dial::{Proxy, ProxyScheme};
///
/// let proxy: Proxy = "http://me:p%40ss@proxy.example:3128".parse()?;
/// assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (ProxyScheme::Http, "proxy.example", 3128));
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), bowsprit::dial::ProxyUriError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: ProxyScheme,
    host: Host,
    port: u16,
    credentials: Option<Credentials>,
}

/// How to speak to a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// `CONNECT` of HTTP/1.1 (RFC 9110 section 9.3.6).
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS5 (RFC 1928); the proxy is given an address, and the host's name is resolved here.
    Socks5,
    /// SOCKS5; the proxy is given the host's name and resolves it.
    Socks5h,
}

impl ProxyScheme {
    /// The scheme as it stands in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    const fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Proxy {
    /// The same proxy with this user name and password, which need no percent-encoding here.
    ///
    /// # Errors
    ///
    /// [`ProxyUriError::Credentials`] when the proxy's protocol cannot express them: Basic authentication has no colon in
    /// a user name and no control characters (RFC 7617); SOCKS5 has 1 to 255 bytes for either (RFC 1929).
    pub fn with_credentials(self, user: &str, password: &str) -> Result<Self, ProxyUriError> {
        let credentials = Credentials::new(user, password).ok_or(ProxyUriError::Credentials)?;
        self.checked(Some(credentials))
    }

    /// How to speak to the proxy.
    #[must_use]
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// The proxy's host; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.bare()
    }

    /// The proxy's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        alloc::format!("{}:{}", self.host.bracketed(), self.port)
    }

    /// Whether there are a user name and a password.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    pub(super) const fn dial_host(&self) -> &Host {
        &self.host
    }

    pub(super) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    fn checked(self, credentials: Option<Credentials>) -> Result<Self, ProxyUriError> {
        // RFC 1929 section 2: each length is 1 to 255.
        let fits = |text: &[u8]| (1..=255).contains(&text.len());
        let legal = credentials.as_ref().is_none_or(|it| fits(it.user()) && fits(it.password()));
        if self.scheme.is_socks() && !legal {
            return Err(ProxyUriError::Credentials);
        }
        Ok(Self { credentials, ..self })
    }
}

impl FromStr for Proxy {
    type Err = ProxyUriError;

    /// The proxy of this address.
    ///
    /// # Errors
    ///
    /// [`ProxyUriError`] says which component is not legal.
    fn from_str(uri: &str) -> Result<Self, ProxyUriError> {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
        let schemes = [ProxyScheme::Http, ProxyScheme::Https, ProxyScheme::Socks5, ProxyScheme::Socks5h];
        let named = schemes.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str()));
        let scheme = named.ok_or(ProxyUriError::Scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ProxyUriError::Path);
        }
        let DialAuthority { host, port, credentials } =
            DialAuthority::parse(authority).map_err(|error| match error {
                UriError::UserInfo => ProxyUriError::Credentials,
                UriError::Port => ProxyUriError::Port,
                _ => ProxyUriError::Host,
            })?;
        let port = port.unwrap_or(scheme.default_port());
        Self { scheme, host, port, credentials: None }.checked(credentials)
    }
}

/// Without user name and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host.bracketed(), self.port)
    }
}

/// Without user name and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why a text is not the address of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProxyUriError {
    /// A scheme other than `http`, `https`, `socks5` and `socks5h`.
    Scheme,
    /// No user name and password, or ones that the proxy's protocol cannot express.
    Credentials,
    /// A host that is empty or holds characters that may not stand there.
    Host,
    /// A port that is no number from 1 to 65535.
    Port,
    /// Something after the port other than one `/`.
    Path,
}

impl fmt::Display for ProxyUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address of the proxy does not begin with http://, https://, socks5:// or socks5h://",
            Self::Credentials => {
                "the user name or the password of the proxy cannot be sent: percent-encode special characters; a user name \
                 holds no colon, neither holds control characters, and SOCKS5 takes 1 to 255 bytes of each"
            }
            Self::Host => "the address of the proxy has no valid host",
            Self::Port => "the port of the proxy is not a number from 1 to 65535",
            Self::Path => "the address of the proxy holds something after its host and port",
        })
    }
}

impl core::error::Error for ProxyUriError {}

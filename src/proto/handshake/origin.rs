//! [`OriginPolicy`]: the web pages that may connect (RFC 6455 sections 4.2.2 and 10.2).
//!
//! A browser names in `Origin` the page that opens the connection, and sends the user's cookies with the request, whatever
//! page that is. A server that does not check it lets every page act as its user (cross-site WebSocket hijacking). Other
//! clients can send any value: an origin does not prove who connects.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::authority::Authority;
use super::error::{BuildError, OriginError};
use super::uri::default_port;

/// Which values of `Origin` a server accepts. Each policy accepts a request without one: it is not from a browser.
///
/// ```
/// use bowsprit::handshake::OriginPolicy;
///
/// assert!(OriginPolicy::SameOrigin.accepts(Some("https://example.com"), "example.com"));
/// assert!(!OriginPolicy::SameOrigin.accepts(Some("https://example.com.evil"), "example.com"));
///
/// let policy = OriginPolicy::allow(["https://app.example", "https://*.app.example", "tauri://localhost"])?;
/// assert!(policy.accepts(Some("HTTPS://APP.example:443"), "api.example"));
/// assert!(policy.accepts(Some("https://beta.app.example"), "api.example"));
/// assert!(policy.accepts(Some("tauri://localhost"), "api.example"));
/// # Ok::<(), bowsprit::handshake::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// The page was loaded over `http` or `https` from the host and port that the request was sent to (its `Host`).
    ///
    /// The scheme itself is not compared, since a server behind a proxy does not know its own. A `Host` without a port
    /// means the default port of the origin's scheme. Origins of other schemes (`capacitor://localhost`,
    /// `chrome-extension://...`), `file://` and `null` are refused.
    ///
    /// A page can make its own name resolve to your address (DNS rebinding). A server that is reachable only from inside a
    /// network, or on loopback, should list its origins instead.
    #[default]
    SameOrigin,
    /// The page has one of these origins. The server's own origin is not implied.
    Allow(Vec<OriginPattern>),
    /// A function decides: [`from_fn`](Self::from_fn) makes this.
    Custom(OriginFn),
    /// Any page may connect. Right when nothing depends on what a browser sends by itself: cookies, client
    /// certificates, being inside a network.
    Any,
}

impl OriginPolicy {
    /// [`Allow`](Self::Allow) with these [patterns](OriginPattern): `https://example.com`, `https://*.example.com`,
    /// `http://localhost:8080`, `tauri://localhost`, `file://`, `null`.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidOrigin`] when one is not a pattern; it is never ignored.
    pub fn allow<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        origins.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self::Allow)
    }

    /// A policy that calls `accepts` with the `Origin` of each request that has one, and with its host: `example.com`,
    /// `[::1]:9001`. Both are as the client sent them.
    ///
    /// ```
    /// use bowsprit::handshake::OriginPolicy;
    ///
    /// let policy = OriginPolicy::from_fn(|origin, _host| origin.starts_with("chrome-extension://"));
    /// assert!(policy.accepts(Some("chrome-extension://abc"), "example.com"));
    /// assert!(!policy.accepts(Some("https://example.com"), "example.com"));
    /// ```
    #[must_use]
    pub fn from_fn(accepts: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self::Custom(OriginFn(Arc::new(accepts)))
    }

    /// Whether a request with this `Origin` to this `Host` is acceptable.
    ///
    /// An `Origin` that is not a serialized origin is acceptable to [`Any`](Self::Any) alone, and to a function that says
    /// so.
    #[must_use]
    pub fn accepts(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameOrigin => origin.parse().is_ok_and(|origin: Origin| origin.is_of_host(host)),
            Self::Allow(list) => origin.parse().is_ok_and(|origin| list.iter().any(|pattern| pattern.matches(&origin))),
            Self::Custom(OriginFn(accepts)) => accepts(origin, host),
        }
    }

    /// # Errors
    ///
    /// When the request is not acceptable: what was compared.
    pub(super) fn check(&self, origin: Option<&str>, host: &str) -> Result<(), OriginError> {
        if self.accepts(origin, host) {
            return Ok(());
        }
        Err(OriginError { origin: origin.unwrap_or_default().to_owned(), host: host.to_owned() })
    }
}

/// The function of [`OriginPolicy::Custom`]. Two are equal when they are the same function.
#[derive(Clone)]
pub struct OriginFn(Arc<AcceptsOrigin>);

type AcceptsOrigin = dyn Fn(&str, &str) -> bool + Send + Sync;

impl PartialEq for OriginFn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OriginFn {}

impl fmt::Debug for OriginFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginFn")
    }
}

/// An origin, or all origins of the subdomains of a host: `https://*.example.com`.
///
/// Such a pattern matches `https://a.example.com` and `https://a.b.example.com`, but not `https://example.com`. Scheme and
/// port have to be the same. An asterisk anywhere else is an error.
///
/// ```
/// use bowsprit::handshake::OriginPattern;
///
/// let pattern: OriginPattern = "https://*.example.com".parse()?;
/// assert!(pattern.matches(&"https://a.example.com".parse()?));
/// assert!(!pattern.matches(&"https://example.com".parse()?));
/// assert!("https://a.*.com".parse::<OriginPattern>().is_err());
/// # Ok::<(), bowsprit::handshake::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OriginPattern {
    /// Without the asterisk and its dot.
    origin: Origin,
    subdomains: bool,
}

impl OriginPattern {
    /// Whether this origin is meant.
    #[must_use]
    pub fn matches(&self, origin: &Origin) -> bool {
        if !self.subdomains {
            return self.origin == *origin;
        }
        let (Some(parent), Some(origin)) = (&self.origin.0, &origin.0) else { return false };
        let subdomain = origin.host.strip_suffix(&*parent.host).and_then(|left| left.strip_suffix('.'));
        (&parent.scheme, parent.port) == (&origin.scheme, origin.port) && subdomain.is_some_and(|name| !name.is_empty())
    }
}

impl From<Origin> for OriginPattern {
    fn from(origin: Origin) -> Self {
        Self { origin, subdomains: false }
    }
}

impl FromStr for OriginPattern {
    type Err = BuildError;

    /// The pattern in this text.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidOrigin`] for everything but an [`Origin`] and `scheme://*.host[:port]`.
    fn from_str(pattern: &str) -> Result<Self, BuildError> {
        let invalid = || BuildError::InvalidOrigin(pattern.to_owned());
        let Some((scheme, parent)) = pattern.split_once("://*.") else {
            return pattern.parse::<Origin>().map(Self::from);
        };
        let origin: Origin = [scheme, "://", parent].concat().parse().map_err(|_| invalid())?;
        // Addresses have no subdomains.
        let has_host = origin.0.as_ref().is_some_and(|tuple| {
            !tuple.host.is_empty() && !tuple.host.starts_with('[') && !tuple.host.starts_with('.')
        });
        if has_host { Ok(Self { origin, subdomains: true }) } else { Err(invalid()) }
    }
}

/// A serialized origin (RFC 6454 section 6.2) in its normal form, so that two compare as browsers compare them.
///
/// ```
/// use bowsprit::handshake::Origin;
///
/// let origin: Origin = "https://example.com".parse()?;
/// assert_eq!(origin, "HTTPS://EXAMPLE.com:443".parse()?);
/// # Ok::<(), bowsprit::handshake::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin(Option<Tuple>);

/// Scheme and host in lower case. The port is absent only when the scheme has no default one. The host is empty only for
/// `file://`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Tuple {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// `null`: a page that hides its origin (a sandboxed frame), or has none.
    pub const NULL: Self = Self(None);

    fn is_of_host(&self, host: &str) -> bool {
        let (Some(origin), Ok(host)) = (&self.0, Authority::parse(host)) else { return false };
        // Pages of any other scheme do not come from a web server, whatever their host says.
        let from_web = matches!(&*origin.scheme, "http" | "https");
        let port = host.port.or(default_port_of(&origin.scheme));
        from_web && origin.port == port && origin.host.eq_ignore_ascii_case(host.host)
    }
}

impl FromStr for Origin {
    type Err = BuildError;

    /// The origin in this text.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidOrigin`] for everything but `null`, `file://` and `scheme://host[:port]`.
    fn from_str(text: &str) -> Result<Self, BuildError> {
        if text == "null" {
            return Ok(Self::NULL);
        }
        let invalid = || BuildError::InvalidOrigin(text.to_owned());
        let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
        // RFC 3986 section 3.1
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(legal) {
            return Err(invalid());
        }
        let scheme = scheme.to_ascii_lowercase();
        // Pages of the file system have no host.
        if scheme == "file" && authority.is_empty() {
            return Ok(Self(Some(Tuple { scheme, host: String::new(), port: None })));
        }
        let Authority { host, port } = Authority::parse(authority).map_err(|_| invalid())?;
        // No host has an asterisk; a pattern for hosts is none.
        if host.contains('*') {
            return Err(invalid());
        }
        let port = port.or(default_port_of(&scheme));
        Ok(Self(Some(Tuple { scheme, host: host.to_ascii_lowercase(), port })))
    }
}

/// The port that an origin of this scheme leaves out.
fn default_port_of(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(default_port(false)),
        "https" | "wss" => Some(default_port(true)),
        _ => None,
    }
}

//! Which pages may connect (RFC 6455 sections 4.2.2 and 10.2).
//!
//! A browser names in `Origin` the page that opens the connection, and sends the user's cookies along, whatever page
//! that is: a server that does not look at it lets every page act as its user (cross-site WebSocket hijacking). Any
//! other client can write there what it likes: an origin proves nothing about who is connecting.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use super::error::HandshakeError;
use super::uri::Authority;

/// Which values of `Origin` a server accepts. A request without one is accepted by each: it is not from a browser.
///
/// ```
/// use bowsprit::handshake::OriginPolicy;
///
/// assert!(OriginPolicy::SameOrigin.accepts(Some("https://example.com"), "example.com"));
/// assert!(!OriginPolicy::SameOrigin.accepts(Some("https://example.com.evil"), "example.com"));
///
/// let policy = OriginPolicy::allow(["https://app.example"])?;
/// assert!(policy.accepts(Some("HTTPS://APP.example:443"), "api.example"));
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum OriginPolicy {
    /// The page comes from the host and port that the request was sent to (its `Host`).
    ///
    /// The scheme is not compared, since a server behind a proxy does not know its own: a port that is not written is
    /// the default one of the origin's scheme on both sides. A page can have its own name lead to your address (DNS
    /// rebinding): what is reachable from inside a network alone, or on loopback, lists its origins instead.
    #[default]
    SameOrigin,
    /// The page comes from one of these origins, and from no other: list your own, too.
    Allow(Vec<Origin>),
    /// Any page may connect. Right when nothing depends on what a browser sends by itself: cookies, client
    /// certificates, being inside a network.
    Any,
}

impl OriginPolicy {
    /// [`Allow`](Self::Allow) of these origins: `https://example.com`, `http://localhost:8080`, `null`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::InvalidField`] when one is not a serialized origin.
    pub fn allow<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, HandshakeError> {
        origins.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self::Allow)
    }

    /// Whether a request with this `Origin` to this `Host` is acceptable.
    ///
    /// What is no origin, as `null`, is not acceptable to [`SameOrigin`](Self::SameOrigin); and to
    /// [`Allow`](Self::Allow) only `null`, when it is listed.
    #[must_use]
    pub fn accepts(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameOrigin => origin.parse().is_ok_and(|origin: Origin| origin.is_of_host(host)),
            Self::Allow(list) => origin.parse().is_ok_and(|origin| list.contains(&origin)),
        }
    }
}

/// A serialized origin (RFC 6454 section 6.2), normalised: compared exactly, it compares as browsers do.
///
/// ```
/// use bowsprit::handshake::Origin;
///
/// let origin: Origin = "https://example.com".parse()?;
/// assert_eq!(origin, "HTTPS://EXAMPLE.com:443".parse()?);
/// # Ok::<(), bowsprit::HandshakeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin(Option<Tuple>);

/// Scheme and host in lower case; no port only where the scheme has no default one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Tuple {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// `null`: a page that must not tell where it comes from, or comes from nowhere.
    pub const NULL: Self = Self(None);

    fn is_of_host(&self, host: &str) -> bool {
        let (Some(origin), Ok(host)) = (&self.0, Authority::parse(host)) else { return false };
        let port = host.port.or(default_port(&origin.scheme));
        origin.port == port && origin.host.eq_ignore_ascii_case(host.host)
    }
}

impl FromStr for Origin {
    type Err = HandshakeError;

    /// The origin in this text.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::InvalidField`] for everything but `null` and `scheme://host[:port]`.
    fn from_str(origin: &str) -> Result<Self, HandshakeError> {
        if origin == "null" {
            return Ok(Self::NULL);
        }
        let invalid = || HandshakeError::InvalidField("Origin".to_owned());
        let (scheme, authority) = origin.split_once("://").ok_or_else(invalid)?;
        // RFC 3986 section 3.1
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(legal) {
            return Err(invalid());
        }
        let Authority { host, port } = Authority::parse(authority).map_err(|_| invalid())?;
        let scheme = scheme.to_ascii_lowercase();
        let port = port.or(default_port(&scheme));
        Ok(Self(Some(Tuple { scheme, host: host.to_ascii_lowercase(), port })))
    }
}

/// The port that stands for none in an origin of this scheme.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

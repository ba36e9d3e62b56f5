//! Where a redirect leads: references (RFC 3986 section 5), and which redirects are followed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::proto::handshake::text::Excerpt;
use crate::proto::handshake::{ClientRequest, ClientResponse, Uri, UriError};

/// The request that follows a redirect, or `None` where `response` is none: a status other than 301, 302, 303, 307 and 308.
///
/// The `Location` may be relative; `http` and `https` are read as `ws` and `wss`. To another origin (scheme, host, port),
/// the request goes without `Authorization`, `Cookie` and `Proxy-Authorization`; within one it keeps them, and the user
/// information of its address. User information in a `Location` is ignored: the caller alone chooses how to log in.
///
/// # Errors
///
/// [`RedirectError`] when the response has not exactly one valid `Location`, or it leads from `wss` to `ws`.
pub fn redirect(request: &ClientRequest, response: &ClientResponse) -> Result<Option<ClientRequest>, RedirectError> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().single("Location").ok_or(RedirectError::NoLocation)?;
    let shown = || format!("{}", Excerpt(location));
    let invalid = |error| RedirectError::Location { location: shown(), error };
    let reference = str::from_utf8(location).map_err(|_| invalid(UriError::Resource))?;
    let from = request.uri();
    let uri = resolve_location(from, reference).map_err(invalid)?;
    if from.is_secure() && !uri.is_secure() {
        return Err(RedirectError::Insecure { location: shown() });
    }
    Ok(Some(request.redirected(uri)))
}

/// The URI that `reference` means at `base` (RFC 3986 section 5.2). `http` is read as `ws`, `https` as `wss`; a fragment and
/// user information are dropped.
///
/// ```
/// use bowsprit::dial::resolve_location;
///
/// let base = "wss://example.com/a/b?x=1".parse()?;
/// for (reference, uri) in [
///     ("c?y=2", "wss://example.com/a/c?y=2"),
///     ("../d", "wss://example.com/d"),
///     ("//other.example/e", "wss://other.example/e"),
///     ("https://other.example:8443", "wss://other.example:8443/"),
/// ] {
///     assert_eq!(resolve_location(&base, reference)?.to_string(), uri);
/// }
/// # Ok::<(), bowsprit::handshake::UriError>(())
/// ```
///
/// # Errors
///
/// [`UriError`] when the result is no WebSocket URI.
pub fn resolve_location(base: &Uri, reference: &str) -> Result<Uri, UriError> {
    let reference = reference.split('#').next().unwrap_or_default();
    let base_scheme = if base.is_secure() { "wss" } else { "ws" };
    let resolved = match split_scheme(reference) {
        Some((scheme, rest)) => absolute(websocket_scheme(scheme)?, rest.strip_prefix("//").ok_or(UriError::Host)?),
        None => match reference.strip_prefix("//") {
            Some(rest) => absolute(base_scheme, rest),
            None => base.with_resource(&relative(base.resource_name(), reference)),
        },
    };
    resolved.map(Uri::without_user_info)
}

fn absolute(scheme: &str, rest: &str) -> Result<Uri, UriError> {
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = split_query(resource);
    format!("{scheme}://{authority}{}{query}", remove_dot_segments(path)).parse()
}

/// The path and query of a reference that has neither scheme nor authority.
fn relative(base: &str, reference: &str) -> String {
    let (base_path, base_query) = split_query(base);
    let (path, query) = split_query(reference);
    let (path, query) = match path {
        "" => (String::from(base_path), if query.is_empty() { base_query } else { query }),
        _ if path.starts_with('/') => (remove_dot_segments(path), query),
        _ => {
            // RFC 3986 section 5.2.3: the reference takes the place of the base's last segment.
            let directory = base_path.rfind('/').map_or("/", |slash| &base_path[..=slash]);
            (remove_dot_segments(&format!("{directory}{path}")), query)
        }
    };
    path + query
}

/// The scheme, and what follows its colon.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let starts = scheme.starts_with(|char: char| char.is_ascii_alphabetic());
    (starts && scheme.bytes().all(legal)).then_some((scheme, rest))
}

fn websocket_scheme(scheme: &str) -> Result<&'static str, UriError> {
    match () {
        () if scheme.eq_ignore_ascii_case("ws") || scheme.eq_ignore_ascii_case("http") => Ok("ws"),
        () if scheme.eq_ignore_ascii_case("wss") || scheme.eq_ignore_ascii_case("https") => Ok("wss"),
        () => Err(UriError::Scheme),
    }
}

/// The path, and the query with its question mark.
fn split_query(resource: &str) -> (&str, &str) {
    resource.split_at(resource.find('?').unwrap_or(resource.len()))
}

/// RFC 3986 section 5.2.4, for a path that is empty or begins with `/`.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
        if is_last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// A redirect that is not followed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RedirectError {
    /// The response has no `Location`, or several.
    NoLocation,
    /// The `Location` leads to no WebSocket URI.
    Location {
        /// The beginning of its value.
        location: String,
        /// Why not.
        error: UriError,
    },
    /// The `Location` leads from `wss` to `ws`.
    Insecure {
        /// The beginning of its value.
        location: String,
    },
    /// More redirects than [`DialOptions::redirects`](super::DialOptions::redirects) allows.
    TooMany {
        /// How many are allowed.
        limit: u32,
        /// Where the next one leads.
        location: String,
    },
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("the server redirects, but its response has not exactly one Location"),
            Self::Location { location, error } => write!(f, "the server redirects to {location}: {error}"),
            Self::Insecure { location } => {
                write!(f, "the server redirects to {location}: from TLS (wss) to plain text (ws) is refused")
            }
            Self::TooMany { limit, location } => {
                write!(f, "the server redirects to {location}: {limit} redirects were followed, which is the limit")
            }
        }
    }
}

impl core::error::Error for RedirectError {}

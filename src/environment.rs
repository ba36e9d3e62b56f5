//! What the environment says of proxies.
//!
//! With the feature `proxy-env`, [`connect`](crate::tokio::connect) and the connectors of both adapters use the proxy that the
//! environment names, as other programs do. [`Connector::proxy`](crate::tokio::Connector::proxy) with
//! [`ProxyChoice::None`] turns that off.
//!
//! | Variable, lower case first | |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY` | the proxy for `wss` |
//! | `http_proxy`, `HTTP_PROXY` | the proxy for `ws`; in a CGI program (`REQUEST_METHOD` is set) the second one comes from the request, and is ignored |
//! | `all_proxy`, `ALL_PROXY` | the proxy for both, where the one above is missing |
//! | `no_proxy`, `NO_PROXY` | hosts, domains, addresses and networks without a proxy, separated by commas; `*` for all |
//!
//! Loopback addresses and `localhost` are always reached without one. A variable that holds no proxy's address is ignored.

use std::env;
use std::net::IpAddr;
use std::string::String;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::dial::{Proxy, ProxyChoice};
use crate::handshake::Uri;

/// Chooses the proxy that the environment names when a connection is dialled.
#[must_use]
pub fn proxy_choice() -> ProxyChoice {
    ProxyChoice::By(Arc::new(proxy))
}

/// The proxy that the environment names for this address; `None` where there is none.
#[must_use]
pub fn proxy(uri: &Uri) -> Option<Proxy> {
    from_variables(uri, |name| env::var(name).ok())
}

fn from_variables(uri: &Uri, get: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let host = uri.host();
    if host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback()) {
        return None;
    }
    let any = |lower: &str, upper: &str| get(lower).or_else(|| get(upper)).unwrap_or_default();
    let is_cgi = get("REQUEST_METHOD").is_some();
    let http = if is_cgi { get("http_proxy").unwrap_or_default() } else { any("http_proxy", "HTTP_PROXY") };
    let matcher = Matcher::builder()
        .http(http)
        .https(any("https_proxy", "HTTPS_PROXY"))
        .all(any("all_proxy", "ALL_PROXY"))
        .no(any("no_proxy", "NO_PROXY"))
        .build();
    let scheme = if uri.is_secure() { "https" } else { "http" };
    let target = http::Uri::builder().scheme(scheme).authority(uri.authority()).path_and_query("/").build().ok()?;
    to_proxy(&matcher.intercept(&target)?)
}

fn to_proxy(found: &Intercept) -> Option<Proxy> {
    let address = std::format!("{}://{}", found.uri().scheme_str()?, found.uri().authority()?);
    let proxy: Proxy = address.parse().ok()?;
    if let Some((user, password)) = found.raw_auth() {
        return proxy.with_credentials(user, password).ok();
    }
    let Some(basic) = found.basic_auth() else { return Some(proxy) };
    let encoded = basic.as_bytes().strip_prefix(b"Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    proxy.with_credentials(user, password).ok()
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    fn chosen(uri: &str, variables: &[(&str, &str)]) -> Option<String> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        let proxy = from_variables(&uri.parse().expect("a URI"), get)?;
        Some(if proxy.has_credentials() { proxy.to_string() + " with a login" } else { proxy.to_string() })
    }

    #[test]
    fn the_scheme_and_the_case_of_the_variables() {
        let variables = [
            ("HTTPS_PROXY", "http://upper:1"),
            ("https_proxy", "http://me:secret@lower:2"),
            ("HTTP_PROXY", "socks5h://me:secret@socks:3"),
            ("NO_PROXY", "inside.example, 10.0.0.0/8"),
        ];
        let cases = [
            ("wss://far.example/", Some("http://lower:2 with a login")),
            ("ws://far.example/", Some("socks5h://socks:3 with a login")),
            ("ws://inside.example/", None),
            ("ws://a.inside.example:81/", None),
            ("wss://10.1.2.3/", None),
            ("ws://localhost/", None),
            ("ws://127.0.0.2/", None),
            ("ws://[::1]:80/", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(chosen(uri, &variables).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn one_for_all_and_what_is_no_address() {
        assert_eq!(chosen("ws://a/", &[("ALL_PROXY", "all:8080")]).as_deref(), Some("http://all:8080"));
        assert_eq!(chosen("ws://a/", &[("ALL_PROXY", "all:8080"), ("no_proxy", "*")]), None);
        assert_eq!(chosen("ws://a/", &[("http_proxy", "ftp://a")]), None);
        assert_eq!(chosen("ws://a/", &[]), None);
    }

    /// A request's `Proxy` field becomes `HTTP_PROXY` in a CGI program.
    #[test]
    fn a_cgi_program_ignores_what_a_request_may_set() {
        let variables = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil:1")];
        assert_eq!(chosen("ws://a/", &variables), None);
        assert_eq!(
            chosen("ws://a/", &[variables[0], ("http_proxy", "http://ours:1")]).as_deref(),
            Some("http://ours:1")
        );
    }
}

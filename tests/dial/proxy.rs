//! The addresses of proxies.

use bowsprit::dial::{Proxy, ProxyScheme, ProxyUriError};

fn proxy(text: &str) -> Proxy {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn scheme_host_and_port_are_read() {
    for (text, scheme, host, port) in [
        ("http://p", ProxyScheme::Http, "p", 80),
        ("https://p", ProxyScheme::Https, "p", 443),
        ("socks5://p", ProxyScheme::Socks5, "p", 1080),
        ("SOCKS5H://p:9050/", ProxyScheme::Socks5h, "p", 9050),
        ("http://[::1]:3128", ProxyScheme::Http, "::1", 3128),
        ("http://u:p@192.0.2.1:1", ProxyScheme::Http, "192.0.2.1", 1),
        ("proxy.example:3128", ProxyScheme::Http, "proxy.example", 3128),
    ] {
        let proxy = proxy(text);
        assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (scheme, host, port), "{text}");
    }
    assert_eq!(proxy("http://[::1]").authority(), "[::1]:80");
}

#[test]
fn what_is_no_proxy_is_refused() {
    for (text, error) in [
        ("ftp://p", ProxyUriError::Scheme),
        ("socks4://p", ProxyUriError::Scheme),
        ("ws://p", ProxyUriError::Scheme),
        ("://p", ProxyUriError::Scheme),
        ("http://", ProxyUriError::Host),
        ("", ProxyUriError::Host),
        ("http://a b", ProxyUriError::Host),
        ("http://[::1", ProxyUriError::Host),
        ("http://p\r\nX: y", ProxyUriError::Host),
        ("http://p:0", ProxyUriError::Port),
        ("http://p:65536", ProxyUriError::Port),
        ("http://p:x", ProxyUriError::Port),
        ("http://p/x", ProxyUriError::Path),
        ("http://p?x", ProxyUriError::Path),
        ("http://p#x", ProxyUriError::Path),
        ("http://u@v@p", ProxyUriError::Credentials),
        ("http://u%3Av:x@p", ProxyUriError::Credentials),
        ("http://u:%0d%0aX@p", ProxyUriError::Credentials),
        ("http://u:%4@p", ProxyUriError::Credentials),
        ("socks5://u@p", ProxyUriError::Credentials),
        ("socks5://:x@p", ProxyUriError::Credentials),
    ] {
        assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
    }
    let long = "x".repeat(256);
    assert_eq!(format!("socks5h://{long}:p@h").parse::<Proxy>(), Err(ProxyUriError::Credentials));
    assert_eq!(format!("socks5h://u:{long}@h").parse::<Proxy>(), Err(ProxyUriError::Credentials));
    assert!(format!("http://u:{long}@h").parse::<Proxy>().is_ok());
    assert_eq!(format!("http://{long}").parse::<Proxy>(), Err(ProxyUriError::Host));
}

#[test]
fn credentials_can_be_given_apart() {
    let given = proxy("http://p").with_credentials("me", "p@s:s");
    assert_eq!(given, Ok(proxy("http://me:p%40s:s@p")));
    assert!(given.is_ok_and(|proxy| proxy.has_credentials()));
    assert_eq!(proxy("http://p").with_credentials("a:b", "x"), Err(ProxyUriError::Credentials));
    assert_eq!(proxy("http://p").with_credentials("a", "x\n"), Err(ProxyUriError::Credentials));
    assert_eq!(proxy("socks5://p").with_credentials("a", ""), Err(ProxyUriError::Credentials));
    assert!(!proxy("http://@p").has_credentials());
}

#[test]
fn credentials_are_never_shown() {
    let proxy = proxy("http://somebody:s%65cret@p:1");
    assert_eq!((proxy.to_string(), format!("{proxy:?}")), ("http://p:1".into(), "Proxy(http://p:1)".into()));
    assert_eq!(format!("{proxy:#?}"), "Proxy(http://p:1)");
}

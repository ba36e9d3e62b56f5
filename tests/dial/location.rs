//! References (RFC 3986 section 5), resolved.

use bowsprit::dial::resolve_location;
use bowsprit::handshake::{Uri, UriError};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn resolves(base: &str, reference: &str, expected: &str) {
    let resolved = resolve_location(&uri(base), reference).map(|uri| uri.to_string());
    assert_eq!(resolved.as_deref(), Ok(expected), "{reference:?} at {base}");
}

/// The examples of RFC 3986 section 5.4, without those of other schemes, and without fragments.
#[test]
fn the_examples_of_the_rfc() {
    let base = "ws://a/b/c/d;p?q";
    for (reference, resolved) in [
        ("g", "ws://a/b/c/g"),
        ("./g", "ws://a/b/c/g"),
        ("g/", "ws://a/b/c/g/"),
        ("/g", "ws://a/g"),
        ("//g", "ws://g/"),
        ("?y", "ws://a/b/c/d;p?y"),
        ("g?y", "ws://a/b/c/g?y"),
        ("#s", "ws://a/b/c/d;p?q"),
        ("g#s", "ws://a/b/c/g"),
        ("g?y#s", "ws://a/b/c/g?y"),
        (";x", "ws://a/b/c/;x"),
        ("g;x", "ws://a/b/c/g;x"),
        ("g;x?y#s", "ws://a/b/c/g;x?y"),
        ("", "ws://a/b/c/d;p?q"),
        (".", "ws://a/b/c/"),
        ("./", "ws://a/b/c/"),
        ("..", "ws://a/b/"),
        ("../", "ws://a/b/"),
        ("../g", "ws://a/b/g"),
        ("../..", "ws://a/"),
        ("../../", "ws://a/"),
        ("../../g", "ws://a/g"),
        ("../../../g", "ws://a/g"),
        ("../../../../g", "ws://a/g"),
        ("/./g", "ws://a/g"),
        ("/../g", "ws://a/g"),
        ("g.", "ws://a/b/c/g."),
        (".g", "ws://a/b/c/.g"),
        ("g..", "ws://a/b/c/g.."),
        ("..g", "ws://a/b/c/..g"),
        ("./../g", "ws://a/b/g"),
        ("./g/.", "ws://a/b/c/g/"),
        ("g/./h", "ws://a/b/c/g/h"),
        ("g/../h", "ws://a/b/c/h"),
        ("g;x=1/./y", "ws://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "ws://a/b/c/y"),
        ("g?y/./x", "ws://a/b/c/g?y/./x"),
        ("g?y/../x", "ws://a/b/c/g?y/../x"),
        ("g#s/../x", "ws://a/b/c/g"),
    ] {
        resolves(base, reference, resolved);
    }
}

#[test]
fn the_schemes_of_http_are_those_of_websocket() {
    for (reference, resolved) in [
        ("http://b/x", "ws://b/x"),
        ("HTTPS://b/x", "wss://b/x"),
        ("ws://b:443/x", "ws://b:443/x"),
        ("Wss://b", "wss://b/"),
        ("https://b:80?x", "wss://b:80/?x"),
        ("https://b/a/../c", "wss://b/c"),
    ] {
        resolves("ws://a/", reference, resolved);
    }
    resolves("wss://a/", "//b/x", "wss://b/x");
    resolves("wss://a:8443/x", "y", "wss://a:8443/y");
    resolves("ws://[fe80::1%25eth0]:81/x", "y", "ws://[fe80::1%25eth0]:81/y");
}

#[test]
fn a_path_after_an_authority_names_no_host() {
    resolves("ws://a/x/", "/..//evil/y", "ws://a//evil/y");
    resolves("ws://a/x/", ".//evil", "ws://a/x//evil");
    resolves("ws://a?q=1/2", "g", "ws://a/g");
    resolves("ws://a/a//../b", "", "ws://a/a//../b");
    resolves("ws://a/a//b", "../c", "ws://a/a/c");
    resolves("ws://a/b?q", "?", "ws://a/b");
}

#[test]
fn user_information_is_dropped() {
    resolves("ws://u:p@a/", "/x", "ws://a/x");
    assert!(!resolve_location(&uri("ws://u:p@a/"), "x").is_ok_and(|uri| uri.has_user_info()));
    assert!(!resolve_location(&uri("ws://a/"), "ws://u:p@b/").is_ok_and(|uri| uri.has_user_info()));
}

#[test]
fn what_leads_to_no_websocket_is_refused() {
    for (reference, error) in [
        ("ftp://b/", UriError::Scheme),
        ("javascript:alert(1)", UriError::Scheme),
        ("mailto:a@b", UriError::Scheme),
        ("http:g", UriError::Host),
        ("ws:/g", UriError::Host),
        ("http://", UriError::Host),
        ("//", UriError::Host),
        ("///x", UriError::Host),
        ("http://b:0/", UriError::Port),
        ("http://b\r\nX: y/", UriError::Host),
        ("/x\r\nX: y", UriError::Resource),
        ("/\\evil", UriError::Resource),
        ("\\\\evil", UriError::Resource),
        ("http://good\\@evil/", UriError::UserInfo),
        #[cfg(not(feature = "idna"))]
        ("http://ü/", UriError::NonAsciiHost),
        ("/%", UriError::Resource),
    ] {
        assert_eq!(resolve_location(&uri("ws://a/b"), reference), Err(error), "{reference:?}");
    }
}

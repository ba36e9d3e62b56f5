//! Addresses to dial: user information, zones, characters that are encoded; and logins of a request.

use std::sync::Arc;

use bowsprit::Config;
use bowsprit::handshake::{BuildError, ClientHandshake, ClientRequest, Uri, UriError};
use bytes::BytesMut;

use crate::sim::{START, request};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn head(request: &ClientRequest) -> String {
    let mut output = BytesMut::new();
    let _ = ClientHandshake::start(request, [7; 16], Arc::new(Config::default()), START, &mut output);
    String::from_utf8(output.into()).expect("a head is text")
}

fn authorization(request: &ClientRequest) -> Vec<String> {
    head(request).lines().filter_map(|line| line.strip_prefix("Authorization: ").map(str::to_owned)).collect()
}

#[test]
fn user_information_becomes_basic_authentication() {
    for (text, value) in [
        ("ws://u:p@h/", Some("Basic dTpw")),
        // RFC 7617 section 2
        ("ws://Aladdin:open%20sesame@h/", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        // RFC 7617 section 2.1: "test" and "123£", in UTF-8
        ("ws://test:123%C2%A3@h/", Some("Basic dGVzdDoxMjPCow==")),
        ("ws://u@h/", Some("Basic dTo=")),
        ("ws://u:@h/", Some("Basic dTo=")),
        ("ws://:p@h/", Some("Basic OnA=")),
        ("ws://u:p:q%40@h/", Some("Basic dTpwOnFA")),
        ("ws://@h/", None),
        ("ws://:@h/", None),
        ("ws://h/", None),
    ] {
        let request = request(text);
        assert_eq!(authorization(&request), value.into_iter().collect::<Vec<_>>(), "{text}");
        assert_eq!(request.uri().has_user_info(), value.is_some(), "{text}");
        assert!(head(&request).starts_with("GET / HTTP/1.1\r\nHost: h\r\n"), "{text}");
    }
}

#[test]
fn a_header_of_ones_own_wins() {
    let own = request("ws://u:p@h/").header("authorization", "Custom x").expect("a header");
    assert!(authorization(&own).is_empty() && head(&own).contains("\r\nauthorization: Custom x\r\n"));
    let own = request("ws://u:p@h/").basic_auth("me", "x").expect("a login");
    assert_eq!(authorization(&own), ["Basic bWU6eA=="]);
    let own = request("ws://u:p@h/").bearer_auth("abc").expect("a token");
    assert_eq!(authorization(&own), ["Bearer abc"]);
}

#[test]
fn user_information_is_never_shown() {
    let uri = uri("ws://somebody:s%65cret@h:9001/x");
    assert_eq!(uri.to_string(), "ws://h:9001/x");
    let shown = format!("{uri:?} {:?} {}", ClientRequest::from(uri.clone()), uri.authority());
    assert!(!shown.contains("somebody") && !shown.contains("s%65cret") && !shown.contains("secret"), "{shown}");
    assert_ne!(uri, uri.clone().without_user_info());
    assert_eq!(uri.without_user_info().to_string().parse(), "ws://h:9001/x".parse::<Uri>());
}

#[test]
fn credentials_in_headers_are_not_shown_by_debug() {
    let request = request("ws://h/").basic_auth("me", "secret").expect("a login");
    let request = request.header("cookie", "id=secret").and_then(|it| it.header("X-Trace", "1")).expect("headers");
    let shown = format!("{request:?}");
    assert!(!shown.contains("secret") && !shown.contains("bWU6c2VjcmV0"), "{shown}");
    assert!(shown.contains("\"Authorization\": \"(hidden)\"") && shown.contains("\"X-Trace\": \"1\""), "{shown}");
}

#[test]
fn a_login_that_cannot_be_expressed_is_refused() {
    let invalid = || Err(BuildError::InvalidHeader("Authorization".into()));
    for (user, password) in [("a:b", "x"), ("a\n", "x"), ("a", "x\r\nEvil: 1"), ("a", "\0")] {
        assert_eq!(request("ws://h/").basic_auth(user, password).map(drop), invalid(), "{user:?} {password:?}");
    }
    for token in ["", "=", "a b", "a=b", "a\r\nEvil: 1", "ü", "a,b"] {
        assert_eq!(request("ws://h/").bearer_auth(token).map(drop), invalid(), "{token:?}");
    }
    for token in ["a", "mF_9.B5f-4.1JqM", "a~b+c/d=="] {
        assert_eq!(
            authorization(&request("ws://h/").bearer_auth(token).expect("a token")),
            [format!("Bearer {token}")]
        );
    }
    assert_eq!(authorization(&request("ws://h/").basic_auth("", "").expect("a login")), ["Basic Og=="]);
    let repeated = request("ws://h/").bearer_auth("a").and_then(|request| request.basic_auth("u", "p"));
    assert_eq!(repeated.map(drop), Err(BuildError::RepeatedHeader("Authorization".into())));
}

#[test]
fn a_zone_is_kept_for_dialling_and_stays_out_of_the_host() {
    let uri = uri("ws://[fe80::1%25eth0]:9001/x");
    assert_eq!((uri.host(), uri.zone()), ("fe80::1", Some("eth0")));
    assert_eq!((&*uri.host_field(), &*uri.authority()), ("[fe80::1]:9001", "[fe80::1]:9001"));
    assert_eq!(uri.to_string(), "ws://[fe80::1%25eth0]:9001/x");
    assert!(head(&uri.into()).contains("\r\nHost: [fe80::1]:9001\r\n"));
    assert_eq!(self::uri("ws://[fe80::1%25a%2Db]/").zone(), Some("a-b"));
    assert_eq!(self::uri("wss://[fe80::1%25a%3Ab]").to_string(), "wss://[fe80::1%25a%3Ab]/");
    let parts = Uri::from_parts(false, "fe80::1%eth0", Some(9001), "x", "");
    assert_eq!(parts, Ok(self::uri("ws://[fe80::1%25eth0]:9001/x")));
    assert_ne!(self::uri("ws://[fe80::1%25eth0]/"), self::uri("ws://[fe80::1%25eth1]/"));
}

#[test]
fn a_zone_that_is_none_is_refused() {
    for bad in [
        "ws://[fe80::1%25]/",
        "ws://[fe80::1%eth0]/",
        "ws://[fe80::1%25e%4]/",
        "ws://[fe80::1%25e%0D%0AX]/",
        "ws://[fe80::1%25e%25]/",
        "ws://[fe80::1%25e%5D]/",
        "ws://[fe80::1%25%FF]/",
        "ws://[192.0.2.1%25eth0]/",
        "ws://[h%25eth0]/",
        "ws://[fe80::1%25eth0/",
    ] {
        assert_eq!(bad.parse::<Uri>(), Err(UriError::Host), "{bad}");
    }
    let long = "e".repeat(65);
    assert_eq!(format!("ws://[fe80::1%25{long}]/").parse::<Uri>(), Err(UriError::Host));
    assert_eq!(Uri::from_parts(false, "[fe80::1%]", None, "", ""), Err(UriError::Host));
}

#[test]
fn what_browsers_encode_is_encoded() {
    for (text, resource) in [
        ("ws://h/a b", "/a%20b"),
        ("ws://h/{a|b}^`<>\"", "/%7Ba%7Cb%7D%5E%60%3C%3E%22"),
        ("ws://h/[a]?[a]=[b]", "/%5Ba%5D?[a]=[b]"),
        ("ws://h?q={\"a b\":1}", "/?q=%7B%22a%20b%22:1%7D"),
        ("ws://h/%7b?%5B", "/%7b?%5B"),
        ("ws://h/ü|?€", "/%C3%BC%7C?%E2%82%AC"),
        ("ws://h/a??[", "/a??["),
    ] {
        let uri = uri(text);
        assert_eq!(uri.resource_name(), resource, "{text}");
        assert_eq!(uri.to_string().parse(), Ok(uri), "{text}");
    }
    for bad in ["ws://h/a\\b", "ws://h/?\\", "ws://h/a\tb", "ws://h/\u{7f}", "ws://h/a\r\nb", "ws://h/%"] {
        assert_eq!(bad.parse::<Uri>(), Err(UriError::Resource), "{bad:?}");
    }
}

#[test]
fn a_host_has_at_most_255_bytes() {
    assert!(format!("ws://{}/", "a".repeat(255)).parse::<Uri>().is_ok());
    assert_eq!(format!("ws://{}/", "a".repeat(256)).parse::<Uri>(), Err(UriError::Host));
}

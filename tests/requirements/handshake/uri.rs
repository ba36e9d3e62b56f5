//! Group A: WebSocket URIs (RFC 6455 section 3).

use core::time::Duration;
use std::sync::Arc;

use bowsprit::Role;
use bowsprit::handshake::{ClientHandshake, ClientRequest, Uri, UriError};
use bytes::BytesMut;

use super::{REQUEST, request};
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-3-01
    assert!(uri("WSS://h/").is_secure());
    assert_eq!(uri("WSS://h/").port(), 443);
    assert!(!uri("ws://h/").is_secure());
    for bad in ["ftp://h/", "http://h/", "https://h/", "h", "", "ws:h", "ws:/h", "//h/", "wsss://h/", " ws://h/"] {
        refuses(bad, UriError::Scheme);
    }
    log.proved("WS-3-01", Role::Client);

    // REQ: WS-3-02
    for bad in ["ws://h/a#b", "ws://h/a#", "ws://h#", "ws://h/?a#b"] {
        refuses(bad, UriError::Fragment);
    }
    assert_eq!(uri("ws://h/a%23b").resource_name(), "/a%23b");
    log.proved("WS-3-02", Role::Client);

    // REQ: WS-3-03
    let built = Uri::from_parts(false, "h", None, "a#b", "c#d").unwrap();
    assert_eq!(built.resource_name(), "/a%23b?c%23d");
    assert_eq!(Uri::from_parts(true, "h", None, "/a/?b", "50%=ü&x=/?").unwrap().to_string(), {
        "wss://h/a/%3Fb?50%25=%C3%BC&x=/?"
    });
    assert_eq!(Uri::from_parts(false, "h", None, "a\r\nX: y", "").unwrap().resource_name(), "/a%0D%0AX:%20y");
    assert_eq!(Uri::from_parts(false, "::1", Some(9001), "", "").unwrap(), uri("ws://[::1]:9001"));
    assert_eq!(Uri::from_parts(false, "h\r\nX", None, "", ""), Err(UriError::Host));
    assert_eq!(Uri::from_parts(false, "h", Some(0), "", ""), Err(UriError::Port));
    log.proved("WS-3-03", Role::Client);

    // REQ: WS-3-04
    for (text, port) in
        [("ws://h", 80), ("wss://h", 443), ("ws://h:/x", 80), ("wss://h:/", 443), ("ws://h:9001/", 9001)]
    {
        assert_eq!(uri(text).port(), port, "{text}");
    }
    for bad in ["ws://h:65536/", "ws://h:8x/", "ws://h:0/", "ws://h:-1/", "ws://h:+1/", "ws://[::1]:x/"] {
        refuses(bad, UriError::Port);
    }
    log.proved("WS-3-04", Role::Client);

    // REQ: WS-3-05
    for (text, name) in [
        ("ws://h", "/"),
        ("ws://h/", "/"),
        ("ws://h?x=1", "/?x=1"),
        ("ws://h/p?", "/p"),
        ("ws://h?", "/"),
        ("ws://h/p?a?b/c", "/p?a?b/c"),
        ("ws://h//x/../y", "//x/../y"),
    ] {
        assert_eq!(uri(text).resource_name(), name, "{text}");
    }
    log.proved("WS-3-05", Role::Client);

    // REQ: WS-3-06
    for bad in [
        "ws:///p",
        "ws://",
        "ws://h h/",
        "ws://[::1/",
        "ws://[::g]/",
        "ws://[h]/",
        "ws://:80/",
        "ws://h%4/",
        "ws://a:b:80/",
    ] {
        refuses(bad, UriError::Host);
    }
    assert_eq!(uri("ws://127.0.0.1:1/").host(), "127.0.0.1");
    assert_eq!(uri("ws://Server.Example.com/").host(), "Server.Example.com");
    log.proved("WS-3-06", Role::Client);

    // REQ: WS-3-07
    let (local, public) = (uri("ws://[::1]:9001/c"), uri("wss://[2001:db8::1]/"));
    assert_eq!((local.host(), local.port(), &*local.host_field()), ("::1", 9001, "[::1]:9001"));
    assert_eq!((public.host(), &*public.host_field()), ("2001:db8::1", "[2001:db8::1]"));
    assert_eq!(public.authority(), "[2001:db8::1]:443");
    log.proved("WS-3-07", Role::Client);

    // REQ: WS-3-08
    assert_eq!(uri("ws://h/ü?ü").resource_name(), "/%C3%BC?%C3%BC");
    #[cfg(not(feature = "idna"))]
    refuses("ws://bücher.example/", UriError::NonAsciiHost);
    assert!(UriError::NonAsciiHost.to_string().contains("punycode"));
    assert_eq!(uri("ws://xn--bcher-kva.example/").host(), "xn--bcher-kva.example");
    log.proved("WS-3-08", Role::Client);

    // REQ: WS-3-09
    assert_eq!(uri("ws://h/a%0d%0aX").resource_name(), "/a%0d%0aX");
    for bad in [
        "ws://h/a\r\nX: y",
        "ws://h/a\0",
        "ws://h/a\tb",
        "ws://h/a\x7f",
        "ws://h/a\\b",
        "ws://h/a%",
        "ws://h/a%4",
        "ws://h/a%4x",
        "ws://h/?a\nb",
    ] {
        refuses(bad, UriError::Resource);
    }
    assert_eq!(uri("ws://h/a b\"<c>^`{d|e}[f]").resource_name(), "/a%20b%22%3Cc%3E%5E%60%7Bd%7Ce%7D%5Bf%5D");
    assert_eq!(uri("ws://h/?a b\"<c>^`{d|e}[f]").resource_name(), "/?a%20b%22%3Cc%3E%5E%60%7Bd%7Ce%7D[f]");
    refuses("ws://h\r\nX/", UriError::Host);
    log.proved("WS-3-09", Role::Client);

    // REQ: WS-3-10
    let sent = |text: &str| {
        let mut output = BytesMut::new();
        let _ = ClientHandshake::start(&uri(text).into(), [0; 16], Arc::default(), Duration::ZERO, &mut output);
        String::from_utf8(output.into()).expect("heads are ASCII")
    };
    let head = sent("ws://u:p@h/");
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: h\r\n") && !head.contains('@'), "{head}");
    assert!(head.contains("\r\nAuthorization: Basic dTpw\r\n"), "{head}");
    assert_eq!(sent("ws://@h/"), sent("ws://h/"));
    for bad in ["ws://u@v@h/", "ws://u\\@h/", "ws://u%3Av@h/", "ws://u:%0A@h/", "ws://u%4@h/", "ws://ü@h/"] {
        refuses(bad, UriError::UserInfo);
    }
    assert_eq!(uri("ws://h/@").resource_name(), "/@");
    log.proved("WS-3-10", Role::Client);

    // REQ: WS-3-11
    // There is no request without a URI, and no handshake without a request: nothing can have been written.
    for bad in ["ws://h/a#b", "ws://h:0/", "ws://", "http://h/", "ws://u@v@h/", "ws://h/a\tb"] {
        assert!(ClientRequest::try_from(bad).is_err(), "{bad}");
    }
    log.proved("WS-3-11", Role::Client);

    // REQ: WS-3-12
    assert_eq!(uri("ws://h/.well-known/x").resource_name(), "/.well-known/x");
    log.proved("WS-3-12", Role::Client);
    assert_eq!(request(REQUEST.replace("/chat", "/.well-known/x")).path(), "/.well-known/x");
    log.proved("WS-3-12", Role::Server);
}

#[track_caller]
fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn refuses(text: &str, error: UriError) {
    assert_eq!(text.parse::<Uri>(), Err(error), "{text:?}");
}

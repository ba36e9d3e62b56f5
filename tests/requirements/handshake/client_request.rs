//! Group B: what the client sends (RFC 6455 section 4.1, the second list).

use core::time::Duration;

use bowsprit::dial::{Dial, DialOptions, DialStep, Proxy};
use bowsprit::driver::{Drive as _, Step};
use bowsprit::handshake::{BuildError, ClientHandshake, ClientRequest};
use bowsprit::{Config, Role};
use bytes::BytesMut;

use super::{NONCE, REQUEST, plain_request, with};
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-4.1-01, WS-4.1-02, WS-4.1-04, WS-4.1-07
    // The whole head, in these bytes: `GET /chat HTTP/1.1`, `Upgrade` and `Connection` once, version 13.
    assert_eq!(head(&plain_request()), REQUEST);
    assert_eq!(head(&to("ws://server.example.com/a%20b?c=d")), REQUEST.replace("/chat", "/a%20b?c=d"));
    for id in ["WS-4.1-01", "WS-4.1-02", "WS-4.1-04", "WS-4.1-07"] {
        log.proved(id, Role::Client);
    }

    // REQ: WS-4.1-03
    for (uri, host) in [
        ("ws://h:80/", "Host: h\r\n"),
        ("ws://h:443/", "Host: h:443\r\n"),
        ("wss://h:443/", "Host: h\r\n"),
        ("wss://h:80/", "Host: h:80\r\n"),
        ("ws://[::1]:9001/", "Host: [::1]:9001\r\n"),
    ] {
        let head = head(&to(uri));
        assert_eq!(head.matches("Host:").count(), 1);
        assert!(head.contains(host), "{uri}: {head}");
    }
    log.proved("WS-4.1-03", Role::Client);

    // REQ: WS-4.1-05
    // Erratum 3150: the RFC prints `..PEC==`, with bits set that stand for nothing.
    let counted = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    assert_eq!(key(counted), "AQIDBAUGBwgJCgsMDQ4PEA==");
    for last in 0..=255 {
        let key = key([last; 16]);
        assert_eq!(key.len(), 24);
        assert!(key.ends_with("==") && "AQgw".contains(&key[21..22]), "{key}");
    }
    assert_ne!(key([0; 16]), key([1; 16]));
    log.proved("WS-4.1-05", Role::Client);

    // REQ: WS-4.1-06
    for name in ["sec-websocket-key", "SEC-WEBSOCKET-VERSION"] {
        assert_eq!(plain_request().header(name, "x"), Err(BuildError::ReservedHeader(name.to_owned())));
    }
    assert_eq!(REQUEST.matches("Sec-WebSocket-Key").count(), 1);
    assert_eq!(REQUEST.matches("Sec-WebSocket-Version").count(), 1);
    log.proved("WS-4.1-06", Role::Client);

    // REQ: WS-4.1-08
    assert!(!REQUEST.contains("Origin"));
    let request = plain_request().origin("http://www.example.com").unwrap();
    assert_eq!(head(&request), with(REQUEST, "Origin: http://www.example.com"));
    for bad in ["", "http://a\r\nX: y", "http://a b", "http://bücher.example", "null\0"] {
        assert_eq!(plain_request().origin(bad), Err(BuildError::InvalidHeader("Origin".to_owned())), "{bad:?}");
    }
    log.proved("WS-4.1-08", Role::Client);

    // REQ: WS-4.1-09
    for bad in ["", "a b", "a,b", "a/b", "ü", "a\r\nX: y", "\"a\"", "a;b", "a\t", "\x7f", "chat"] {
        let request = plain_request().subprotocol("chat").unwrap();
        assert_eq!(request.subprotocol(bad), Err(BuildError::InvalidSubprotocol(bad.to_owned())), "{bad:?}");
    }
    let request = plain_request().subprotocol("Chat").unwrap().subprotocol("chat").unwrap();
    assert_eq!(head(&request), with(REQUEST, "Sec-WebSocket-Protocol: Chat, chat"));
    log.proved("WS-4.1-09", Role::Client);

    // REQ: WS-4.1-10
    let request = plain_request().subprotocol("chat").unwrap().subprotocol("superchat").unwrap();
    assert_eq!(head(&request), with(REQUEST, "Sec-WebSocket-Protocol: chat, superchat"));
    assert!(!REQUEST.contains("Sec-WebSocket-Protocol"));
    log.proved("WS-4.1-10", Role::Client);

    // REQ: WS-4.1-11
    // Nothing is offered, so nothing is sent (REQUEST is the whole head).
    assert!(!REQUEST.contains("Sec-WebSocket-Extensions"));
    assert!(plain_request().header("Sec-WebSocket-Extensions", "x").is_err());
    log.proved("WS-4.1-11", Role::Client);

    // REQ: WS-4.1-12, WS-10-07
    let request = plain_request().header("Authorization", "Basic dTpw").unwrap().header("Cookie", "a=b").unwrap();
    assert_eq!(head(&request), with(&with(REQUEST, "Authorization: Basic dTpw"), "Cookie: a=b"));
    for (name, value) in [
        ("X-A", "b\r\nEvil: 1"),
        ("X-A", "b\n"),
        ("X-A", "b\r"),
        ("X-A", "\0"),
        ("X A", "b"),
        ("", "b"),
        ("X:", "b"),
        ("X\r\nA", "b"),
    ] {
        let error = BuildError::InvalidHeader(name.to_owned());
        assert_eq!(plain_request().header(name, value), Err(error), "{name:?}: {value:?}");
    }
    for name in [
        "Connection",
        "connection",
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Upgrade",
        "Origin",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Whatever",
    ] {
        assert_eq!(plain_request().header(name, "5"), Err(BuildError::ReservedHeader(name.to_owned())));
    }
    assert_eq!(request.header("cookie", "c=d"), Err(BuildError::RepeatedHeader("cookie".to_owned())));
    for id in ["WS-4.1-12", "WS-10-07"] {
        log.proved(id, Role::Client);
    }

    // REQ: WS-4.1-13
    // The head is all there is, and more cannot be asked for: a handshake has no way to send.
    let mut output = BytesMut::new();
    let config = Config::default();
    let mut handshake = ClientHandshake::start(&plain_request(), NONCE, config.into(), Duration::ZERO, &mut output);
    assert_eq!(handshake.receive(&mut BytesMut::from("HTTP/1.1 10")), Ok(None));
    assert_eq!(output, REQUEST);
    log.proved("WS-4.1-13", Role::Client);

    // REQ: WS-4.1-15
    let steps = through_a_proxy(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(
        steps,
        [
            "connect to 192.0.2.1:3128 (the proxy)",
            "wait until 10s",
            "ask the proxy for a tunnel",
            "establish TLS with h (the server)",
            "ask the server for the upgrade",
        ]
    );
    let steps = through_a_proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        steps[3..],
        ["cannot reach h:443 through the proxy 192.0.2.1:3128: the proxy refused: 407 Proxy Authentication Required"]
    );
    let steps = through_a_proxy(b"HTTP/1.1 200 OK\r\n\r\n\x81\x00");
    assert!(steps[3].ends_with("bytes arrived before anything was sent to the server"), "{}", steps[3]);
    log.proved("WS-4.1-15", Role::Client);
}

/// The steps to `wss://h/` through a proxy that answers so.
fn through_a_proxy(answer: &[u8]) -> Vec<String> {
    let proxy: Proxy = "http://192.0.2.1:3128".parse().expect("a proxy");
    let options = DialOptions { proxy: proxy.into(), ..DialOptions::default() };
    let mut dial = Dial::new(to("wss://h/"), options.into(), Config::default().into(), Duration::ZERO);
    let (mut steps, mut attempts) = (Vec::new(), Vec::new());
    loop {
        let step = dial.poll(Duration::ZERO);
        steps.push(step.to_string());
        match step {
            DialStep::Connect { attempt, .. } => attempts.push(attempt),
            DialStep::Wait { .. } => assert!(dial.connected(attempts[0])),
            DialStep::Tunnel => {
                let mut tunnel = dial.tunnel();
                assert_eq!(tunnel.to_write(), b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
                tunnel.written(tunnel.to_write().len());
                tunnel.flushed();
                assert_eq!(tunnel.poll(|| Duration::ZERO), Step::Read);
                tunnel.read_buffer()[..answer.len()].copy_from_slice(answer);
                tunnel.received(answer.len());
                tunnel.poll(|| Duration::ZERO);
                dial.tunnel_finished(tunnel.result());
            }
            DialStep::Tls { .. } => dial.tls_established(),
            _ => return steps,
        }
    }
}

fn to(uri: &str) -> ClientRequest {
    uri.try_into().expect("a URI")
}

fn head(request: &ClientRequest) -> String {
    let mut output = BytesMut::new();
    let _ = ClientHandshake::start(request, NONCE, Config::default().into(), Duration::ZERO, &mut output);
    String::from_utf8(output.into()).expect("heads are ASCII")
}

/// The key in the request that this nonce makes.
fn key(nonce: [u8; 16]) -> String {
    let mut output = BytesMut::new();
    let _ = ClientHandshake::start(&plain_request(), nonce, Config::default().into(), Duration::ZERO, &mut output);
    let head = String::from_utf8(output.into()).expect("heads are ASCII");
    let (_, rest) = head.split_once("Sec-WebSocket-Key: ").expect("the field");
    rest.split_once("\r\n").expect("its end").0.to_owned()
}

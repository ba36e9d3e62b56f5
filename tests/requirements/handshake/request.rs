//! Group D: what the server checks (RFC 6455 section 4.2.1).

use core::time::Duration;

use bowsprit::handshake::{AcceptOptions, HeadError, OriginPolicy, RequestError, ServerHandshake};
use bowsprit::{Config, Connection, Event, HandshakeError, Message, Messages, Role};
use bytes::BytesMut;

use super::{REQUEST, RESPONSE, answer, receive, request, status, with, without};
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-4.2.1-01
    assert_eq!(answer(REQUEST), RESPONSE);
    assert_eq!(
        answer(REQUEST.replace("GET", "POST")),
        "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\nContent-Type: text/plain\r\n\
         Content-Length: 39\r\n\r\na WebSocket handshake is a GET request\n"
    );
    for method in ["HEAD", "get", "PRI"] {
        assert_eq!(status(REQUEST.replace("GET", method)), 405, "{method}");
    }
    for version in ["HTTP/1.0", "HTTP/1.1x", "HTTP/1.10", "http/1.1", "HTTP/11"] {
        assert_eq!(status(REQUEST.replace("HTTP/1.1", version)), 400, "{version}");
    }
    for version in ["HTTP/0.9", "HTTP/2.0"] {
        assert_eq!(status(REQUEST.replace("HTTP/1.1", version)), 505, "{version}");
    }
    log.proved("WS-4.2.1-01", Role::Server);

    // REQ: WS-4.2.1-02
    for (target, name) in [
        ("http://server.example.com/chat", "/chat"),
        ("HTTPS://server.example.com:443/a?b", "/a?b"),
        ("http://server.example.com", "/"),
        ("ws://server.example.com?x", "/?x"),
        ("/a%23?b?c", "/a%23?b?c"),
        ("//a", "//a"),
    ] {
        assert_eq!(request(REQUEST.replace("/chat", target)).target(), name, "{target}");
    }
    let parts = request(REQUEST.replace("/chat", "/chat?a=b?c"));
    assert_eq!((parts.path(), parts.query()), ("/chat", Some("a=b?c")));
    // RFC 9112 section 3.2.2: the host in the target counts, not the one in the field.
    assert_eq!(request(REQUEST.replace("/chat", "http://h:81/chat")).host(), "h:81");
    for target in ["*", "chat", "ftp://h/chat", "http:///chat", "http://u@h/chat", "/chat#a", "/ch\u{e4}t", "h:80", "?"]
    {
        assert_eq!(status(REQUEST.replace("/chat", target)), 400, "{target}");
    }
    log.proved("WS-4.2.1-02", Role::Server);

    // REQ: WS-4.2.1-03
    assert_eq!(request(REQUEST).host(), "server.example.com");
    assert_eq!(request(with(REQUEST, "Host: [::1]:9001")).host(), "[::1]:9001");
    refuses(&without(REQUEST, "Host"), HandshakeError::Request(RequestError::Host));
    refuses(
        &with(REQUEST, "Host: server.example.com\r\nHost: server.example.com"),
        HandshakeError::Request(RequestError::Host),
    );
    for bad in ["a b", "", "a:b", "a:65536", "u@a", "a,b c", "a/b", "[::1", "b\u{fc}cher.example"] {
        refuses(&with(REQUEST, &format!("Host: {bad}")), HandshakeError::Request(RequestError::Host));
    }
    log.proved("WS-4.2.1-03", Role::Server);

    // REQ: WS-4.2.1-04
    assert!(request(REQUEST).is_upgrade());
    for good in ["WEBSOCKET", "h2c, websocket", "h2c\r\nUpgrade: websocket"] {
        assert_eq!(answer(with(REQUEST, &format!("Upgrade: {good}"))), RESPONSE);
    }
    for bad in
        [without(REQUEST, "Upgrade"), with(REQUEST, "Upgrade: websocket/13"), with(REQUEST, "Upgrade: web socket")]
    {
        assert!(!request(&bad).is_upgrade());
        assert_eq!(
            answer(&bad),
            "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\nContent-Length: 70\r\n\r\n\
             this is a WebSocket endpoint: the request does not ask for an upgrade\n"
        );
    }
    log.proved("WS-4.2.1-04", Role::Server);

    // REQ: WS-4.2.1-05
    for good in ["keep-alive, Upgrade", "keep-alive\r\nConnection: upgrade", "UPGRADE"] {
        assert_eq!(answer(with(REQUEST, &format!("Connection: {good}"))), RESPONSE);
    }
    refuses(&without(REQUEST, "Connection"), HandshakeError::Request(RequestError::Connection));
    for bad in ["keep-alive", "xUpgrade", "", "Up grade"] {
        refuses(&with(REQUEST, &format!("Connection: {bad}")), HandshakeError::Request(RequestError::Connection));
    }
    log.proved("WS-4.2.1-05", Role::Server);

    // REQ: WS-4.2.1-06
    refuses(&without(REQUEST, "Sec-WebSocket-Key"), HandshakeError::Request(RequestError::Key));
    for bad in [
        "",
        "====",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "AAAAAAAAAAAAAAAAAAAA",     // 15 bytes
        "AAAAAAAAAAAAAAAAAAAAAAA=", // 17
        "AAAAAAAAAAAAAAAAAAAAAAAA", // 18
        "-_AAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAA AAAAAAAAAAAAA==",
        "AAAAAAAAAA AAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAA==, AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ] {
        refuses(&with(REQUEST, &format!("Sec-WebSocket-Key: {bad}")), HandshakeError::Request(RequestError::Key));
    }
    log.proved("WS-4.2.1-06", Role::Server);

    // REQ: WS-4.2.1-07
    assert_eq!(
        answer(with(REQUEST, "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==")),
        with(RESPONSE, "Sec-WebSocket-Accept: OfS0wDaT5NoxF2gqm7Zj2YtetzM=")
    );
    log.proved("WS-4.2.1-07", Role::Server);

    // REQ: WS-4.2.1-08
    for other in ["8", "25", "0", "7", "9", "12", "255"] {
        refuses(
            &with(REQUEST, &format!("Sec-WebSocket-Version: {other}")),
            HandshakeError::Request(RequestError::UnsupportedVersion),
        );
    }
    refuses(&without(REQUEST, "Sec-WebSocket-Version"), HandshakeError::Request(RequestError::Version));
    for bad in ["", "013", "00", "13, 8", "13\r\nSec-WebSocket-Version: 13", "abc", "256", "+13", "1 3", "13.0", "-1"] {
        refuses(
            &with(REQUEST, &format!("Sec-WebSocket-Version: {bad}")),
            HandshakeError::Request(RequestError::Version),
        );
    }
    assert_eq!(
        answer(without(REQUEST, "Sec-WebSocket-Version")),
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\n\
         Content-Length: 57\r\n\r\nthe Sec-WebSocket-Version header is missing or malformed\n"
    );
    log.proved("WS-4.2.1-08", Role::Server);

    // REQ: WS-4.2.1-09, WS-10-01
    let listed = OriginPolicy::allow(["https://a.example"]).unwrap();
    assert!(accepts(&listed, Some("https://a.example")));
    assert!(!accepts(&listed, Some("https://b.example")));
    assert!(!accepts(&listed, Some("null")));
    assert!(!accepts(&OriginPolicy::SameOrigin, Some("null")));
    assert!(accepts(&OriginPolicy::allow(["null"]).unwrap(), Some("null")));
    assert!(accepts(&OriginPolicy::Any, Some("null")));
    for policy in [&OriginPolicy::SameOrigin, &listed, &OriginPolicy::Any] {
        assert!(accepts(policy, None));
    }
    // By default a page must come from the server itself.
    assert_eq!(answer(with(REQUEST, "Origin: https://server.example.com")), RESPONSE);
    assert_eq!(
        answer(with(REQUEST, "Origin: https://other.example.com")),
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 37\r\n\r\n\
         pages of this origin may not connect\n"
    );
    for id in ["WS-4.2.1-09", "WS-10-01"] {
        log.proved(id, Role::Server);
    }

    // REQ: WS-4.2.1-10
    for good in ["HTTPS://A.example:443", "https://a.example:443", "https://A.EXAMPLE"] {
        assert!(accepts(&listed, Some(good)), "{good}");
    }
    for bad in [
        "https://a.example.evil",
        "https://evila.example",
        "https://evi\u{43b}\u{430}.example",
        "http://a.example",
        "https://a.example:444",
        "https://a.example.",
        "https://a.example/",
        "https://u@a.example",
        "https://a.example, https://b.example",
        "https://a.exampl",
        "https://",
        "a.example",
        "",
    ] {
        assert!(!accepts(&listed, Some(bad)), "{bad}");
    }
    for (origin, host, same) in [
        ("http://h:80", "h", true),
        ("https://h", "h:443", true),
        ("https://H", "h", true),
        ("http://h:8080", "H:8080", true),
        ("http://[::1]:9001", "[::1]:9001", true),
        ("http://127.0.0.1", "127.0.0.1:80", true),
        ("http://h", "h:443", false),
        ("http://h:8080", "h", false),
        ("http://h", "h:8080", false),
        ("http://127.0.0.1", "localhost", false),
        ("http://localhost", "127.0.0.1", false),
        ("http://h.evil", "h", false),
        ("http://evilh", "h", false),
        ("http://h@evil", "h", false),
        ("null", "null", false),
        ("http://null", "h", false),
        ("chrome-extension://h", "h", false),
        ("chrome-extension://h", "h:80", false),
    ] {
        let wire = with(&with(REQUEST, &format!("Host: {host}")), &format!("Origin: {origin}"));
        assert_eq!(status(wire), if same { 101 } else { 403 }, "{origin} at {host}");
    }
    refuses(
        &with(REQUEST, "Origin: https://server.example.com\r\nOrigin: https://server.example.com"),
        HandshakeError::Request(RequestError::RepeatedOrigin),
    );
    log.proved("WS-4.2.1-10", Role::Server);

    // REQ: WS-4.2.1-11
    let lines = request(with(REQUEST, "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat,v2 ,, x"));
    assert!(lines.subprotocols().eq(["chat", "superchat", "v2", "x"]));
    assert_eq!(lines.select_subprotocol(&["y", "v2", "chat"]), Some("v2"));
    assert_eq!(lines.select_subprotocol(&["Chat"]), None);
    assert_eq!(request(REQUEST).subprotocols().count(), 0);
    for bad in ["a b", "\"chat\"", "chat;x", "", ",", "a/b", "chat, \u{fc}"] {
        refuses(
            &with(REQUEST, &format!("Sec-WebSocket-Protocol: {bad}")),
            HandshakeError::Request(RequestError::Subprotocol),
        );
    }
    log.proved("WS-4.2.1-11", Role::Server);

    // REQ: WS-4.2.1-12
    // A repeated name is listed as often as it came, and chosen all the same.
    let repeated = request(with(REQUEST, "Sec-WebSocket-Protocol: chat, chat"));
    assert!(repeated.subprotocols().eq(["chat", "chat"]));
    assert!(repeated.accept(&AcceptOptions::new().subprotocol("chat"), &mut BytesMut::new()).is_ok());
    log.proved("WS-4.2.1-12", Role::Server);

    // REQ: WS-4.2.1-13
    for bad in ["permessage-deflate;", ";x", "a b", "p; x=", "p; x=\"a"] {
        refuses(
            &with(REQUEST, &format!("Sec-WebSocket-Extensions: {bad}")),
            HandshakeError::Request(RequestError::Extensions),
        );
    }
    log.proved("WS-4.2.1-13", Role::Server);

    // REQ: WS-4.2.1-14
    let shuffled = "GET /chat HTTP/1.1\r\n\
        sEc-wEbSoCkEt-vErSiOn: 13\r\n\
        X-Foo: 1\r\n\
        CONNECTION: Upgrade\r\n\
        sEc-wEbSoCkEt-kEy: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        upgrade: websocket\r\n\
        host: server.example.com\r\n\
        \r\n";
    assert_eq!(answer(shuffled), RESPONSE);
    log.proved("WS-4.2.1-14", Role::Server);

    // REQ: WS-4.2.1-15
    for bad in [
        REQUEST.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key : "),
        with(REQUEST, "X: a\r\n folded"),
        with(REQUEST, "X: a\r\n\tfolded"),
        REQUEST.replace("Host", " Host"),
        with(REQUEST, "X\0: 1"),
        with(REQUEST, "X: a\0b"),
        with(REQUEST, "X: a\rb"),
        with(REQUEST, "X: a\nY: b"),
        with(REQUEST, "X: \x7f"),
        with(REQUEST, ": a"),
        with(REQUEST, "X\u{fc}: a"),
        REQUEST.replace("Upgrade: websocket", "Upgrade websocket"),
        REQUEST.replace("\r\n", "\n"),
        REQUEST.replace("GET /chat", "GET  /chat"),
        REQUEST.replace("GET /chat", "GET\t/chat"),
        REQUEST.replace("GET /chat", "/chat"),
        format!(" {REQUEST}"),
    ] {
        refuses(&bad, HandshakeError::Request(RequestError::Head(HeadError::Malformed)));
    }
    assert_eq!(
        answer(REQUEST.replace("Host", " Host")),
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 33\r\n\r\n\
         the peer does not speak HTTP/1.1\n"
    );
    // RFC 9112 section 2.2: empty lines before the request are skipped.
    assert_eq!(answer(format!("\r\n\r\n{REQUEST}")), RESPONSE);
    log.proved("WS-4.2.1-15", Role::Server);

    // REQ: WS-4.2.1-16
    let with_body = format!("{}hello", with(REQUEST, "Content-Length: 5"));
    refuses(&with_body, HandshakeError::Request(RequestError::Body));
    for bad in [
        "Content-Length: x",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: 00",
        "Transfer-Encoding: chunked",
    ] {
        refuses(&with(REQUEST, bad), HandshakeError::Request(RequestError::Body));
    }
    assert_eq!(answer(with(REQUEST, "Content-Length: 0")), RESPONSE);
    refuses(&REQUEST.replace("HTTP/1.1", "HTTP/1.0"), HandshakeError::Request(RequestError::Http10));
    // RFC 6455 section 4.2.1: "1.1 or higher"; another major version is another protocol.
    for later in ["HTTP/1.2", "HTTP/1.9"] {
        assert_eq!(answer(REQUEST.replace("HTTP/1.1", later)), RESPONSE);
    }
    for other in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        refuses(&REQUEST.replace("HTTP/1.1", other), HandshakeError::Request(RequestError::Head(HeadError::Version)));
    }
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    let old = request("GET / HTTP/1.0\r\n\r\n");
    assert!(!old.is_upgrade());
    assert_eq!(old.host(), "");
    log.proved("WS-4.2.1-16", Role::Server);

    // REQ: WS-4.2.1-17
    // Refused: a handshake has no body that could wait for a 100.
    assert_eq!(
        answer(with(REQUEST, "Expect: 100-continue")),
        "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\r\n\
         the Expect header is not supported\n"
    );
    log.proved("WS-4.2.1-17", Role::Server);

    // REQ: WS-4.2.1-18, WS-10-10
    const HELLO: &[u8] = b"\x81\x85\x00\x00\x00\x00\x48\x65\x6c\x6c\x6f";
    let (received, rest) = receive([REQUEST.as_bytes(), HELLO].concat());
    assert_eq!(rest, HELLO, "kept, and not read, until the request is accepted");
    let received = received.unwrap().unwrap();
    let mut output = BytesMut::new();
    received.accept(&AcceptOptions::new(), &mut output).unwrap();
    let mut input = BytesMut::from(&*rest);
    let mut connection = Connection::server(Messages, Config::default().into());
    let mut batch = connection.receive(&mut input, &mut output);
    assert!(matches!(batch.next(), Ok(Some((Event::Data(Message::Text("Hello")), _)))));
    drop(batch);
    // A refusal says all there is to say, and that the connection ends: nothing would read the frame.
    output.clear();
    received.respond(403, &[], b"", &mut output).unwrap();
    assert_eq!(output, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    log.proved("WS-4.2.1-18", Role::Server);
    log.proved("WS-10-10", Role::Server);

    // REQ: WS-4.2.1-19
    let padded = |len: usize| with(REQUEST, &format!("X: {}", "x".repeat(len - REQUEST.len() - "X: \r\n".len())));
    assert_eq!(padded(16 << 10).len(), 16 << 10);
    assert_eq!(answer(padded(16 << 10)), RESPONSE);
    refuses(
        &padded((16 << 10) + 1),
        HandshakeError::Request(RequestError::Head(HeadError::TooLong { limit: 16 << 10 })),
    );
    assert_eq!(receive("x".repeat(16 << 10)).0, Ok(None));
    refuses(
        &"x".repeat((16 << 10) + 1),
        HandshakeError::Request(RequestError::Head(HeadError::TooLong { limit: 16 << 10 })),
    );
    refuses(
        &"\r\n".repeat((8 << 10) + 1),
        HandshakeError::Request(RequestError::Head(HeadError::TooLong { limit: 16 << 10 })),
    );
    assert_eq!(answer(with(REQUEST, &format!("X: {}", "\r\nX: ".repeat(94)))), RESPONSE);
    refuses(
        &with(REQUEST, &format!("X: {}", "\r\nX: ".repeat(95))),
        HandshakeError::Request(RequestError::Head(HeadError::TooManyFields { limit: 100 })),
    );
    assert_eq!(
        answer("x".repeat((16 << 10) + 1)),
        "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: 45\r\n\r\nthe peer sent a head longer than 16384 bytes\n"
    );
    let at = Duration::from_secs;
    let mut handshake = ServerHandshake::new(Config::default().into(), at(5));
    assert_eq!(handshake.poll_timeout(), Some(at(15)));
    assert_eq!(handshake.handle_timeout(at(14)), Ok(()));
    assert_eq!(handshake.handle_timeout(at(15)), Err(HandshakeError::TimedOut(Duration::from_secs(10))));
    let mut output = BytesMut::new();
    HandshakeError::TimedOut(Duration::from_secs(10)).respond(&mut output);
    assert!(output.starts_with(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"));
    log.proved("WS-4.2.1-19", Role::Server);

    // REQ: WS-10-08
    // While the handshake lasts, invalid data is answered by a status that fits.
    for (wire, expected) in [("\x16\x03\x01\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400)] {
        assert_eq!(status(wire), expected);
    }
    // At once, where a head cannot begin so: TLS on a port without it.
    assert_eq!(receive(b"\x16").0, Err(HandshakeError::Request(RequestError::Head(HeadError::Tls))));
    log.proved("WS-10-08", Role::Server);
}

#[track_caller]
fn refuses(wire: &str, error: HandshakeError) {
    let expected = error.status().expect("a server meets it");
    assert_eq!(receive(wire).0, Err(error), "{wire}");
    assert_eq!(status(wire), expected, "{wire}");
}

/// Whether a request with this origin is accepted under this policy.
#[track_caller]
fn accepts(policy: &OriginPolicy, origin: Option<&str>) -> bool {
    let wire = origin.map_or(REQUEST.to_owned(), |origin| with(REQUEST, &format!("Origin: {origin}")));
    let received = receive(wire).0.map(|request| request.expect("the head is whole"));
    let accepted =
        received.and_then(|request| request.accept(&AcceptOptions::new().origin(policy.clone()), &mut BytesMut::new()));
    match accepted {
        Ok(_) => true,
        Err(HandshakeError::Origin(_)) => false,
        Err(error) => panic!("{origin:?}: {error}"),
    }
}

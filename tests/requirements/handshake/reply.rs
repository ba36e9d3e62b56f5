//! Group E: what the server sends (RFC 6455 section 4.2.2).

use bowsprit::handshake::{AcceptOptions, BuildError, RequestError};
use bowsprit::{Config, Connection, HandshakeError, Messages, Role};
use bytes::BytesMut;

use super::{REQUEST, RESPONSE, answer, request, with};
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-4.2.2-01, WS-4.2.2-02, WS-4.2.2-03
    // The whole head, in these bytes: no Content-Length, no Transfer-Encoding, each field once.
    assert_eq!(
        answer(REQUEST),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         \r\n"
    );
    assert_eq!(answer(with(REQUEST, "Sec-WebSocket-Key: \t dGhlIHNhbXBsZSBub25jZQ== \t")), RESPONSE);
    for id in ["WS-4.2.2-01", "WS-4.2.2-02", "WS-4.2.2-03"] {
        log.proved(id, Role::Server);
    }

    // REQ: WS-4.2.2-04, WS-4.2.2-05
    let offered = with(REQUEST, "Sec-WebSocket-Protocol: a, b");
    assert_eq!(
        accepted(&offered, &AcceptOptions::new().subprotocol("b")).unwrap(),
        with(RESPONSE, "Sec-WebSocket-Protocol: b")
    );
    assert_eq!(accepted(&offered, &AcceptOptions::new()).unwrap(), RESPONSE);
    for (wire, name) in [(&*offered, "c"), (&offered, "A"), (&offered, ""), (&offered, "a, b"), (REQUEST, "a")] {
        let refused = accepted(wire, &AcceptOptions::new().subprotocol(name));
        assert_eq!(refused, Err(BuildError::InvalidSubprotocol(name.to_owned()).into()));
    }
    let agreed = request(&offered).accept(&AcceptOptions::new().subprotocol("b"), &mut BytesMut::new()).unwrap();
    assert_eq!(agreed.subprotocol(), Some("b"));
    for id in ["WS-4.2.2-04", "WS-4.2.2-05"] {
        log.proved(id, Role::Server);
    }

    // REQ: WS-4.2.2-06, WS-9.1-09
    assert_eq!(answer(with(REQUEST, "Sec-WebSocket-Extensions: x-foo")), RESPONSE);
    assert!(AcceptOptions::new().header("Sec-WebSocket-Extensions", "x-foo").is_err());
    for id in ["WS-4.2.2-06", "WS-9.1-09"] {
        log.proved(id, Role::Server);
    }

    // REQ: WS-4.2.2-08
    for version in ["25", "8", "0"] {
        assert_eq!(
            answer(with(REQUEST, &format!("Sec-WebSocket-Version: {version}"))),
            "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\nContent-Length: 42\r\n\r\n\
             only version 13 of WebSocket is supported\n"
        );
    }
    log.proved("WS-4.2.2-08", Role::Server);

    // REQ: WS-4.2.2-09
    assert_eq!(
        responded(REQUEST, 404, &[("Content-Type", "text/plain")], b"not here").unwrap(),
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nnot here"
    );
    log.proved("WS-4.2.2-09", Role::Server);

    // REQ: WS-4.2.2-10
    assert_eq!(
        responded(REQUEST, 401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b"").unwrap(),
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(
        responded(REQUEST, 307, &[("Location", "/other")], b"").unwrap(),
        "HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(
        responded(REQUEST, 599, &[], b"").unwrap(),
        "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    for (status, phrase) in [
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (403, "Forbidden"),
        (407, "Proxy Authentication Required"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (417, "Expectation Failed"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
    ] {
        let head = format!("HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(responded(REQUEST, status, &[], b"").unwrap(), head);
    }
    assert_eq!(
        responded(REQUEST, 304, &[("ETag", "\"1\"")], b"").unwrap(),
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"1\"\r\n\r\n"
    );
    for status in [0, 99, 100, 101, 199, 200, 204, 299, 600, 999] {
        assert_eq!(responded(REQUEST, status, &[], b""), Err(BuildError::InvalidStatus(status).into()));
    }
    assert_eq!(responded(REQUEST, 304, &[], b"x"), Err(BuildError::InvalidStatus(304).into()));
    assert_eq!(responded(REQUEST, 401, &[], b""), Err(BuildError::MissingHeader("WWW-Authenticate").into()));
    assert_eq!(responded(REQUEST, 405, &[], b""), Err(BuildError::MissingHeader("Allow").into()));
    // What is no handshake may also get what it asks for.
    const PLAIN: &str = "GET /?x HTTP/1.1\r\nHost: h\r\n\r\n";
    const PAGE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n";
    let html = [("Content-Type", "text/html")];
    assert_eq!(responded(PLAIN, 200, &html, b"<p>").unwrap(), format!("{PAGE}<p>"));
    assert_eq!(responded(&PLAIN.replace("GET", "HEAD"), 200, &html, b"<p>").unwrap(), PAGE);
    assert_eq!(
        responded(PLAIN, 426, &[], b"").unwrap(),
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(responded(PLAIN, 204, &[], b"").unwrap(), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_eq!(responded(PLAIN, 204, &[], b"x"), Err(BuildError::InvalidStatus(204).into()));
    assert_eq!(responded(PLAIN, 101, &[], b""), Err(BuildError::InvalidStatus(101).into()));
    assert_eq!(accepted(PLAIN, &AcceptOptions::new()), Err(HandshakeError::Request(RequestError::NoUpgrade)));
    log.proved("WS-4.2.2-10", Role::Server);

    // REQ: WS-4.2.2-11, WS-10-07
    let cookies = AcceptOptions::new().header("Set-Cookie", "a=b").unwrap().header("Set-Cookie", "c=d").unwrap();
    assert_eq!(accepted(REQUEST, &cookies).unwrap(), with(RESPONSE, "Set-Cookie: a=b\r\nSet-Cookie: c=d"));
    for (name, value) in
        [("Set-Cookie", "a=b\r\nX: 1"), ("X", "\0"), ("X\r\n", "a"), ("X Y", "a"), ("", "a"), ("X", "\n")]
    {
        let error = BuildError::InvalidHeader(name.to_owned());
        assert_eq!(AcceptOptions::new().header(name, value), Err(error.clone()));
        assert_eq!(responded(REQUEST, 403, &[(name, value)], b""), Err(error.into()));
    }
    for name in [
        "Sec-WebSocket-Accept",
        "sec-websocket-protocol",
        "Upgrade",
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let error = BuildError::ReservedHeader(name.to_owned());
        assert_eq!(AcceptOptions::new().header(name, "x"), Err(error.clone()));
        assert_eq!(responded(REQUEST, 403, &[(name, "x")], b""), Err(error.into()));
    }
    log.proved("WS-4.2.2-11", Role::Server);
    log.proved("WS-10-07", Role::Server);

    // REQ: WS-4.2.2-12
    // A connection's output begins behind the head: before it there is nothing to write to.
    let mut output = BytesMut::new();
    request(REQUEST).accept(&AcceptOptions::new(), &mut output).unwrap();
    Connection::server(Messages, Config::default().into()).send("hi", &mut output).unwrap();
    assert_eq!(output, [RESPONSE.as_bytes(), b"\x81\x02\x68\x69"].concat());
    log.proved("WS-4.2.2-12", Role::Server);
}

/// What accepting writes; on an error it must be nothing.
#[track_caller]
fn accepted(wire: &str, choices: &AcceptOptions) -> Result<String, HandshakeError> {
    written(|output| request(wire).accept(choices, output).map(drop))
}

/// What responding writes; on an error it must be nothing.
#[track_caller]
fn responded(wire: &str, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<String, HandshakeError> {
    written(|output| Ok(request(wire).respond(status, headers, body, output)?))
}

#[track_caller]
fn written(write: impl FnOnce(&mut BytesMut) -> Result<(), HandshakeError>) -> Result<String, HandshakeError> {
    let mut output = BytesMut::new();
    let result = write(&mut output);
    assert!(result.is_ok() || output.is_empty(), "an error has written {output:?}");
    result.map(|()| String::from_utf8(output.into()).expect("text"))
}

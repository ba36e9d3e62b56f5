//! Group C: the client's checks of the response (RFC 6455 section 4.1, the last list).

use core::time::Duration;

use bowsprit::handshake::{ClientHandshake, ClientResponse, HeadError, ResponseError};
use bowsprit::{Config, Connection, Event, HandshakeError, Message, Messages, Role};
use bytes::BytesMut;

use super::{NONCE, RESPONSE, plain_request, response, response_to, with, without};
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-4.1R-01
    for (wire, status, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more", 200, "hi"),
        ("HTTP/1.1 400 Bad Request\r\n\r\nwhy", 400, "why"),
        ("HTTP/1.0 500 Oops\r\nContent-Length: 9\r\n\r\nwhy", 500, "why"),
        ("HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nwhy\r\n2\r\n !\r\n0\r\n\r\n", 404, "why !"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", 304, ""),
    ] {
        let (result, rest) = refusal(wire);
        assert_eq!((result.status(), body_of(result, rest)), (status, body.into()), "{wire}");
    }
    log.proved("WS-4.1R-01", Role::Client);

    // REQ: WS-4.1R-02
    let (unauthorized, _) = refusal("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n");
    assert_eq!(unauthorized.headers().get("www-authenticate"), Some("Basic realm=\"x\""));
    log.proved("WS-4.1R-02", Role::Client);

    // REQ: WS-4.1R-03
    let (redirect, _) = refusal("HTTP/1.1 302 Found\r\nLocation: ws://other/\r\n\r\n");
    assert_eq!(redirect.headers().get("Location"), Some("ws://other/"));
    log.proved("WS-4.1R-03", Role::Client);

    // REQ: WS-4.1R-04
    let (versions, _) =
        refusal("HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8, 7\r\n\r\n");
    assert!(versions.versions().eq([13, 8, 7]));
    log.proved("WS-4.1R-04", Role::Client);

    // REQ: WS-4.1R-05
    opens(&with(RESPONSE, "Upgrade: WebSocket"));
    fails(&without(RESPONSE, "Upgrade"), HandshakeError::Response(ResponseError::Upgrade));
    for bad in ["websocket, h2c", "websocketx", " ", "", "h2c", "web socket", "websocket/13", "\"websocket\""] {
        fails(&with(RESPONSE, &format!("Upgrade: {bad}")), HandshakeError::Response(ResponseError::Upgrade));
    }
    fails(
        &with(RESPONSE, "Upgrade: websocket\r\nUpgrade: websocket"),
        HandshakeError::Response(ResponseError::Upgrade),
    );
    log.proved("WS-4.1R-05", Role::Client);

    // REQ: WS-4.1R-06
    for good in ["upgrade", "keep-alive, UPGRADE", "keep-alive\r\nConnection: Upgrade", ",\tUpgrade ,"] {
        opens(&with(RESPONSE, &format!("Connection: {good}")));
    }
    fails(&without(RESPONSE, "Connection"), HandshakeError::Response(ResponseError::Connection));
    for bad in ["close", "upgraded", "", "Up grade", "keep-alive; Upgrade"] {
        fails(&with(RESPONSE, &format!("Connection: {bad}")), HandshakeError::Response(ResponseError::Connection));
    }
    log.proved("WS-4.1R-06", Role::Client);

    // REQ: WS-4.1R-07
    opens(RESPONSE);
    opens(&with(RESPONSE, "Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"));
    fails(&without(RESPONSE, "Sec-WebSocket-Accept"), HandshakeError::Response(ResponseError::Accept));
    for bad in ["S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "", "dGhlIHNhbXBsZSBub25jZQ=="] {
        fails(
            &with(RESPONSE, &format!("Sec-WebSocket-Accept: {bad}")),
            HandshakeError::Response(ResponseError::Accept),
        );
    }
    log.proved("WS-4.1R-07", Role::Client);

    // REQ: WS-4.1R-08
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let twice = format!("Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Accept: {ACCEPT}");
    fails(&with(RESPONSE, &twice), HandshakeError::Response(ResponseError::Accept));
    fails(
        &with(RESPONSE, &format!("Sec-WebSocket-Accept: {ACCEPT}, {ACCEPT}")),
        HandshakeError::Response(ResponseError::Accept),
    );
    log.proved("WS-4.1R-08", Role::Client);

    // REQ: WS-4.1R-09
    for bad in ["permessage-deflate", "permessage-deflate, x-foo", ",x", "x\r\nSec-WebSocket-Extensions: y"] {
        fails(
            &with(RESPONSE, &format!("Sec-WebSocket-Extensions: {bad}")),
            HandshakeError::Response(ResponseError::Extensions),
        );
    }
    log.proved("WS-4.1R-09", Role::Client);

    // REQ: WS-4.1R-10, WS-4.1R-11
    let offering = plain_request().subprotocol("chat").unwrap().subprotocol("v2").unwrap();
    let chat = with(RESPONSE, "Sec-WebSocket-Protocol: chat");
    assert_eq!(response_to(&offering, &chat).0.unwrap().unwrap().subprotocol(), Some("chat"));
    let bad = ["Chat", "superchat", "chat, chat", "", "chat,", "chat, v2", "chat\r\nSec-WebSocket-Protocol: superchat"];
    for bad in bad.into_iter().chain(["chat\r\nSec-WebSocket-Protocol: chat"]) {
        let wire = with(RESPONSE, &format!("Sec-WebSocket-Protocol: {bad}"));
        assert_eq!(response_to(&offering, &wire).0, Err(HandshakeError::Response(ResponseError::Subprotocol)), "{bad}");
    }
    fails(&chat, HandshakeError::Response(ResponseError::Subprotocol));
    for id in ["WS-4.1R-10", "WS-4.1R-11"] {
        log.proved(id, Role::Client);
    }

    // REQ: WS-4.1R-12
    assert_eq!(response_to(&offering, RESPONSE).0.unwrap().unwrap().subprotocol(), None);
    let strict = offering.require_subprotocol(true);
    assert_eq!(response_to(&strict, RESPONSE).0, Err(HandshakeError::Response(ResponseError::NoSubprotocol)));
    assert_eq!(response_to(&strict, &chat).0.unwrap().unwrap().subprotocol(), Some("chat"));
    assert!(response_to(&plain_request().require_subprotocol(true), RESPONSE).0.is_ok());
    log.proved("WS-4.1R-12", Role::Client);

    // REQ: WS-4.1R-13
    let version = |version: &str| RESPONSE.replace("HTTP/1.1 101", &format!("{version} 101"));
    fails(&version("HTTP/1.0"), HandshakeError::Response(ResponseError::Http10));
    fails(&version("HTTP/2.0"), HandshakeError::Response(ResponseError::Head(HeadError::Version)));
    fails(&version("ICY"), HandshakeError::Response(ResponseError::Head(HeadError::Malformed)));
    // RFC 9110 section 2.5: a higher minor version is read as the highest known one.
    opens(&version("HTTP/1.2"));
    fails("\x15\x03\x01\0\x02\x02\x46", HandshakeError::Response(ResponseError::Head(HeadError::Tls)));
    for bad in [
        RESPONSE.replace("Upgrade: w", "Upgrade : w"),
        RESPONSE.replace("101 Switching", "1O1 Switching"),
        RESPONSE.replace("101 Switching", "10 Switching"),
        RESPONSE.replace("101 Switching", "099 Switching"),
        RESPONSE.replace("101 Switching", "101\tSwitching"),
        with(RESPONSE, "X: a\0b"),
        with(RESPONSE, "X: a\rb"),
        RESPONSE.replace("\r\n", "\n"),
        RESPONSE.replace("Connection: Upgrade\r\n", "Connection: Upgrade\n"),
        RESPONSE.replace("Upgrade: websocket", "websocket"),
        RESPONSE.replace("Upgrade: websocket", ": websocket"),
        format!("\r\n{RESPONSE}"),
        RESPONSE.replace("Upgrade: websocket\r\n", " folded: nothing\r\nUpgrade: websocket\r\n"),
    ] {
        fails(&bad, HandshakeError::Response(ResponseError::Head(HeadError::Malformed)));
    }
    // RFC 9112 section 5.2: in a response, each fold becomes spaces.
    let folded = opens(
        &RESPONSE
            .replace("Upgrade: websocket\r\n", "X: a\r\n b\r\n\tc\r\nY:\r\n d\r\nZ: \r\n \r\nUpgrade: websocket\r\n"),
    );
    assert_eq!(folded.headers().get("X"), Some("a   b  \tc"));
    assert_eq!(folded.headers().get("Y"), Some("d"));
    assert_eq!(folded.headers().get("Z"), Some(""));
    log.proved("WS-4.1R-13", Role::Client);

    // REQ: WS-4.1R-14
    let shuffled = "HTTP/1.1 101 Switching Protocols\r\n\
        sec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        X-Foo: 1\r\n\
        CONNECTION: Upgrade\r\n\
        upgrade: websocket\r\n\
        Content-Length: 5\r\n\
        \r\n";
    let wire = [shuffled.as_bytes(), b"\x81\x05\x48\x65\x6c\x6c\x6f"].concat();
    let (result, rest) = response_to(&plain_request(), &wire);
    assert!(matches!(result, Ok(Some(_))), "{result:?}");
    assert_eq!(rest, b"\x81\x05\x48\x65\x6c\x6c\x6f");
    let (mut input, mut output) = (BytesMut::from(&*rest), BytesMut::new());
    let mut connection = Connection::client(Messages, Config::default().into(), [0; 32]);
    let mut batch = connection.receive(&mut input, &mut output);
    assert!(matches!(batch.next(), Ok(Some((Event::Data(Message::Text("Hello")), _)))));
    drop(batch);
    log.proved("WS-4.1R-14", Role::Client);

    // REQ: WS-4.1R-15
    opens(&format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{RESPONSE}"));
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16 << 10);
    assert_eq!(
        response_to(&plain_request(), &endless[..17 << 10]).0,
        Err(HandshakeError::Response(ResponseError::Head(HeadError::TooLong { limit: 16 << 10 })))
    );
    log.proved("WS-4.1R-15", Role::Client);

    // REQ: WS-4.1R-16
    let padded = |len: usize| {
        let head = with(RESPONSE, "X: ");
        head.replace("X: ", &format!("X: {}", "x".repeat(len - head.len())))
    };
    opens(&padded(16 << 10));
    fails(
        &padded((16 << 10) + 1),
        HandshakeError::Response(ResponseError::Head(HeadError::TooLong { limit: 16 << 10 })),
    );
    fails(
        &"x".repeat((16 << 10) + 1),
        HandshakeError::Response(ResponseError::Head(HeadError::TooLong { limit: 16 << 10 })),
    );
    assert_eq!(response_to(&plain_request(), "x".repeat(16 << 10)).0, Ok(None));
    opens(&with(RESPONSE, &format!("X: {}", "\r\nX: ".repeat(96))));
    fails(
        &with(RESPONSE, &format!("X: {}", "\r\nX: ".repeat(97))),
        HandshakeError::Response(ResponseError::Head(HeadError::TooManyFields { limit: 100 })),
    );
    let obs_text = [RESPONSE.trim_end().as_bytes(), b"\r\nX: \xff\xfe\r\n\r\n"].concat();
    let obs_text = response(obs_text).unwrap();
    assert_eq!(obs_text.headers().get("X"), None);
    assert!(obs_text.headers().get_all("X").eq([b"\xff\xfe"]));
    let at = Duration::from_secs;
    let mut handshake =
        ClientHandshake::start(&plain_request(), NONCE, Config::default().into(), at(5), &mut BytesMut::new());
    assert_eq!(handshake.poll_timeout(), Some(at(15)));
    assert_eq!(handshake.handle_timeout(at(14)), Ok(()));
    assert_eq!(handshake.handle_timeout(at(15)), Err(HandshakeError::TimedOut(Duration::from_secs(10))));
    log.proved("WS-4.1R-16", Role::Client);

    // REQ: WS-4.1R-17
    let cookies = opens(&with(RESPONSE, "Set-Cookie: a=1; Path=/, x\r\nset-cookie: b=2"));
    assert!(cookies.headers().get_all("Set-Cookie").eq([b"a=1; Path=/, x".as_slice(), b"b=2"]));
    let (cookies, _) = refusal("HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n");
    assert!(cookies.headers().get_all("Set-Cookie").eq([b"a=1", b"b=2"]));
    log.proved("WS-4.1R-17", Role::Client);
}

#[track_caller]
fn opens(wire: &str) -> ClientResponse {
    let response = response(wire).unwrap_or_else(|error| panic!("{wire}: {error}"));
    assert_eq!(response.status(), 101);
    response
}

#[track_caller]
fn fails(wire: &str, error: HandshakeError) {
    assert_eq!(response(wire), Err(error), "{wire}");
}

/// The refusal in this wire, and what stands behind its head.
#[track_caller]
fn refusal(wire: &str) -> (ClientResponse, BytesMut) {
    let mut handshake =
        ClientHandshake::start(&plain_request(), NONCE, Config::default().into(), Duration::ZERO, &mut BytesMut::new());
    let mut input = BytesMut::from(wire);
    let Err(HandshakeError::Refused(refusal)) = handshake.receive(&mut input) else { panic!("{wire} is no refusal") };
    assert_eq!(response(wire), Err(HandshakeError::Refused(refusal.clone())));
    (*refusal, input)
}

/// The body, taken in byte by byte until it says that it is whole.
fn body_of(mut refusal: ClientResponse, wire: BytesMut) -> String {
    let mut input = BytesMut::new();
    for &byte in &wire {
        input.extend_from_slice(&[byte]);
        if refusal.receive_body(&mut input, 1 << 10) {
            break;
        }
    }
    String::from_utf8(refusal.body().to_vec()).expect("text")
}

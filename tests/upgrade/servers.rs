//! Servers behind the doors: against our own client, against hyper's, and against wire bytes.

use std::sync::Arc;

use bowsprit::handshake::ClientRequest;
use bowsprit::{CloseCode, Error, HandshakeError, Initiator, Message, OwnedMessage};

use crate::support::{DOORS, Raw, Server, compressing, within};

/// The request of RFC 6455 section 1.3, without what is optional.
const REQUEST: &str = "GET /echo HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// "Hello", masked (RFC 6455 section 5.7), and a Close with 1000.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const CLOSE: &[u8] = b"\x88\x82\x00\x00\x00\x00\x03\xe8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_sizes_come_back() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        for config in [Arc::default(), Arc::new(compressing())] {
            let request = ClientRequest::try_from(&*server.uri("/echo")).expect("a URI");
            let (mut ws, response) =
                within(bowsprit::tokio::Connector::new(request).config(Arc::clone(&config)).connect())
                    .await
                    .expect("it opens");
            #[cfg(feature = "deflate")]
            assert_eq!(response.extensions().deflate().is_some(), config.compression.is_some());
            assert_eq!(response.status(), 101);
            for len in [0, 1, 125, 126, 4_095, 4_096, 65_535, 65_536, 1 << 20] {
                let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
                within(ws.send(&payload[..])).await.expect("it is open");
                let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
                assert_eq!(message, Message::Binary(&payload), "{door:?}");
                let text = "é".repeat(len / 2);
                within(ws.send(&*text)).await.expect("it is open");
                let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
                assert_eq!(message, Message::Text(&text), "{door:?}");
            }
            let end = within(ws.close(Some(CloseCode::NORMAL.into()))).await.expect("it is legal");
            assert!(end.clean && end.code() == CloseCode::NORMAL, "{end:?}");
            let session = server.ended().await;
            assert!(session.end.clean && session.end.by == Initiator::Remote, "{session:?}");
        }
    }
}

// HOSTILE: 32
/// What arrives in one segment with the head reaches the connection, and the end is graceful.
#[tokio::test]
async fn frames_in_the_segment_of_the_head_arrive() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        let mut raw = Raw::connect(server.address).await;
        raw.sends([REQUEST.as_bytes(), HELLO, HELLO, CLOSE].concat()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        for line in ["upgrade: websocket", "connection: Upgrade", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
        {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{door:?}: {head}");
        }
        assert!(!head.contains("sec-websocket-extensions") && !head.contains("sec-websocket-protocol"), "{head}");
        assert_eq!(raw.rest().await, b"\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8", "{door:?}");
        drop(raw);
        assert!(server.ended().await.end.clean);
    }
}

/// Frames a byte at a time, after the head.
#[tokio::test]
async fn frames_in_pieces_arrive() {
    for &door in DOORS {
        let server = Server::start(door).await;
        let mut raw = Raw::connect(server.address).await;
        raw.0.set_nodelay(true).expect("a TCP socket");
        let (first, rest) = REQUEST.as_bytes().split_at(20);
        raw.sends(first).await;
        tokio::task::yield_now().await;
        raw.sends(rest).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        for byte in HELLO {
            raw.sends([*byte]).await;
            tokio::task::yield_now().await;
        }
        raw.expect(b"\x81\x05Hello").await;
        // RFC 6455 section 5.1: a frame without a mask.
        raw.sends(b"\x81\x05Hello").await;
        assert_eq!(raw.rest().await, b"\x88\x02\x03\xea", "{door:?}: 1002");
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_its_status() {
    let cases = [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426, "sec-websocket-version: 13"),
        ("Sec-WebSocket-Version: 13\r\n", "", 400, "sec-websocket-version: 13"),
        ("GET", "POST", 405, "allow: GET"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, "content-type: text/plain"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400, "content-type: text/plain"),
        ("Connection: Upgrade\r\n", "", 400, "content-type: text/plain"),
        ("Connection", "Origin: https://other.example\r\nConnection", 403, "content-type: text/plain"),
        ("Connection", "Origin: null\r\nConnection", 403, "content-type: text/plain"),
        ("Connection", "Sec-WebSocket-Protocol: a/b\r\nConnection", 400, "content-type: text/plain"),
        ("Connection", "Sec-WebSocket-Extensions: a;;\r\nConnection", 400, "content-type: text/plain"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", "", 426, "upgrade: websocket"),
        ("Upgrade: websocket", "Upgrade: h2c", 426, "connection: Upgrade, close"),
        ("HTTP/1.1", "HTTP/1.0", 400, "content-type: text/plain"),
    ];
    for &door in DOORS {
        let server = Server::start(door).await;
        for (line, instead, status, field) in cases {
            let mut raw = Raw::connect(server.address).await;
            raw.sends(REQUEST.replacen(line, instead, 1)).await;
            let head = raw.head().await;
            assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{door:?}, {instead}: {head}");
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{door:?}, {instead}: {head}");
            // And the connection ends: nothing behind a refusal is taken for a request.
            let body = String::from_utf8(raw.rest().await).expect("ASCII");
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}{body}");
            assert!(body.ends_with('\n'), "{body}");
        }
    }
}

/// A page may connect to where it comes from.
#[tokio::test]
async fn a_page_of_the_same_origin_may_connect() {
    for &door in DOORS {
        let server = Server::start(door).await;
        let mut raw = Raw::connect(server.address).await;
        raw.sends(REQUEST.replacen("Connection", "Origin: https://SERVER.example.com\r\nConnection", 1)).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "), "{door:?}");
    }
}

#[tokio::test]
async fn other_paths_stay_http() {
    for &door in DOORS {
        let server = Server::start(door).await;
        let refused = within(bowsprit::tokio::connect(&server.uri("/nothing"))).await;
        let Err(Error::Handshake(HandshakeError::Refused(refusal))) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.status(), 404, "{door:?}");
    }
}

#[tokio::test]
async fn a_subprotocol_is_agreed_on() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        for (offered, agreed) in
            [(["chat", "soap"], Some("chat")), (["chat", "superchat"], Some("superchat")), (["soap", "wamp"], None)]
        {
            let request = ClientRequest::try_from(&*server.uri("/echo")).expect("a URI");
            let request = request.subprotocol(offered[0]).and_then(|request| request.subprotocol(offered[1]));
            let connector = bowsprit::tokio::Connector::new(request.expect("tokens"));
            let (ws, response) = within(connector.connect()).await.expect("it opens");
            assert_eq!((ws.subprotocol(), response.subprotocol()), (agreed, agreed), "{door:?}");
            assert!(within(ws.close(None)).await.expect("it is legal").clean);
            assert_eq!(server.ended().await.subprotocol.as_deref(), agreed);
        }
    }
}

#[tokio::test]
async fn close_codes_arrive_both_ways() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        for code in [1000, 1001, 3000, 4999] {
            let ws = within(bowsprit::tokio::connect(&server.uri("/echo"))).await.expect("it opens");
            let end = within(ws.close(Some(CloseCode::from(code).into()))).await.expect("it is legal");
            assert_eq!((end.sent, end.received), (Some(code.into()), Some(code.into())));
            let session = server.ended().await;
            assert_eq!((session.end.received, session.end.clean), (Some(code.into()), true), "{door:?}");
        }

        let mut ws = within(bowsprit::tokio::connect(&server.uri("/close"))).await.expect("it opens");
        assert!(within(ws.next()).await.expect("a Close").is_none());
        assert_eq!((ws.end().expect("it has ended").code(), ws.close_reason()), (CloseCode::from(4002), "bye"));
        let session = server.ended().await;
        assert_eq!((session.end.by, session.end.clean), (Initiator::Local, true), "{door:?}");

        // And in bytes: the Close of the server, our echo, the end.
        let mut raw = Raw::connect(server.address).await;
        raw.sends(REQUEST.replace("/echo", "/close")).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        raw.expect(b"\x88\x05\x0f\xa2bye").await;
        raw.sends(b"\x88\x85\x00\x00\x00\x00\x0f\xa2bye").await;
        assert_eq!(raw.rest().await, b"");
        drop(raw);
        assert!(server.ended().await.end.clean);
    }
}

/// A client that is gone without a Close.
#[tokio::test]
async fn a_connection_that_breaks_is_told_so() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        let mut raw = Raw::connect(server.address).await;
        raw.sends(REQUEST).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        drop(raw);
        let session = server.ended().await;
        assert_eq!((session.end.code(), session.end.clean), (CloseCode::ABNORMAL, false), "{door:?}");
    }
}

/// Pipelined behind a plain request, on a connection that is kept: an upgrade in its turn.
#[tokio::test]
async fn a_connection_may_serve_http_first() {
    for &door in DOORS {
        let mut server = Server::start(door).await;
        let mut raw = Raw::connect(server.address).await;
        let plain = "GET /page HTTP/1.1\r\nHost: server.example.com\r\n\r\n";
        raw.sends([plain.as_bytes(), REQUEST.as_bytes(), HELLO, CLOSE].concat()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        let len = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let len = len.and_then(|len| len.parse().ok()).expect("a length");
        let mut body = vec![0; len];
        within(tokio::io::AsyncReadExt::read_exact(&mut raw.0, &mut body)).await.expect("a body");
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "), "{door:?}");
        assert_eq!(raw.rest().await, b"\x81\x05Hello\x88\x02\x03\xe8", "{door:?}");
        drop(raw);
        assert!(server.ended().await.end.clean);
    }
}

#[tokio::test]
async fn owned_messages_work_too() {
    for &door in DOORS {
        let server = Server::start(door).await;
        let mut ws = within(bowsprit::tokio::connect(&server.uri("/echo"))).await.expect("it opens");
        within(ws.send("kept")).await.expect("it is open");
        assert_eq!(within(ws.recv()).await.expect("it is open"), Some(OwnedMessage::Text("kept".into())));
    }
}

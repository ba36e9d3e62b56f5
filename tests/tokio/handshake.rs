//! The opening handshake, and what arrives around it.

use std::io::ErrorKind;
use std::sync::Arc;

use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::tokio::{Connector, accept, accept_with, connect, connect_with, receive_request};
use bowsprit::{Chunks, Config, Error, HandshakeError, Message, Messages, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

use crate::support::{Script, Stream, frame, frames, kind, polls, text};

pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Two messages and a Close, as they are sent to an end of this role.
fn messages(role: Role) -> Vec<u8> {
    [frame(role, 0x81, b"first"), frame(role, 0x81, b"second"), frame(role, 0x88, &[0x03, 0xe8])].concat()
}

/// The head of the client's request.
async fn request(peer: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// An answer to `request`, with these fields.
fn switching(request: &str, fields: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = bowsprit::handshake::key::accept(key.as_bytes());
    let accept = str::from_utf8(&accept).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    )
}

// HOSTILE: 32
#[tokio::test]
async fn frames_behind_the_request() {
    let wire = [REQUEST.as_bytes(), &messages(Role::Server)].concat();
    for cut in 1..wire.len() {
        let stream = Stream::sends([&wire[..cut], &wire[cut..]]);
        let mut ws = accept(stream.clone()).await.unwrap();
        for expected in ["first", "second"] {
            assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text(expected), "cut at {cut}");
        }
        assert!(ws.next().await.unwrap().is_none(), "cut at {cut}");
        assert!(ws.end().unwrap().clean, "cut at {cut}");
        assert!(stream.written().ends_with(b"\r\n\r\n\x88\x02\x03\xe8"));
    }
}

// HOSTILE: 32
#[tokio::test]
async fn frames_behind_the_response() {
    let len = 140 + messages(Role::Client).len();
    for cut in (1..len).step_by(3) {
        let (mut peer, near) = tokio::io::duplex(1_000);
        let server = tokio::spawn(async move {
            let head = request(&mut peer).await;
            let wire = [switching(&head, "").as_bytes(), &messages(Role::Client)].concat();
            let cut = cut.min(wire.len());
            peer.write_all(&wire[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            peer.write_all(&wire[cut..]).await.unwrap();
            let mut received = Vec::new();
            peer.shutdown().await.unwrap();
            peer.read_to_end(&mut received).await.unwrap();
            received
        });
        let mut ws = connect_with(near, "ws://example.com/chat").await.unwrap();
        assert_eq!(text(ws.recv().await.unwrap()), "first", "cut at {cut}");
        assert_eq!(text(ws.recv().await.unwrap()), "second", "cut at {cut}");
        assert!(ws.recv().await.unwrap().is_none(), "cut at {cut}");
        assert_eq!(frames(Role::Client, &server.await.unwrap()), [(0x88, vec![0x03, 0xe8])]);
    }
}

#[tokio::test]
async fn what_arrived_goes_with_the_parts() {
    let wire = [REQUEST.as_bytes(), &messages(Role::Server)].concat();
    let mut ws = accept(Stream::sends([&wire])).await.unwrap();
    assert_eq!(text(ws.recv().await.unwrap()), "first");
    ws.feed("queued").await.unwrap();
    let parts = ws.into_parts();
    assert_eq!(parts.input, messages(Role::Server)[11..]);
    assert_eq!(parts.output, frame(Role::Client, 0x81, b"queued"));
    let mut ws = bowsprit::tokio::WebSocket::from_parts(parts);
    assert_eq!(text(ws.recv().await.unwrap()), "second");
}

#[tokio::test]
async fn subprotocols_fields_and_deliveries() {
    let (near, far) = tokio::io::duplex(1_000);
    let server = tokio::spawn(async move {
        let incoming = receive_request(far, Arc::default()).await?;
        assert!(incoming.request().is_upgrade());
        assert_eq!((incoming.request().target(), incoming.request().headers().get("x-a")), ("/chat?a=b", Some("c")));
        let mut ws = incoming.accept(&AcceptOptions::new().subprotocol("two"), Messages).await?;
        assert_eq!(ws.subprotocol(), Some("two"));
        ws.send("hello").await?;
        crate::support::echo(&mut ws).await
    });
    let asked = ClientRequest::try_from("ws://example.com/chat?a=b").unwrap();
    let asked = asked.subprotocol("one").unwrap().subprotocol("two").unwrap().header("X-A", "c").unwrap();
    let chunks = Chunks { max_message: 1 << 40, max_fragments: 100 };
    let (mut ws, response) = Connector::new(asked).delivery(chunks).connect_on(near).await.unwrap();
    assert_eq!((response.subprotocol(), ws.subprotocol()), (Some("two"), Some("two")));
    let mut hello = String::new();
    ws.read_message().await.unwrap().unwrap().read_to_string(&mut hello).await.unwrap();
    assert_eq!(hello, "hello");
    let (reader, writer) = ws.split();
    assert_eq!(reader.subprotocol(), Some("two"));
    assert!(reader.reunite(writer).unwrap().close(None).await.unwrap().clean);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_has_status_fields_and_a_bounded_body() {
    for (body, sent) in [(5, 5), (0, 0), (64 << 10, 64 << 10), (64 << 10, 10 << 20)] {
        let (mut peer, near) = tokio::io::duplex(10_000);
        let server = tokio::spawn(async move {
            request(&mut peer).await;
            let head = format!("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: {sent}\r\n\r\n");
            peer.write_all(head.as_bytes()).await.unwrap();
            // The client may have had enough.
            let _ = peer.write_all(&vec![b'x'; sent]).await;
        });
        let error = connect_with(near, "ws://example.com/").await.unwrap_err();
        let Error::Handshake(HandshakeError::Refused(refusal)) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status(), refusal.headers().get("retry-after")), (503, Some("7")));
        assert_eq!(refusal.body().len(), body);
        server.await.unwrap();
    }
}

/// The rest of the body never comes: what has come is told.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_breaks_off_keeps_what_there_was() {
    for ends in [true, false] {
        let (mut peer, near) = tokio::io::duplex(10_000);
        let server = tokio::spawn(async move {
            request(&mut peer).await;
            peer.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nbecause").await.unwrap();
            if !ends {
                std::future::pending::<()>().await;
            }
        });
        let error = connect_with(near, "ws://example.com/").await.unwrap_err();
        let Error::Handshake(HandshakeError::Refused(refusal)) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status(), refusal.body()), (403, &b"because"[..]));
        server.abort();
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_or_breaks_the_rules() {
    for (answer, eof) in [("", true), ("HTTP/1.1 101 Switching Protocols\r\nUpgr", true), ("SSH-2.0\r\n\r\n", false)] {
        let (mut peer, near) = tokio::io::duplex(10_000);
        let server = tokio::spawn(async move {
            request(&mut peer).await;
            peer.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = connect_with(near, "ws://example.com/").await.unwrap_err();
        match eof {
            true => assert_eq!(kind(&error), ErrorKind::UnexpectedEof, "{answer}"),
            false => assert!(matches!(error, Error::Handshake(_)), "{answer}"),
        }
        server.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_not_come_in_is_told() {
    for (request, status) in [
        (REQUEST.replace("n: 13", "n: 8"), "426"),
        (REQUEST.replace("Host: example.com", "Host: example.com\r\nOrigin: http://evil.example"), "403"),
        (REQUEST.replace("Upgrade: websocket\r\n", ""), "426"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        ("nonsense\r\n\r\n".into(), "400"),
    ] {
        let stream = Stream::sends([request.as_bytes()]);
        let error = accept(stream.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
        let answer = String::from_utf8(stream.written()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(stream.script().shut_down);
    }
    // Gone in the middle of its request.
    for len in [0, 1, REQUEST.len() - 1] {
        let error = accept(Stream::sends([&REQUEST.as_bytes()[..len]])).await.unwrap_err();
        assert_eq!(kind(&error), ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn respond_tells_whether_the_answer_was_written() {
    let incoming = receive_request(Stream::sends([REQUEST.as_bytes()]), Arc::default()).await.unwrap();
    incoming.respond(404, &[("x", "y")], b"nothing").await.unwrap();
    let fails = Script { fails: Some((2, ErrorKind::ConnectionReset)), ..Script::sends([REQUEST.as_bytes()]) };
    let incoming = receive_request(Stream::new(fails), Arc::default()).await.unwrap();
    assert!(matches!(incoming.respond(404, &[], b"nothing").await, Err(Error::Io(_))));
    let stream = Stream::sends([REQUEST.as_bytes()]);
    let incoming = receive_request(stream.clone(), Arc::default()).await.unwrap();
    assert!(matches!(incoming.respond(404, &[("x", "y\r\nz: 1")], b"").await, Err(Error::Handshake(_))));
    assert_eq!(stream.written(), b"");
}

/// Each future of a handshake dropped at each poll: nothing hangs or panics, and the stream goes with it.
// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn a_handshake_dropped_at_any_await() {
    let choices = AcceptOptions::new();
    for times in 0.. {
        let reads = REQUEST.as_bytes().chunks(20).map(<[u8]>::to_vec).collect();
        let stream = Stream::new(Script { reads, stutters: true, silent: true, ..Script::default() });
        let accepting = accept_with(stream.clone(), &choices, Messages, Arc::new(Config::default()));
        if polls(times, accepting).await.is_some() {
            assert!(times > 10);
            break;
        }
        // Nobody else holds it.
        assert_eq!(stream.handles(), 1, "dropped after {times} polls");
    }
}

#[tokio::test]
async fn connect_dials() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut ws = accept(listener.accept().await.unwrap().0).await?;
        crate::support::echo(&mut ws).await
    });
    // A name with several addresses, of which one answers.
    let mut ws = connect(&format!("ws://localhost:{port}/")).await.unwrap();
    assert!(ws.get_ref().tcp().expect("TCP").nodelay().unwrap());
    ws.send("a").await.unwrap();
    assert_eq!(text(ws.recv().await.unwrap()), "a");
    assert!(ws.close(None).await.unwrap().clean);
    server.await.unwrap().unwrap();
    // Nobody listens there any more.
    assert_eq!(kind(&connect(&format!("ws://127.0.0.1:{port}/")).await.unwrap_err()), ErrorKind::ConnectionRefused);
    assert!(matches!(connect("http://example.com/").await, Err(Error::Handshake(HandshakeError::Uri(_)))));
}

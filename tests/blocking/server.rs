//! The server's opening handshake, in one step and in two.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use bowsprit::blocking::{Plain, accept, accept_with, receive_request};
use bowsprit::handshake::{AcceptOptions, BuildError, HeadError, OriginPolicy, RequestError};
use bowsprit::{Config, Error, HandshakeError, Messages};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{echo, expect, head, join, kind, masked, millis, pattern, rest, send_all, tcp, text, within};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

#[test]
fn accepts_in_two_steps() {
    within(|| {
        let (mut peer, stream) = tcp();
        let request = format!("{REQUEST}Sec-WebSocket-Protocol: soap, wamp\r\n\r\n");
        peer.write_all(request.as_bytes()).unwrap();
        let incoming = receive_request(stream, Arc::default()).unwrap();
        assert!(incoming.get_ref().nodelay().unwrap());
        let request = incoming.request();
        assert!(request.is_upgrade());
        assert_eq!((request.path(), request.host(), request.origin()), ("/chat", "example.com", None));
        let choice = request.select_subprotocol(&["wamp"]).unwrap();
        let choices = AcceptOptions::new().subprotocol(choice).header("Set-Cookie", "a=b").unwrap();
        let mut ws = incoming.accept(&choices, Messages).unwrap();
        assert_eq!(ws.subprotocol(), Some("wamp"));
        let answer = head(&mut peer);
        assert!(answer.starts_with("HTTP/1.1 101 "));
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: wamp\r\n"));
        assert!(answer.contains("\r\nSet-Cookie: a=b\r\n"));
        ws.send("hi").unwrap();
        expect(&mut peer, &hex!("8102 6869"));
    });
}

#[test]
fn frames_behind_the_request_arrive() {
    within(|| {
        let (mut peer, stream) = tcp();
        let large = pattern(100_000);
        let sent = [format!("{REQUEST}\r\n").as_bytes(), &hex!("818100000000 61 818200000000 62")].concat();
        peer.write_all(&sent).unwrap();
        let mut ws = accept(stream).unwrap();
        peer.write_all(&[b"c", &masked(&large)[..]].concat()).unwrap();
        assert_eq!(text(ws.recv().unwrap()), "a");
        assert_eq!(text(ws.recv().unwrap()), "bc");
        assert!(ws.recv().unwrap().unwrap().into_bytes() == large);
    });
}

#[test]
fn the_answer_and_the_echo_leave_in_a_write_each() {
    let request = format!("{REQUEST}\r\n");
    let frames = hex!("818100000000 61 818100000000 62");
    let mut ws = accept(Script::sends([&[request.as_bytes(), &frames].concat()])).unwrap();
    echo(&mut ws).unwrap_err();
    let writes = ws.get_ref().writes();
    assert_eq!(writes.len(), 2);
    assert!(writes[0].starts_with(b"HTTP/1.1 101 ") && writes[0].ends_with(b"\r\n\r\n"));
    assert_eq!(writes[1], hex!("8101 61 8101 62"));
}

#[test]
fn a_head_in_any_cut_is_read() {
    let request = format!("{REQUEST}\r\n");
    let bytes: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
    let mut script = Script::default();
    script.reads.extend(bytes.into_iter().map(|byte| Ok(byte.to_vec())));
    script.reads.push_back(Ok(hex!("818100000000 61").to_vec()));
    let mut ws = accept(Plain(script)).unwrap();
    assert_eq!(text(ws.recv().unwrap()), "a");
}

/// What the peer reads until the stream ends, after it has sent this.
fn answer<T: Send + 'static>(sent: &str, serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (T, String) {
    let sent = sent.to_owned();
    within(move || {
        let (mut peer, stream) = tcp();
        let server = thread::spawn(move || serve(stream));
        send_all(&mut peer, sent.as_bytes());
        let answer = String::from_utf8(rest(&mut peer)).unwrap();
        (join(server), answer)
    })
}

#[test]
fn responds_with_any_status() {
    let unread = "x".repeat(100_000);
    let ((), answer) = answer(&format!("{REQUEST}\r\n{unread}"), |stream| {
        let incoming = receive_request(stream, Arc::default()).unwrap();
        incoming.respond(402, &[("X-Price", "1")], b"pay first").unwrap();
    });
    assert!(answer.starts_with("HTTP/1.1 402 "));
    assert!(answer.contains("\r\nX-Price: 1\r\n"));
    assert!(answer.ends_with("\r\n\r\npay first"));
}

#[test]
fn answers_plain_http() {
    let ((), answer) = answer("GET /page?x=1 HTTP/1.1\r\nHost: example.com\r\n\r\n", |stream| {
        let incoming = receive_request(stream, Arc::default()).unwrap();
        let request = incoming.request();
        assert!(!request.is_upgrade());
        assert_eq!((request.path(), request.query()), ("/page", Some("x=1")));
        incoming.respond(200, &[("Content-Type", "text/html")], b"<p>hello").unwrap();
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.contains("\r\nContent-Length: 8\r\n") && answer.ends_with("\r\n\r\n<p>hello"));
}

#[test]
fn plain_http_is_told_to_upgrade_where_nothing_else_is_served() {
    let (error, answer) = answer("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", |stream| accept(stream).unwrap_err());
    assert!(matches!(error, Error::Handshake(HandshakeError::Request(RequestError::NoUpgrade))));
    assert!(answer.starts_with("HTTP/1.1 426 "));
}

#[test]
fn a_page_of_another_origin_is_forbidden() {
    let foreign = format!("{REQUEST}Origin: http://evil.example\r\n\r\n");
    let (error, answer) = answer(&foreign, |stream| accept(stream).unwrap_err());
    assert!(matches!(error, Error::Handshake(HandshakeError::Origin(_))));
    assert!(answer.starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_page_of_another_origin_is_welcome_where_that_is_chosen() {
    let foreign = format!("{REQUEST}Origin: http://good.example\r\n\r\n");
    let ((), answer) = answer(&foreign, |stream| {
        let policy = OriginPolicy::allow(["http://good.example"]).unwrap();
        accept_with(stream, &AcceptOptions::new().origin(policy), Messages, Arc::default()).unwrap();
    });
    assert!(answer.starts_with("HTTP/1.1 101 "));
}

#[test]
fn what_is_no_http_is_answered_and_read_to_its_end() {
    let garbage = "\u{16}\u{3}\u{1} hello".repeat(20_000);
    let (error, answer) = answer(&garbage, |stream| accept(stream).unwrap_err());
    assert!(matches!(error, Error::Handshake(HandshakeError::Request(RequestError::Head(HeadError::Tls)))));
    assert!(answer.starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_choice_that_was_not_offered_is_the_servers_own_fault() {
    let (error, answer) = answer(&format!("{REQUEST}\r\n"), |stream| {
        accept_with(stream, &AcceptOptions::new().subprotocol("chat"), Messages, Arc::default()).unwrap_err()
    });
    assert!(matches!(error, Error::Handshake(HandshakeError::Build(BuildError::InvalidSubprotocol(_)))));
    assert!(answer.starts_with("HTTP/1.1 500 "));
}

#[test]
fn a_response_that_is_not_possible_sends_nothing() {
    let (error, answer) = answer(&format!("{REQUEST}\r\n"), |stream| {
        receive_request(stream, Arc::default()).unwrap().respond(101, &[], b"").unwrap_err()
    });
    assert!(matches!(error, Error::Handshake(HandshakeError::Build(BuildError::InvalidStatus(101)))));
    assert_eq!(answer, "");
}

#[test]
fn a_silent_client_is_answered_408() {
    for sent in ["", "GET / HTTP/1.1\r\nHost: example.com\r\n"] {
        within(move || {
            let (mut peer, stream) = tcp();
            peer.write_all(sent.as_bytes()).unwrap();
            let server = thread::spawn(move || {
                let config = Config { handshake_timeout: millis(50), close_timeout: millis(50), ..Config::default() };
                receive_request(stream, Arc::new(config)).unwrap_err()
            });
            assert!(rest(&mut peer).starts_with(b"HTTP/1.1 408 "));
            assert!(matches!(join(server), Error::Timeout(bowsprit::Timeout::Handshake, _)));
        });
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error_of_the_stream() {
    for request in [&b""[..], b"GET / HT"] {
        assert_eq!(kind(&accept(Plain(Script::sends([request]))).unwrap_err()), ErrorKind::UnexpectedEof);
    }
}

//! One table of requests, and what each kind of server answers: the core over bytes, hyper and axum.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bytes::BytesMut;

use crate::support::{Door, Raw, Server};

const BASE: &str = "GET /echo HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// A request that differs from [`BASE`] in one place.
struct Case {
    replace: &'static str,
    with: String,
    /// The status of the core's answer.
    core: u16,
    /// The status of the answer over hyper, with hyper alone and inside axum; 0: the connection ends without an answer.
    hyper: u16,
    /// The status of `bowsprit::server`, which is hyper with the bounds of [`Config`](bowsprit::Config).
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "there is no router"))]
    router: u16,
}

fn same(replace: &'static str, with: impl Into<String>, status: u16) -> Case {
    Case { replace, with: with.into(), core: status, hyper: status, router: status }
}

/// Why hyper differs stands beside each of these.
fn differs(replace: &'static str, with: impl Into<String>, core: u16, hyper: u16) -> Case {
    Case { replace, with: with.into(), core, hyper, router: hyper }
}

/// A bound that hyper has only where the server sets it.
fn bounded(replace: &'static str, with: impl Into<String>, core: u16) -> Case {
    Case { replace, with: with.into(), core, hyper: 101, router: 431 }
}

fn cases() -> Vec<Case> {
    const HOST: &str = "Host: server.example.com";
    const LINE: &str = "GET /echo HTTP/1.1";
    const OPTION: &str = "Connection: Upgrade";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const VERSION: &str = "Sec-WebSocket-Version: 13";
    vec![
        same("", "", 101),
        // The target (RFC 9112 section 3.2, RFC 3986).
        same(LINE, "GET /echo?a=%20b&c[]={d}|^` HTTP/1.1", 101),
        same(LINE, "GET http://other.example:81/echo HTTP/1.1", 101),
        same(LINE, "GET /echo?\" HTTP/1.1", 400),
        same(LINE, "GET /echo?< HTTP/1.1", 400),
        same(LINE, "GET /echo?> HTTP/1.1", 400),
        same(LINE, "GET /echo?\\ HTTP/1.1", 400),
        same(LINE, "GET /echo?%zz HTTP/1.1", 400),
        same(LINE, "GET /echo?% HTTP/1.1", 400),
        same(LINE, "GET /echo?\u{e4} HTTP/1.1", 400),
        same(LINE, "GET /echo? x HTTP/1.1", 400),
        same(LINE, "GET  /echo HTTP/1.1", 400),
        // `http::Uri` drops the fragment before anything here sees it.
        differs(LINE, "GET /echo#a HTTP/1.1", 400, 101),
        // The versions (RFC 6455 section 4.2.1, RFC 9110 section 2.5).
        same(LINE, "GET /echo HTTP/1.0", 400),
        // hyper knows no other minor version than 0 and 1.
        differs(LINE, "GET /echo HTTP/1.2", 101, 400),
        differs(LINE, "GET /echo HTTP/2.0", 505, 400),
        // The methods.
        same("GET", "POST", 405),
        same("GET", "HEAD", 405),
        same("GET", "get", 405),
        // The grammar of lists (RFC 9110 sections 7.6.1 and 7.8).
        same(OPTION, "Connection: keep-alive, Upgrade", 101),
        same(OPTION, "Connection: ,, upgrade ,", 101),
        same(OPTION, "Connection: ???, Upgrade", 400),
        same(OPTION, "Connection: a b, Upgrade", 400),
        same(OPTION, "Connection: close", 400),
        same("Upgrade: websocket", "Upgrade: h2c, WebSocket", 101),
        same("Upgrade: websocket", "Upgrade: x/1, websocket", 101),
        same("Upgrade: websocket", "Upgrade: x y, websocket", 400),
        same("Upgrade: websocket", "Upgrade: x/1/2, websocket", 400),
        same("Upgrade: websocket", "Upgrade: h2c", 426),
        // Required fields.
        same(HOST, "X: y", 400),
        same(HOST, "Host: a\r\nHost: a", 400),
        same(HOST, "Host: u@a", 400),
        same(KEY, "Sec-WebSocket-Key: AAAA", 400),
        same(VERSION, "Sec-WebSocket-Version: 8", 426),
        same(VERSION, "Sec-WebSocket-Version: 013", 400),
        same(OPTION, "Connection: Upgrade\r\nExpect: 100-continue", 417),
        same(OPTION, "Connection: Upgrade\r\nContent-Length: 5", 400),
        same(OPTION, "Connection: Upgrade\r\nTransfer-Encoding: chunked", 400),
        same(OPTION, "Connection: Upgrade\r\nOrigin: https://evil.example", 403),
        same(OPTION, "Connection: Upgrade\r\nSec-WebSocket-Protocol: a/b", 400),
        same(OPTION, "Connection: Upgrade\r\nSec-WebSocket-Extensions: ;", 400),
        // The lines (RFC 9112 sections 2.2 and 5).
        same(HOST, "Host : server.example.com", 400),
        same(HOST, "Host: server.example.com\r\n folded", 400),
        same(LINE, "\r\nGET /echo HTTP/1.1", 101),
        // httparse accepts a bare LF for CRLF.
        differs(LINE, "\nGET /echo HTTP/1.1", 400, 101),
        differs("\r\nUpgrade", "\nUpgrade", 400, 101),
        // The bounds: hyper's own, unless the server sets them (see `upgrade::hyper`).
        same(OPTION, "X: y\r\n".repeat(100) + OPTION, 431),
        bounded(LINE, format!("GET /echo?{} HTTP/1.1", "x".repeat(17_000)), 414),
        bounded(OPTION, format!("X: {}\r\n{OPTION}", "x".repeat(20_000)), 431),
        // Not HTTP/1.1. hyper ends the connection of a client that speaks HTTP/2 without an answer.
        differs(BASE, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0),
        differs(BASE, "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03\r\n\r\n", 400, 400),
    ]
}

/// Status, head and body of the core's answer.
fn over_bytes(wire: &[u8]) -> (u16, String, String) {
    let mut handshake = ServerHandshake::new(Arc::default(), Duration::ZERO);
    let (mut input, mut output) = (BytesMut::from(wire), BytesMut::new());
    let received = handshake.receive(&mut input).map(|request| request.expect("the head is complete"));
    if let Err(error) = received.and_then(|request| request.accept(&AcceptOptions::new(), &mut output)) {
        error.respond(&mut output);
    }
    parse(&output)
}

/// Status, head with names in lower case, and body.
fn parse(answer: &[u8]) -> (u16, String, String) {
    if answer.is_empty() {
        return (0, String::new(), String::new());
    }
    let answer = str::from_utf8(answer).expect("the answers here are text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a complete head");
    (head[9..12].parse().expect("a status"), head.to_ascii_lowercase(), body.to_owned())
}

fn wire(case: &Case) -> Vec<u8> {
    assert!(BASE.contains(case.replace), "{}", case.replace);
    BASE.replacen(case.replace, &case.with, 1).into_bytes()
}

// HOSTILE: 44
/// Whatever is not a 101 says that the connection closes, and closes it.
#[tokio::test]
async fn each_request_gets_one_verdict_everywhere() {
    let hyper = Server::start(Door::Hyper).await;
    let axum = {
        #[cfg(feature = "axum")]
        let server = Some(Server::start(Door::Axum).await);
        #[cfg(not(feature = "axum"))]
        let server: Option<Server> = None;
        server
    };
    let router = {
        #[cfg(feature = "server")]
        let server = Some(Server::start(Door::Router).await);
        #[cfg(not(feature = "server"))]
        let server: Option<Server> = None;
        server
    };
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for case in &cases {
        let wire = wire(case);
        let shown = String::from_utf8_lossy(&wire[..wire.len().min(300)]).into_owned();
        let (status, head, body) = over_bytes(&wire);
        if status != case.core {
            wrong.push(format!("core answers {status}, not {}: {shown}", case.core));
        }
        if status != 101 && !head.contains("close") {
            wrong.push(format!("the core keeps the connection: {shown}"));
        }
        for server in [Some(&hyper), axum.as_ref(), router.as_ref()].into_iter().flatten() {
            let mut raw = Raw::connect(server.address).await;
            raw.sends(&wire).await;
            #[cfg(feature = "server")]
            let expected = if server.door == Door::Router { case.router } else { case.hyper };
            #[cfg(not(feature = "server"))]
            let expected = case.hyper;
            let answer = if expected == 101 { raw.head().await.into_bytes() } else { raw.rest().await };
            let (over_hyper, head, over_hyper_body) = parse(&answer);
            if over_hyper != expected {
                wrong.push(format!("{:?} answers {over_hyper}, not {expected}: {shown}", server.door));
            }
            if over_hyper == status && status != 101 && !over_hyper_body.is_empty() && over_hyper_body != body {
                wrong.push(format!("{:?} says {over_hyper_body:?}, not {body:?}: {shown}", server.door));
            }
            if !matches!(over_hyper, 0 | 101) && !head.contains("\r\nconnection: ") {
                wrong.push(format!("{:?} does not say that it closes: {shown}", server.door));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

// HOSTILE: 44
/// The same for a response of the application's own; a request that follows in the same segment is not answered.
#[tokio::test]
async fn a_response_of_ones_own_closes_the_connection() {
    let server = Server::start(Door::Hyper).await;
    let mut raw = Raw::connect(server.address).await;
    let wire = BASE.replace("/echo", "/nothing") + "GET /second HTTP/1.1\r\nHost: h\r\n\r\n";
    raw.sends(wire).await;
    let (status, head, body) = parse(&raw.rest().await);
    assert_eq!((status, &*body), (404, "there is nothing here\n"));
    assert!(head.contains("\r\nconnection: close"), "{head}");
}

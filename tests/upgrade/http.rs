//! The door `http`: the same verdicts as over bytes, and heads that are what they are over bytes.

use core::time::Duration;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use bowsprit::handshake::{
    AcceptOptions, BuildError, ClientHandshake, ClientRequest, HeadError, OriginPolicy, RequestError, ResponseError,
    ServerHandshake, ServerRequest, UriError,
};
use bowsprit::{Config, HandshakeError, upgrade};
use bytes::BytesMut;

/// The request of RFC 6455 section 1.3, without what is optional; names in lower case, as `http` keeps them.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    host: server.example.com\r\n\
    upgrade: websocket\r\n\
    connection: Upgrade\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-version: 13\r\n\
    \r\n";

/// Its answer.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    upgrade: websocket\r\n\
    connection: Upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// The nonce behind the key of that request.
const NONCE: [u8; 16] = *b"the sample nonce";

/// Requests that break a rule, and such that keep them all.
#[test]
fn a_request_meets_the_same_verdict_as_over_bytes() {
    let mut refused = 0;
    for (line, instead) in [
        ("", ""),
        ("GET /chat HTTP/1.1", "GET /chat HTTP/1.0"),
        ("GET /chat HTTP/1.1", "POST /chat HTTP/1.1"),
        ("GET /chat HTTP/1.1", "GET http://other.example:81/a?b=c HTTP/1.1"),
        ("GET /chat HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("GET /chat HTTP/1.1", "CONNECT h:80 HTTP/1.1"),
        ("host: server.example.com\r\n", ""),
        ("host: server.example.com", "host: a\r\nhost: a"),
        ("host: server.example.com", "host: u@a"),
        ("upgrade: websocket\r\n", ""),
        ("upgrade: websocket", "upgrade: h2c, WebSocket"),
        ("upgrade: websocket", "upgrade: h2c"),
        ("connection: Upgrade\r\n", ""),
        ("connection: Upgrade", "connection: keep-alive\r\nconnection: foo, upgrade"),
        ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-key: AAAA"),
        ("sec-websocket-version: 13\r\n", ""),
        ("sec-websocket-version: 13", "sec-websocket-version: 8"),
        ("sec-websocket-version: 13", "sec-websocket-version: 013"),
        ("connection", "content-length: 1\r\nconnection"),
        ("connection", "transfer-encoding: chunked\r\nconnection"),
        ("connection", "expect: 100-continue\r\nconnection"),
        ("connection", "origin: http://a\r\norigin: http://b\r\nconnection"),
        ("connection", "origin: http://b\u{fc}cher\r\nconnection"),
        ("connection", "sec-websocket-protocol: a, b\r\nsec-websocket-protocol: c\r\nconnection"),
        ("connection", "sec-websocket-protocol: a/b\r\nconnection"),
        ("connection", "sec-websocket-extensions: x-a; b=\"c d\"\r\nconnection"),
        ("connection", "sec-websocket-extensions: x-a; b=\"c\"\r\nconnection"),
    ] {
        assert!(REQUEST.contains(line), "{line}");
        let wire = REQUEST.replacen(line, instead, 1);
        let config = Arc::new(Config::default());
        let received = upgrade::http::receive(&request(&wire), config.clone());
        let over_bytes = ServerHandshake::new(config, Duration::ZERO).receive(&mut BytesMut::from(&*wire));
        assert_eq!(received, over_bytes.map(|request| request.expect("the head is whole")), "{wire}");
        let Err(error) = received else { continue };
        refused += 1;
        let mut output = BytesMut::new();
        error.respond(&mut output);
        let refusal = upgrade::http::refuse(&error);
        let text = String::from_utf8(output.to_vec()).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert_eq!(refusal.body(), body);
        let mut expected = response(&format!("{head}\r\n\r\n"));
        expected.headers_mut().remove("content-length");
        assert_eq!((refusal.status(), refusal.headers()), (expected.status(), expected.headers()), "{wire}");
    }
    assert_eq!(refused, 20);
}

/// RFC 6455 section 4.2.2, step 5.
#[test]
fn accepting_gives_the_101() {
    let received = receive(REQUEST).expect("it keeps the rules");
    assert!(received.is_upgrade());
    assert_eq!((received.path(), received.host(), received.origin()), ("/chat", "server.example.com", None));
    let (accepted, agreed) = upgrade::http::accept(&received, &AcceptOptions::new()).expect("nothing is in its way");
    let expected = response(RESPONSE);
    assert_eq!((accepted.status(), accepted.headers()), (expected.status(), expected.headers()));
    assert_eq!(agreed.subprotocol(), None);

    let offering = REQUEST.replace("host:", "sec-websocket-protocol: superchat, chat\r\nhost:");
    let received = receive(&offering).expect("it keeps the rules");
    let name = received.select_subprotocol(&["soap", "chat"]).expect("it is offered");
    let choices = AcceptOptions::new()
        .subprotocol(name)
        .header("Set-Cookie", "a=1")
        .and_then(|it| it.header("Set-Cookie", "b=2"));
    let (accepted, agreed) = upgrade::http::accept(&received, &choices.expect("legal")).expect("nothing is in its way");
    assert_eq!(accepted.headers()["sec-websocket-protocol"], "chat");
    assert!(accepted.headers().get_all("set-cookie").iter().eq(["a=1", "b=2"]));
    assert_eq!(agreed.subprotocol(), Some("chat"));
    assert_eq!(
        upgrade::http::accept(&received, &AcceptOptions::new().subprotocol("soap")).map(drop),
        Err(BuildError::InvalidSubprotocol("soap".into()).into())
    );
}

#[test]
fn what_accept_refuses_has_its_status() {
    let plain = receive("GET / HTTP/1.1\r\nhost: h\r\n\r\n").expect("plain HTTP is no error");
    assert!(!plain.is_upgrade());
    let error = upgrade::http::accept(&plain, &AcceptOptions::new()).expect_err("it asks for nothing");
    let refusal = upgrade::http::refuse(&error);
    assert_eq!(refusal.status(), 426);
    for (name, value) in [("connection", "Upgrade, close"), ("upgrade", "websocket"), ("sec-websocket-version", "13")] {
        assert_eq!(refusal.headers()[name], value);
    }

    let page = |origin: &str| {
        let wire = REQUEST.replace("host:", &format!("origin: {origin}\r\nhost:"));
        receive(&wire).expect("it keeps the rules")
    };
    let listed = AcceptOptions::new().origin(OriginPolicy::allow(["https://app.example"]).expect("an origin"));
    for (origin, choices, allowed) in [
        ("https://server.example.com", &AcceptOptions::new(), true),
        ("https://server.example.com.evil", &AcceptOptions::new(), false),
        ("null", &AcceptOptions::new(), false),
        ("https://app.example", &listed, true),
        ("https://server.example.com", &listed, false),
    ] {
        let accepted = upgrade::http::accept(&page(origin), choices).map(|_| ());
        match accepted {
            Ok(()) => assert!(allowed, "{origin}"),
            Err(error) => {
                assert!(!allowed && matches!(error, HandshakeError::Origin(_)), "{origin}: {error:?}");
                assert_eq!(upgrade::http::refuse(&error).status(), 403);
            }
        }
    }
    // What only a client meets is no answer to anybody.
    let refusal = upgrade::http::refuse(&HandshakeError::Response(ResponseError::Accept));
    assert_eq!((refusal.status().as_u16(), refusal.body().as_str()), (500, ""));
}

/// RFC 8441 and RFC 9220 open a WebSocket in another way.
#[test]
fn other_versions_of_http_are_refused() {
    for version in [Version::HTTP_09, Version::HTTP_2, Version::HTTP_3] {
        let mut other = request(REQUEST);
        *other.version_mut() = version;
        let received = upgrade::http::receive(&other, Arc::default());
        assert_eq!(received, Err(HandshakeError::Request(RequestError::Head(HeadError::Version))), "{version:?}");

        let (handshake, _) = start(&ClientRequest::try_from("ws://h").expect("a URI"));
        let mut other = response(RESPONSE);
        *other.version_mut() = version;
        assert_eq!(
            handshake.receive(&other),
            Err(HandshakeError::Response(ResponseError::Head(HeadError::Version))),
            "{version:?}"
        );
    }
}

#[test]
fn a_client_sends_the_head_that_it_sends_over_bytes() {
    let asked = ClientRequest::new("wss://server.example.com:9001/chat?room=1".parse().expect("a URI"))
        .subprotocol("chat")
        .and_then(|request| request.subprotocol("superchat"))
        .and_then(|request| request.origin("https://app.example"))
        .and_then(|request| request.header("Authorization", "Bearer 0123"))
        .expect("all of it is legal");
    let (_, head) = start(&asked);
    let mut output = BytesMut::new();
    let _ = ClientHandshake::start(&asked, NONCE, Arc::default(), Duration::ZERO, &mut output);
    let expected = request(str::from_utf8(&output).expect("ASCII"));
    assert_eq!((head.method(), head.uri()), (expected.method(), expected.uri()));
    assert_eq!((head.version(), head.headers()), (Version::HTTP_11, expected.headers()));
    assert_eq!(head.uri(), "/chat?room=1");
    assert_eq!(head.headers()["host"], "server.example.com:9001");
    assert_eq!(head.headers()["sec-websocket-key"], "dGhlIHNhbXBsZSBub25jZQ==");
}

#[test]
fn what_is_too_long_for_http_is_an_error() {
    let long = format!("ws://h/{}", "a".repeat(64 << 10));
    let long = ClientRequest::try_from(&*long).expect("a URI");
    let started = upgrade::http::Handshake::start(&long, NONCE, Arc::default());
    assert_eq!(started.map(drop), Err(HandshakeError::Uri(UriError::Resource)));

    let name = "a".repeat(64 << 10);
    let received = receive(REQUEST).expect("it keeps the rules");
    let choices = AcceptOptions::new().header(&name, "").expect("a token");
    let accepted = upgrade::http::accept(&received, &choices).map(drop);
    assert_eq!(accepted, Err(BuildError::InvalidHeader(name).into()));
}

#[test]
fn a_response_meets_the_same_verdict_as_over_bytes() {
    let asked = ClientRequest::new("ws://server.example.com/chat".parse().expect("a URI"));
    let asked = asked.subprotocol("chat").expect("a token");
    let mut accepted = 0;
    for (line, instead) in [
        ("", ""),
        ("HTTP/1.1", "HTTP/1.0"),
        ("101 Switching Protocols", "200 OK"),
        ("101 Switching Protocols", "302 Found"),
        ("upgrade: websocket\r\n", ""),
        ("upgrade: websocket", "upgrade: WebSocket"),
        ("upgrade: websocket", "upgrade: h2c"),
        ("connection: Upgrade\r\n", ""),
        ("connection: Upgrade", "connection: close"),
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "AAAA"),
        ("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""),
        ("connection", "sec-websocket-protocol: chat\r\nconnection"),
        ("connection", "sec-websocket-protocol: soap\r\nconnection"),
        ("connection", "sec-websocket-extensions: x-a\r\nconnection"),
        ("connection", "set-cookie: a=1\r\nset-cookie: b=2\r\nconnection"),
    ] {
        assert!(RESPONSE.contains(line), "{line}");
        let wire = RESPONSE.replacen(line, instead, 1);
        let received = start(&asked).0.receive(&response(&wire));
        let mut over_bytes =
            ClientHandshake::start(&asked, NONCE, Arc::default(), Duration::ZERO, &mut BytesMut::new());
        let over_bytes = over_bytes.receive(&mut BytesMut::from(&*wire));
        assert_eq!(received, over_bytes.map(|response| response.expect("the head is whole")), "{wire}");
        accepted += usize::from(received.is_ok());
    }
    assert_eq!(accepted, 4);
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_agreed_on() {
    let config = Arc::new(Config { compression: Some(bowsprit::Deflate::default()), ..Config::default() });
    let asked = ClientRequest::try_from("ws://h").expect("a URI");
    let (handshake, request) = upgrade::http::Handshake::start(&asked, NONCE, config.clone()).expect("it is short");
    let received = upgrade::http::receive(&request, config).expect("it keeps the rules");
    let (response, accepted) = upgrade::http::accept(&received, &AcceptOptions::new()).expect("nothing is in its way");
    let answer = response.headers()["sec-websocket-extensions"].to_str().expect("ASCII");
    assert!(answer.starts_with("permessage-deflate"), "{answer}");
    let checked = handshake.receive(&response).expect("it keeps the rules");
    assert!(checked.extensions().deflate().is_some() && accepted.extensions().deflate().is_some());

    // And not by a side that does not want it.
    let received = upgrade::http::receive(&request, Arc::default()).expect("it keeps the rules");
    let (response, _) = upgrade::http::accept(&received, &AcceptOptions::new()).expect("nothing is in its way");
    assert!(!response.headers().contains_key("sec-websocket-extensions"));
}

fn receive(wire: &str) -> Result<ServerRequest, HandshakeError> {
    let (parts, ()) = request(wire).into_parts();
    upgrade::http::receive_parts(&parts, Arc::default())
}

fn start(request: &ClientRequest) -> (upgrade::http::Handshake, Request<()>) {
    upgrade::http::Handshake::start(request, NONCE, Arc::default()).expect("it is short")
}

/// A request as a server of HTTP would give it.
fn request(wire: &str) -> Request<()> {
    let (first, headers) = parse(wire);
    let mut words = first.split(' ');
    let mut next = || words.next().expect("three words");
    let mut request = Request::new(());
    *request.method_mut() = next().parse().expect("a method");
    *request.uri_mut() = next().parse().expect("a target");
    *request.version_mut() = version(next());
    *request.headers_mut() = headers;
    request
}

fn response(wire: &str) -> Response<()> {
    let (first, headers) = parse(wire);
    let mut words = first.split(' ');
    let mut response = Response::new(());
    *response.version_mut() = version(words.next().expect("a version"));
    *response.status_mut() = words.next().expect("a status").parse().expect("a status");
    *response.headers_mut() = headers;
    response
}

fn parse(wire: &str) -> (&str, HeaderMap) {
    let (first, lines) = wire.strip_suffix("\r\n\r\n").expect("a head").split_once("\r\n").expect("with fields");
    let mut headers = HeaderMap::new();
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(": ").expect("name: value");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a token");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    (first, headers)
}

fn version(name: &str) -> Version {
    match name {
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/1.0" => Version::HTTP_10,
        other => panic!("{other}"),
    }
}

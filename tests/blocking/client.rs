//! The client's opening handshake: dialling, what is sent, what is refused.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bowsprit::blocking::{Connector, Plain, connect, connect_with};
use bowsprit::handshake::{ClientRequest, key};
use bowsprit::{Config, Error, HandshakeError, Message};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{head, join, kind, millis, rest, tcp, text, within};

/// A server that takes one connection: its address, and what becomes of the connection.
fn listen<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (std::net::SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// The head that agrees to this request.
fn agree(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = key::accept(key.as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
}

#[test]
fn connects_by_name_and_speaks() {
    within(|| {
        // A listener of one family: the name may have an address of the other before it.
        let (address, server) = listen(|stream| {
            let mut ws = bowsprit::blocking::accept(stream).unwrap();
            assert!(ws.get_ref().nodelay().unwrap(), "the server leaves Nagle's algorithm on");
            assert_eq!(text(ws.recv().unwrap()), "hello");
            ws.send("you too").unwrap();
            assert!(ws.recv().unwrap().is_none());
        });
        let mut ws = connect(&format!("ws://localhost:{}/chat?room=1", address.port())).unwrap();
        assert!(ws.get_ref().tcp().expect("TCP").nodelay().unwrap(), "the client leaves Nagle's algorithm on");
        assert_eq!(ws.subprotocol(), None);
        ws.send("hello").unwrap();
        assert_eq!(text(ws.recv().unwrap()), "you too");
        assert!(ws.close(None).unwrap().clean);
        join(server);
    });
}

#[test]
fn connects_to_an_address_of_version_6() {
    within(|| {
        // Not every system has one.
        let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
        let uri = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let request = head(&mut stream);
            stream.write_all(format!("{}\r\n", agree(&request)).as_bytes()).unwrap();
            rest(&mut stream);
        });
        drop(connect(&uri).unwrap());
        join(server);
    });
}

#[cfg(not(feature = "rustls"))]
#[test]
fn without_tls_a_secure_address_is_refused_before_any_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("wss://{}/", listener.local_addr().unwrap());
    assert!(matches!(connect(&uri), Err(Error::Handshake(HandshakeError::TlsUnavailable))));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody dialled");
}

#[test]
fn a_secure_address_over_a_stream_of_the_callers_is_in_order() {
    let refused = connect_with(Plain(Script::sends([b"HTTP/1.1 404 Not Found\r\n\r\n"])), "wss://example.com/");
    assert!(matches!(refused, Err(Error::Handshake(HandshakeError::Refused(_)))));
}

#[test]
fn the_caller_may_do_as_he_likes_with_the_tcp_connection_before_anything_is_sent() {
    within(|| {
        let (address, server) = listen(|mut stream| rest(&mut stream));
        let request = ClientRequest::new(format!("ws://{address}/").parse().unwrap());
        let connector = Connector::new(request).tcp(move |tcp| {
            assert!(tcp.nodelay()?, "it is on by default");
            assert_eq!(tcp.peer_addr()?, address);
            Err(ErrorKind::QuotaExceeded.into())
        });
        assert_eq!(kind(&connector.connect().unwrap_err()), ErrorKind::QuotaExceeded);
        assert_eq!(join(server), b"");
    });
}

#[test]
fn an_address_that_is_none_or_leads_nowhere_is_an_error() {
    assert!(matches!(connect("http://localhost/"), Err(Error::Handshake(HandshakeError::Uri(_)))));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    assert_eq!(kind(&refused), ErrorKind::ConnectionRefused);
}

#[test]
fn sends_what_the_request_says_and_returns_the_answer() {
    within(|| {
        let (address, server) = listen(|mut stream| {
            let request = head(&mut stream);
            let answer = format!("{}Sec-WebSocket-Protocol: b\r\nServer: test\r\n\r\n", agree(&request));
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        let request = ClientRequest::new(format!("ws://{address}/p?q").parse().unwrap())
            .subprotocol("a")
            .unwrap()
            .subprotocol("b")
            .unwrap()
            .origin("http://example.com")
            .unwrap()
            .header("Authorization", "Bearer 0123")
            .unwrap();
        let (ws, response) = Connector::new(request).connect().unwrap();
        assert_eq!((ws.subprotocol(), response.subprotocol()), (Some("b"), Some("b")));
        assert_eq!((response.status(), response.headers().get("Server")), (101, Some("test")));
        let sent = join(server);
        assert!(sent.starts_with("GET /p?q HTTP/1.1\r\n"));
        for line in [
            &format!("Host: {address}"),
            "Sec-WebSocket-Protocol: a, b",
            "Origin: http://example.com",
            "Authorization: Bearer 0123",
        ] {
            assert!(sent.lines().any(|sent| sent == line), "{line} is missing from {sent}");
        }
    });
}

#[test]
fn frames_behind_the_answer_arrive() {
    within(|| {
        let (mut peer, stream) = tcp();
        let server = thread::spawn(move || {
            let mut answer = format!("{}\r\n", agree(&head(&mut peer))).into_bytes();
            answer.extend(hex!("8101 61 8102 62"));
            peer.write_all(&answer).unwrap();
            peer.write_all(b"c").unwrap();
            peer
        });
        let request = ClientRequest::new("ws://example.com/".parse().unwrap());
        let (mut ws, _) = Connector::new(request).connect_on(stream).unwrap();
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("a"), _))));
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("bc"), _))));
        drop(join(server));
    });
}

/// The answer of a server that refuses, as the error holds it.
fn refusal(answer: Vec<u8>) -> Box<bowsprit::handshake::ClientResponse> {
    within(move || {
        let (address, server) = listen(move |mut stream| {
            head(&mut stream);
            // The client may have heard enough before the end.
            let _ = stream.write_all(&answer);
        });
        let refused = connect(&format!("ws://{address}/"));
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refused else { panic!("{refused:?}") };
        join(server);
        response
    })
}

#[test]
fn a_refusal_gives_status_fields_and_body() {
    let answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nsorry and more";
    let response = refusal(answer.to_vec());
    assert_eq!((response.status(), response.headers().get("WWW-Authenticate")), (401, Some("Basic")));
    assert_eq!(response.body(), b"sorry");
    let response = refusal(b"HTTP/1.1 503 Busy\r\n\r\nuntil the end".to_vec());
    assert_eq!((response.status(), response.body()), (503, &b"until the end"[..]));
    let chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(refusal(chunked.to_vec()).body(), b"abcde");
    // The end comes before the body is whole.
    let cut = b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nab".to_vec();
    assert_eq!(refusal(cut).body(), b"ab");
}

#[test]
fn the_body_of_a_refusal_is_bounded() {
    let mut answer = b"HTTP/1.1 500 Oops\r\n\r\n".to_vec();
    answer.resize(1 << 20, b'x');
    let body = refusal(answer);
    assert_eq!(body.body().len(), 64 << 10);
}

#[test]
fn a_silent_server_is_given_up() {
    within(|| {
        let (mut peer, stream) = tcp();
        let config = Config { handshake_timeout: millis(50), ..Config::default() };
        let request = ClientRequest::new("ws://example.com/".parse().unwrap());
        let silent = Connector::new(request).config(config).connect_on(stream);
        assert!(matches!(silent, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))));
        assert!(rest(&mut peer).starts_with(b"GET / HTTP/1.1\r\n"));
    });
}

#[test]
fn an_address_that_never_answers_is_given_up() {
    within(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody accepts, and there is no room to wait in.
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            waiting.push(stream);
        }
        let config = Config { handshake_timeout: millis(50), ..Config::default() };
        let request = ClientRequest::new(format!("ws://{address}/").parse().unwrap());
        let error = Connector::new(request).config(config).connect().unwrap_err();
        assert!(matches!(error, Error::Timeout(bowsprit::Timeout::Handshake, _)), "{error:?}");
    });
}

#[test]
fn a_server_that_dribbles_is_given_up() {
    within(|| {
        let (mut peer, stream) = tcp();
        let server = thread::spawn(move || {
            // Until the client is gone; a field that never ends.
            let mut sent = peer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ");
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(5));
                sent = peer.write_all(b"x");
            }
        });
        let config = Config { handshake_timeout: millis(60), ..Config::default() };
        let request = ClientRequest::new("ws://example.com/".parse().unwrap());
        let slow = Connector::new(request).config(config).connect_on(stream);
        assert!(matches!(slow, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))));
        join(server);
    });
}

#[test]
fn a_stream_that_ends_early_is_an_error_of_the_stream() {
    for answer in [&b""[..], b"HTTP/1.1 101 Switch"] {
        let ended = connect_with(Plain(Script::sends([answer])), "ws://example.com/");
        assert_eq!(kind(&ended.unwrap_err()), ErrorKind::UnexpectedEof);
    }
}

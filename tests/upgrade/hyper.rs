//! The door `hyper`: its client, and what a server is told when the connection does not come.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::hyper::client::conn::http1::{SendRequest, handshake};
use ::hyper::server::conn::http1;
use ::hyper::service::service_fn;
use bowsprit::handshake::{AcceptOptions, BuildError, ClientRequest, ClientResponse, ResponseError, key};
use bowsprit::upgrade::hyper::{Socket, connect, receive};
use bowsprit::{CloseCode, Config, Error, HandshakeError, Message, Messages, upgrade};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Raw, Wrapped, compressing, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_sizes_go_through_a_client() {
    for raw in [true, false] {
        for config in [Config::default(), compressing()] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            let address = listener.local_addr().expect("it is bound");
            let server = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("a connection");
                let config = Arc::new(compressing());
                let mut ws = bowsprit::tokio::accept_with(stream, &AcceptOptions::new(), Messages, config).await?;
                while let Some((message, out)) = ws.next().await? {
                    out.feed(message).await?;
                }
                Ok::<_, Error>(ws.end().expect("it has ended"))
            });
            let (mut ws, response) = open(&mut dial(address, raw).await, config.clone()).await.expect("it opens");
            assert_eq!((response.status(), ws.get_ref().tcp().is_some()), (101, raw));
            #[cfg(feature = "deflate")]
            assert_eq!(response.extensions().deflate().is_some(), config.compression.is_some());
            for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
                let text = "é".repeat(len / 2);
                within(ws.send(&*text)).await.expect("it is open");
                let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
                assert_eq!(message, Message::Text(&text));
                within(ws.send(text.as_bytes())).await.expect("it is open");
                let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
                assert_eq!(message, Message::Binary(text.as_bytes()));
            }
            let end = within(ws.close(Some(CloseCode::from(4000).into()))).await.expect("it is legal");
            assert!(end.clean && end.code() == CloseCode::from(4000), "{end:?}");
            let end = server.await.expect("it does not panic").expect("it ends well");
            assert_eq!((end.received, end.clean), (Some(CloseCode::from(4000)), true));
        }
    }
}

// HOSTILE: 32
/// A server whose first frames stand in the segment of its head.
#[tokio::test]
async fn frames_in_the_segment_of_the_head_arrive() {
    for raw in [true, false] {
        let (mut sender, mut peer) = to_a_script(raw).await;
        let (opened, ()) = tokio::join!(open(&mut sender, Config::default()), async {
            let head = peer.head().await;
            assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
            let lines =
                ["host: server.example.com", "upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13"];
            for line in lines {
                assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
            }
            peer.sends([agreeing(&head).as_bytes(), b"\r\n\x01\x02Hi\x80\x03 yo"].concat()).await;
        });
        let (mut ws, _) = opened.expect("it opens");
        let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
        assert_eq!(message, Message::Text("Hi yo"));
        drop(ws);
    }
}

#[tokio::test]
async fn a_refusal_is_handed_out_with_its_body() {
    for (head, body) in [
        ("HTTP/1.1 403 Forbidden\r\nX-Reason: age\r\nContent-Length: 3\r\n\r\n", "no\n"),
        ("HTTP/1.1 403 Forbidden\r\nX-Reason: age\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nno\n\r\n0\r\n\r\n"),
    ] {
        let (mut sender, mut peer) = to_a_script(true).await;
        let (opened, ()) = tokio::join!(open(&mut sender, Config::default()), async {
            peer.head().await;
            peer.sends(head).await;
            peer.sends(body).await;
        });
        let Err(Error::Handshake(HandshakeError::Refused(refusal))) = opened else { panic!("{opened:?}") };
        assert_eq!((refusal.status(), refusal.headers().get("x-reason")), (403, Some("age")));
        assert_eq!(refusal.body(), b"no\n");
    }
}

/// A body that stalls: what is missing of it is left out, and why the server refused is known.
#[tokio::test]
async fn the_body_of_a_refusal_is_not_waited_for() {
    let (mut sender, mut peer) = to_a_script(true).await;
    let config = Config { handshake_timeout: Some(Duration::from_millis(300)), ..Config::default() };
    let (opened, ()) = tokio::join!(open(&mut sender, config), async {
        peer.head().await;
        peer.sends("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno").await;
    });
    let Err(Error::Handshake(HandshakeError::Refused(refusal))) = opened else { panic!("{opened:?}") };
    assert_eq!((refusal.status(), refusal.body()), (403, &b"no"[..]));
}

/// A body without end: no more than 64 KiB of it are kept.
#[tokio::test]
async fn the_body_of_a_refusal_is_bounded() {
    let (mut sender, mut peer) = to_a_script(true).await;
    let flood = tokio::spawn(async move {
        peer.head().await;
        peer.sends("HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        while tokio::io::AsyncWriteExt::write_all(&mut peer.0, &[b'x'; 4 << 10]).await.is_ok() {}
    });
    let opened = open(&mut sender, Config::default()).await;
    let Err(Error::Handshake(HandshakeError::Refused(refusal))) = opened else { panic!("{opened:?}") };
    assert_eq!((refusal.status(), refusal.body().len()), (503, 64 << 10));
    drop(sender);
    within(flood).await.expect("hyper closes the connection");
}

#[tokio::test]
async fn a_response_that_breaks_a_rule_ends_the_connection() {
    for (line, instead, error) in [
        ("upgrade: websocket", "upgrade: h2c", HandshakeError::Response(ResponseError::Upgrade)),
        ("sec-websocket-accept: ", "sec-websocket-accept: A", HandshakeError::Response(ResponseError::Accept)),
        ("upgrade:", "sec-websocket-protocol: chat\r\nupgrade:", HandshakeError::Response(ResponseError::Subprotocol)),
        ("upgrade:", "sec-websocket-extensions: x-a\r\nupgrade:", HandshakeError::Response(ResponseError::Extensions)),
    ] {
        let (mut sender, mut peer) = to_a_script(true).await;
        let (opened, ()) = tokio::join!(open(&mut sender, Config::default()), async {
            let answer = agreeing(&peer.head().await) + "\r\n";
            assert!(answer.contains(line), "{answer}");
            peer.sends(answer.replacen(line, instead, 1)).await;
        });
        assert!(matches!(&opened, Err(Error::Handshake(met)) if *met == error), "{opened:?}");
        assert_eq!(peer.rest().await, b"", "not one frame went out");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let (mut sender, _peer) = to_a_script(true).await;
    let config = Config { handshake_timeout: Some(Duration::from_millis(50)), ..Config::default() };
    let opened = open(&mut sender, config).await;
    assert!(matches!(opened, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))), "{opened:?}");
}

/// A connection of hyper that is not served `with_upgrades()`.
#[tokio::test]
async fn a_connection_that_hyper_keeps_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    let (sender, mut failed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service_fn(move |mut request| {
            let incoming = receive(&mut request, Arc::default()).expect("it keeps the rules");
            let (response, opening) = incoming.accept(&AcceptOptions::new(), Messages).expect("nothing is in its way");
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(opening.open().await) });
            async { Ok::<_, Infallible>(response) }
        });
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    });
    let stream = TcpStream::connect(address).await.expect("loopback");
    let mut ws =
        within(bowsprit::tokio::connect_with(stream, "ws://server.example.com/")).await.expect("the 101 comes");
    assert!(within(ws.next()).await.is_err(), "and nothing behind it");
    let opened = within(failed.recv()).await.expect("it is told");
    assert!(matches!(opened, Err(Error::Io(_))), "{opened:?}");
}

/// A request that hyper has not received.
#[test]
fn a_request_without_a_connection_is_not_accepted() {
    let asked = ClientRequest::try_from("ws://server.example.com/").expect("a URI");
    let (_, mut request) = upgrade::http::Handshake::start(&asked, [0; 16], Arc::default()).expect("it is short");
    let incoming = receive(&mut request, Arc::default()).expect("it keeps the rules");
    let error = incoming.accept(&AcceptOptions::new(), Messages).map(drop).expect_err("there is nothing to take over");
    assert_eq!((&error, upgrade::http::refuse(&error).status().as_u16()), (&BuildError::NotUpgradable.into(), 500));
}

// HOSTILE: 31
/// An idle connection pays a word at most for what its socket might have been.
#[test]
fn a_socket_is_hardly_larger_than_tcp() {
    assert!(size_of::<Socket>() <= size_of::<TcpStream>() + size_of::<usize>());
}

/// A connection of hyper's client, over the socket itself or over what hides it.
async fn dial(address: SocketAddr, raw: bool) -> SendRequest<String> {
    let stream = TcpStream::connect(address).await.expect("loopback");
    if raw {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection.with_upgrades());
        sender
    } else {
        let (sender, connection) = handshake(TokioIo::new(Wrapped(stream))).await.expect("a connection");
        tokio::spawn(connection.with_upgrades());
        sender
    }
}

async fn open(
    sender: &mut SendRequest<String>,
    config: Config,
) -> Result<(bowsprit::tokio::WebSocket<Socket>, ClientResponse), Error> {
    let request = ClientRequest::try_from("ws://server.example.com/chat?room=1").expect("a URI");
    within(connect(sender, &request, Messages, Arc::new(config))).await
}

/// A client's connection to a peer that speaks in wire bytes.
async fn to_a_script(raw: bool) -> (SendRequest<String>, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    let (sender, accepted) = tokio::join!(dial(address, raw), listener.accept());
    (sender, Raw(accepted.expect("a connection").0))
}

/// The 101 that answers this request, but for the empty line.
fn agreeing(head: &str) -> String {
    let key = head.split("\r\nsec-websocket-key: ").nth(1).and_then(|rest| rest.split('\r').next()).expect("a key");
    let accept = key::accept(key.as_bytes());
    let accept = str::from_utf8(&accept).expect("ASCII");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n"
    )
}

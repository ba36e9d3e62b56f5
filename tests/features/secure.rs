//! The same inside TLS.

#[path = "../tls/authority.rs"]
mod authority;

use std::time::Duration;

use authority::Authority;
use bowsprit::handshake::ClientRequest;
use bowsprit::server::{Listener, Router};
use bowsprit::tokio::Connector;
use bowsprit::{Config, Error, HandshakeError};
use tokio::net::TcpListener;

use crate::support::{Raw, Server, close, log, noting, opening, request, within};

#[tokio::test]
async fn ws_and_wss_lead_to_the_same_server() {
    // FEATURE: FF5, HX5
    for (uri, valid) in [("ws://a/b?c", true), ("wss://a/b?c", true), ("ws://a/b#c", false), ("wss://a/#", false)] {
        assert_eq!(ClientRequest::try_from(uri).is_ok(), valid, "{uri}");
    }
    assert!(matches!(
        within(bowsprit::tokio::connect("ws://127.0.0.1:1/#fragment")).await,
        Err(Error::Handshake(HandshakeError::Uri(_)))
    ));

    let (log, mut lines) = log();
    let (ours, other) = (Authority::new(), Authority::new());
    let router = Router::new().route("/", noting(&log, |message| Some(message.to_owned())));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start_on(Listener::from(tcp).tls(ours.server(&["localhost"])), router);
    let uri = format!("wss://localhost:{}/", server.address.port());
    // Without its root, and with another one: refused, and nothing of WebSocket was sent.
    for connector in [Connector::new(request(&uri)), Connector::new(request(&uri)).tls(other.client())] {
        let refused = within(connector.connect()).await;
        assert!(matches!(refused, Err(Error::Handshake(HandshakeError::Tls(_)))), "{refused:?}");
    }
    let connector = Connector::new(request(&uri)).tls(ours.client());
    let (mut ws, _) = within(connector.connect()).await.unwrap();
    assert_eq!(lines.next().await, "open", "the first that opened");
    for text in ["hello", &"long ".repeat(100_000)] {
        within(ws.send(text)).await.unwrap();
        assert_eq!(within(ws.recv()).await.unwrap(), Some(text.into()));
        assert_eq!(lines.next().await, format!("text {text}"));
    }
    close(ws).await;
    assert_eq!(lines.next().await, "close 1000 \"\" clean");
    // Who speaks no TLS gets no answer in HTTP, and disturbs nobody.
    let mut plain = Raw::connect(server.address).await;
    plain.sends(opening("/", "")).await;
    assert!(!plain.rest().await.starts_with(b"HTTP"));
    close(within(connector.connect()).await.unwrap().0).await;
    server.end().await;
}

#[tokio::test]
async fn who_takes_too_long_to_greet_is_dropped() {
    // FEATURE: HX12
    let authority = Authority::new();
    let config = Config { handshake_timeout: Some(Duration::from_millis(200)), ..Config::default() };
    let (log, lines) = log();
    let router = Router::new().route("/", noting(&log, |_| None)).config(config);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start_on(Listener::from(tcp).tls(authority.server(&["localhost"])), router);
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut peer = Raw::connect(server.address).await;
        peer.sends(begun).await;
        assert_eq!(peer.rest().await, b"");
    }
    drop(log);
    server.end().await;
    assert!(lines.rest().await.is_empty());
}

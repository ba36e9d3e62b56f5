//! What permessage-deflate adds.

use std::sync::Arc;

use bowsprit::server::{Published, Router, Topics, WebSocket, websocket};
use bowsprit::tokio::{Connector, WhenFull};
use bowsprit::{Config, Deflate, Prepared};
use hex_literal::hex;

use crate::extensions::xor::Xor;
use crate::slow::handed_out;
use crate::support::{Raw, Server, close, log, masked, noting, opening, request, server_of, within};
use crate::topics::members;

#[tokio::test]
async fn permessage_deflate_is_agreed_on_and_used() {
    // FEATURE: FF3
    let (log, mut lines) = log();
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let server = server_of(noting(&log, |message| Some(message.to_owned())).config(config.clone())).await;
    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n")).await;
    let head = peer.head().await;
    assert!(head.contains("\r\nsec-websocket-extensions: permessage-deflate"), "{head}");
    peer.sends(hex!("c187 00000000 f248cdc9c90700")).await; // RFC 7692 section 7.2.3.1: "Hello"
    assert_eq!(lines.next().await, "open");
    assert_eq!(lines.next().await, "text Hello");
    let (first, _) = peer.frame().await;
    assert_eq!(first & 0x8f, 0x81);
    peer.sends(masked(0x81, "a".repeat(1_000))).await;
    let (first, payload) = peer.frame().await;
    assert_eq!(first, 0xc1, "RSV1");
    assert!(payload.len() < 50);

    let connector = Connector::new(request(&server.uri("/"))).config(config);
    let (mut ws, response) = within(connector.connect()).await.unwrap();
    assert_eq!(response.extensions().names().collect::<Vec<_>>(), ["permessage-deflate"]);
    let text = "Größe und Stärke ".repeat(1_000);
    within(ws.send(&*text)).await.unwrap();
    assert_eq!(within(ws.recv()).await.unwrap(), Some(text.into()));
    close(ws).await;
}

#[tokio::test]
async fn extensions_and_subprotocol_are_selected_and_known() {
    // FEATURE: FF7
    async fn tells(mut ws: WebSocket) -> Result<(), bowsprit::Error> {
        let session = ws.session();
        let names: Vec<_> = session.extensions().names().collect();
        let text = format!("{names:?} {:?}", session.subprotocol());
        ws.send(&*text).await
    }
    let config =
        Config { compression: Some(Deflate::default()), extensions: vec![Arc::new(Xor(7))], ..Config::default() };
    let chosen = websocket(tells).config(config.clone()).accept(async |request, accept| {
        let accept = match request.head().select_subprotocol(&["v2", "v1"]) {
            Some(name) => accept.subprotocol(name),
            None => accept,
        };
        Ok(accept.extensions(|request, offer| request.query().is_some_and(|query| query.contains(offer.name))))
    });
    let server = Server::start(Router::new().route("/", chosen)).await;
    for (path, names) in [
        ("/?permessage-deflate+x-xor", r#"["permessage-deflate", "x-xor"]"#),
        ("/?x-xor", r#"["x-xor"]"#),
        ("/?permessage-deflate", r#"["permessage-deflate"]"#),
        ("/?none", "[]"),
        ("/", "[]"),
    ] {
        let asked = request(&server.uri(path)).subprotocol("v1").unwrap();
        let (mut ws, response) = within(Connector::new(asked).config(config.clone()).connect()).await.unwrap();
        assert_eq!(response.headers().contains("Sec-WebSocket-Extensions"), names != "[]", "{path}");
        assert_eq!(within(ws.recv()).await.unwrap(), Some(format!("{names} Some(\"v1\")").into()), "{path}");
    }
}

#[tokio::test]
async fn a_compressed_message_that_fills_the_output_does_not_stop_the_next_one() {
    let (endpoint, mut sessions) = handed_out(1 << 20, WhenFull::Wait);
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let server = server_of(endpoint.config(config.clone())).await;
    let connector = Connector::new(request(&server.uri("/"))).config(config);
    let (mut ws, _) = within(connector.connect()).await.unwrap();
    let session = within(sessions.recv()).await.unwrap();
    // Deflate makes nothing shorter of this.
    let noise = |len: u32| {
        let mut state = 1_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..len).map(next).collect::<Vec<u8>>()
    };
    for len in [1, 200_000, 2, 100_000, 3] {
        within(session.send(noise(len))).await.unwrap();
        assert_eq!(within(ws.recv()).await.unwrap(), Some(noise(len).into()));
    }
}

#[tokio::test]
async fn a_publication_is_compressed_once_for_all_who_agreed_on_the_same() {
    let topics = Topics::new();
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let server = server_of(members(&topics).config(config)).await;
    let mut open = Vec::new();
    for window in [Some(15), Some(9), None].repeat(10) {
        let mut peer = Raw::connect(server.address).await;
        let offer = |bits| format!("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={bits}\r\n");
        peer.sends(opening("/", &window.map(offer).unwrap_or_default())).await;
        assert!(peer.head().await.contains("permessage-deflate") == window.is_some());
        peer.expect(b"\x81\x06joined").await;
        open.push((window, peer));
    }
    let text = "to all ".repeat(100);
    let news = Prepared::text(&text).deflated(6);
    assert_eq!(within(topics.publish_prepared("all", &news)).await, Published { queued: 30, refused: 0 });
    assert_eq!(within(topics.publish("all", text.as_str())).await, Published { queued: 30, refused: 0 });
    for (window, peer) in &mut open {
        let (first, payload) = peer.frame().await;
        match window {
            Some(_) => assert!(first == 0xc1 && payload.len() < 60),
            None => assert!(first == 0x81 && payload == text.as_bytes()),
        }
        assert_eq!(peer.frame().await.0, first);
    }
    assert_eq!(news.encodings(), 3);
}

/// The level and the threshold of topics: what is short goes plain.
#[tokio::test]
async fn what_a_topic_publishes_is_compressed_from_its_threshold_on() {
    let topics = Topics::new().compression(Deflate { threshold: 100, ..Deflate::default() });
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let (endpoint, mut sessions) = handed_out(1 << 20, WhenFull::Wait);
    let server = server_of(endpoint.config(config)).await;
    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n")).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    let session = within(sessions.recv()).await.unwrap();
    let _subscription = within(topics.subscribe("all", &session)).await.unwrap();
    for (len, first) in [(99, 0x81), (100, 0xc1)] {
        let published = within(topics.publish("all", "a".repeat(len))).await;
        assert_eq!(published, Published { queued: 1, refused: 0 });
        assert_eq!(peer.frame().await.0, first, "{len}");
    }
    drop(peer);
    server.end().await;
}

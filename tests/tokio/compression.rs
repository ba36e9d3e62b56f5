//! The verbs of compression: messages that go plain, broadcasts, memory that is given back, and what was agreed on.

use std::collections::VecDeque;
use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::tokio::{Parts, WebSocket};
use bowsprit::{Config, Connection, Deflate, Event, Message, Messages, OwnedMessage, Prepared};
use bytes::BytesMut;
use hex_literal::hex;

use crate::support::{Script, Stream, client, pattern, unmasked};

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// "Hello", twice: compressed from an empty window, and from one that holds it (RFC 7692 section 7.2.3).
const FIRST: [u8; 9] = hex!("c107 f248cdc9c90700");
const SECOND: [u8; 7] = hex!("c105 f200110000");
const PLAIN: [u8; 7] = hex!("8105 48656c6c6f");

fn server(socket: Stream) -> WebSocket<Stream> {
    server_with(socket, AGREED)
}

fn server_with(socket: Stream, agreed: Agreed) -> WebSocket<Stream> {
    let compression = Some(Deflate { threshold: 0, ..Deflate::default() });
    let config = Arc::new(Config { compression, ..Config::default() });
    let connection = Connection::server(Messages, config).with_extensions(&agreed.into());
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

#[tokio::test]
async fn a_plain_message_is_not_compressed_and_leaves_the_window() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let large = pattern(10_000);
    ws.send("Hello").await.unwrap();
    ws.send(bowsprit::Outgoing::from("Hello").uncompressed()).await.unwrap();
    ws.feed(bowsprit::Outgoing::from(&large[..]).uncompressed()).await.unwrap();
    ws.send("Hello").await.unwrap();
    let large = unmasked(&large);
    assert_eq!(stream.written(), [&FIRST[..], &PLAIN, &large, &SECOND].concat());
    let (_reader, mut writer) = ws.split();
    writer.feed(bowsprit::Outgoing::from("Hello").uncompressed()).await.unwrap();
    writer.send(bowsprit::Outgoing::from("Hello").uncompressed()).await.unwrap();
    assert_eq!(stream.written(), [&FIRST[..], &PLAIN, &large, &SECOND, &PLAIN, &PLAIN].concat());
}

#[tokio::test]
async fn a_broadcast_is_compressed_once_for_each_window() {
    let text = "one two three four five six seven eight nine ten ".repeat(1_000);
    let news = Prepared::text(&text).deflated(6);
    let mut sent = Vec::new();
    for server_max_window_bits in [15, 9, 12, 9, 15, 12] {
        let agreed = Agreed { server_max_window_bits, ..AGREED };
        // The socket takes some of the frame, and all of it only later.
        let stream = Stream::new(Script { takes: VecDeque::from([12]), silent: true, ..Script::default() });
        let mut ws = server_with(stream.clone(), agreed);
        ws.feed("Hello").await.unwrap();
        ws.send(&news).await.unwrap();
        ws.send("Hello").await.unwrap();
        let wire = stream.written();
        // What is behind it starts from an empty window.
        let frame = wire.strip_prefix(&FIRST).and_then(|rest| rest.strip_suffix(&FIRST)).expect("Hello, twice");
        assert!(frame[0] == 0xc1 && frame.len() < text.len() / 10, "{} bytes", frame.len());
        sent.push(frame.to_vec());

        let mut receiver = Connection::client(Messages, Arc::default(), [7; 32]).with_extensions(&agreed.into());
        let (mut input, mut output) = (BytesMut::from(&wire[..]), BytesMut::new());
        let mut batch = receiver.receive(&mut input, &mut output);
        for expected in ["Hello", &text, "Hello"] {
            assert!(matches!(batch.next(), Ok(Some((Event::Data(Message::Text(text)), _))) if text == expected));
        }
    }
    assert_eq!(sent[..3], [&sent[4..5], &sent[3..4], &sent[5..]].concat());
    assert_eq!(news.encodings(), 4);
}

#[tokio::test]
async fn after_a_release_compression_starts_from_an_empty_window() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.send("Hello").await.unwrap();
    ws.release_compression();
    ws.send("Hello").await.unwrap();
    ws.send("Hello").await.unwrap();
    let (_reader, mut writer) = ws.split();
    writer.release_compression();
    writer.send("Hello").await.unwrap();
    assert_eq!(stream.written(), [&FIRST[..], &FIRST, &SECOND, &FIRST].concat());
}

/// The peer does not know of it, and goes on to refer to what it sent before.
#[tokio::test]
async fn after_a_release_what_is_received_still_has_its_window() {
    let (first, again) = (hex!("c187 00000000 f248cdc9c90700"), hex!("c185 00000000 f200110000"));
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let hello = OwnedMessage::Text("Hello".into());
    stream.arrive(&first);
    assert_eq!(ws.recv().await.unwrap().unwrap(), hello);
    ws.release_compression();
    stream.arrive(&again);
    assert_eq!(ws.recv().await.unwrap().unwrap(), hello);
    let (mut reader, _writer) = ws.split();
    reader.release_compression();
    stream.arrive(&again);
    assert_eq!(reader.recv().await.unwrap().unwrap(), hello);
}

#[tokio::test]
async fn a_connection_tells_what_was_agreed_on() {
    let ws = server(Stream::silent());
    assert_eq!(ws.extensions().deflate(), Some(AGREED));
    let (reader, _writer) = ws.split();
    assert_eq!(reader.extensions().names().collect::<Vec<_>>(), ["permessage-deflate"]);
    assert_eq!(client(Stream::silent()).extensions().names().count(), 0);
}

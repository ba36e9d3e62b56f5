//! The verbs of compression: messages that go plain, and memory that is given back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bowsprit::blocking::WebSocket;
use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Config, Connection, Deflate, Message, Messages};
use hex_literal::hex;

use crate::support::{expect, from_connection, masked, pattern, tcp, text, unmasked, within};

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// "Hello", twice: compressed from an empty window, and from one that holds it (RFC 7692 section 7.2.3).
const FIRST: [u8; 9] = hex!("c107 f248cdc9c90700");
const SECOND: [u8; 7] = hex!("c105 f200110000");
/// Once more: zlib finds no match at the very beginning of a stream, and here the whole of the second.
const THIRD: [u8; 6] = hex!("c104 02130000");

fn config() -> Arc<Config> {
    Arc::new(Config { compression: Some(Deflate { threshold: 0, ..Deflate::default() }), ..Config::default() })
}

fn server(socket: TcpStream) -> WebSocket<TcpStream> {
    from_connection(socket, Connection::server(Messages, config()).with_extensions(&AGREED.into()))
}

fn client(socket: TcpStream) -> WebSocket<TcpStream> {
    from_connection(socket, Connection::client(Messages, config(), [7; 32]).with_extensions(&AGREED.into()))
}

#[test]
fn a_plain_message_is_not_compressed_and_leaves_the_window() {
    within(|| {
        let (mut peer, stream) = tcp();
        let mut ws = server(stream);
        let large = pattern(10_000);
        ws.send("Hello").unwrap();
        ws.send(bowsprit::Outgoing::from("Hello").uncompressed()).unwrap();
        ws.feed(bowsprit::Outgoing::from(&large[..]).uncompressed()).unwrap();
        ws.send("Hello").unwrap();
        let (mut reader, mut writer) = ws.split().unwrap();
        writer.send(bowsprit::Outgoing::from("Hello").uncompressed()).unwrap();
        writer.feed(bowsprit::Outgoing::from(&large[..]).uncompressed()).unwrap();
        writer.send("Hello").unwrap();
        let plain = [&hex!("8105")[..], b"Hello", &unmasked(&large)].concat();
        expect(&mut peer, &[&FIRST[..], &plain, &SECOND, &plain, &THIRD].concat());
        // What the peer sends comes back plain.
        peer.write_all(&hex!("c187 00000000 f248cdc9c90700")).unwrap();
        assert!(matches!(reader.next().unwrap(), Some(Message::Text("Hello"))));
        let mut ws = reader.reunite(writer).unwrap();
        peer.write_all(&hex!("c185 00000000 f200110000")).unwrap();
        let (message, out) = ws.next().unwrap().unwrap();
        out.feed(bowsprit::Outgoing::from(message).uncompressed()).unwrap();
        out.send(bowsprit::Outgoing::from(message).uncompressed()).unwrap();
        expect(&mut peer, &hex!("8105 48656c6c6f 8105 48656c6c6f"));
    });
}

#[test]
fn a_client_sends_plain_messages_masked() {
    within(|| {
        let (peer, stream) = tcp();
        let (mut ws, mut peer) = (client(stream), server(peer));
        let large = pattern(10_000);
        let zeros = vec![0; 10_000];
        ws.feed(&zeros[..]).unwrap();
        ws.feed(bowsprit::Outgoing::from(&large[..]).uncompressed()).unwrap();
        ws.send(bowsprit::Outgoing::from("Hello").uncompressed()).unwrap();
        assert!(peer.recv().unwrap().unwrap().into_bytes() == zeros);
        assert!(peer.recv().unwrap().unwrap().into_bytes() == large);
        assert_eq!(text(peer.recv().unwrap()), "Hello");
    });
}

/// A plain message of more than one frame.
#[test]
fn a_plain_message_is_split_as_the_configuration_says() {
    within(|| {
        let (mut peer, stream) = tcp();
        let config = Config { fragment_size: Some(5_000), ..Config::clone(&config()) };
        let connection = Connection::server(Messages, config.into()).with_extensions(&AGREED.into());
        let mut ws = from_connection(stream, connection);
        ws.send(bowsprit::Outgoing::from(&[7; 10_000][..]).uncompressed()).unwrap();
        expect(&mut peer, &[&hex!("027e1388")[..], &[7; 5_000], &hex!("807e1388"), &[7; 5_000]].concat());
    });
}

#[test]
fn a_connection_tells_what_was_agreed_on() {
    within(|| {
        let (peer, stream) = tcp();
        let ws = server(stream);
        assert_eq!(ws.extensions().deflate(), Some(AGREED));
        let (reader, _writer) = ws.split().unwrap();
        assert_eq!(reader.extensions().names().collect::<Vec<_>>(), ["permessage-deflate"]);
        let ws = from_connection(peer, Connection::server(Messages, config()));
        assert_eq!(ws.extensions().names().count(), 0);
    });
}

#[test]
fn after_a_release_compression_starts_from_an_empty_window() {
    within(|| {
        let (mut peer, stream) = tcp();
        let mut ws = server(stream);
        ws.send("Hello").unwrap();
        ws.send("Hello").unwrap();
        ws.release_compression();
        ws.send("Hello").unwrap();
        peer.write_all(&masked(b"go on")).unwrap();
        let (_, out) = ws.next().unwrap().unwrap();
        out.release_compression();
        out.send("Hello").unwrap();
        let (reader, mut writer) = ws.split().unwrap();
        writer.send("Hello").unwrap();
        writer.release_compression();
        writer.send("Hello").unwrap();
        drop((reader, writer));
        let mut wire = Vec::new();
        peer.read_to_end(&mut wire).unwrap();
        assert_eq!(wire, [&FIRST[..], &SECOND, &FIRST, &FIRST, &SECOND, &FIRST].concat());
    });
}

/// The peer does not know of it, and goes on to refer to what it sent before.
#[test]
fn after_a_release_what_is_received_still_has_its_window() {
    within(|| {
        let (mut peer, stream) = tcp();
        let mut ws = server(stream);
        peer.write_all(&hex!("c187 00000000 f248cdc9c90700")).unwrap();
        assert_eq!(text(ws.recv().unwrap()), "Hello");
        ws.release_compression();
        let again = hex!("c185 00000000 f200110000");
        peer.write_all(&again).unwrap();
        assert_eq!(text(ws.recv().unwrap()), "Hello");
        let (mut reader, _writer) = ws.split().unwrap();
        reader.release_compression();
        peer.write_all(&again).unwrap();
        assert_eq!(text(reader.recv().unwrap()), "Hello");
    });
}

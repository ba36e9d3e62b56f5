//! What fuzzing found: each finding once more, as the bytes that showed it.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{ClientHandshake, ClientRequest};
use bowsprit::{Chunk, Chunks, Config, Cursor, Delivery, Event, HandshakeError, Inbound, Message, Messages, Role};
use bytes::BytesMut;

/// In chunks a whole message counted as a fragment, so that bounds on fragments refused it.
#[test]
fn a_whole_message_is_no_fragment() {
    let config = Arc::new(Config { max_fragments: 0, max_empty_fragments: 0, ..Config::default() });
    let chunks = Chunks { max_message: 10, max_fragments: 0 };
    for (wire, text) in [(&b"\x81\x00"[..], ""), (b"\x81\x01a", "a")] {
        let message = Message::Text(text);
        only_message(Messages, &config, wire, message);
        only_message(chunks, &config, wire, message);
    }
}

/// A chunk whose line is too long to be waited for was taken when it came in one piece.
#[test]
fn the_body_of_a_refusal_does_not_depend_on_the_cut() {
    for (extension, body) in [(252, &b"abc"[..]), (253, b"")] {
        let head = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n";
        let wire = [&head[..], b"3;", &vec![b'x'; extension], b"\r\nabc\r\n0\r\n\r\n"].concat();
        assert_eq!(refused(&wire, wire.len()), body, "whole");
        assert_eq!(refused(&wire, 1), body, "byte by byte");
    }
}

/// The body of the refusal that arrives in pieces of so many bytes.
fn refused(wire: &[u8], piece: usize) -> Vec<u8> {
    let request = ClientRequest::try_from("ws://h/").unwrap();
    let config = Config::default().into();
    let mut handshake = ClientHandshake::start(&request, [0; 16], config, Duration::ZERO, &mut BytesMut::new());
    let (mut input, mut refused) = (BytesMut::new(), None);
    for piece in wire.chunks(piece) {
        input.extend_from_slice(piece);
        if refused.is_none() {
            match handshake.receive(&mut input) {
                Ok(None) => continue,
                Err(HandshakeError::Refused(response)) => refused = Some(response),
                other => panic!("{other:?}"),
            }
        }
        if refused.as_mut().is_some_and(|response| response.receive_body(&mut input, 100)) {
            break;
        }
    }
    refused.unwrap().body().to_owned()
}

/// Giving back memory forgot the reason in the peer's Close.
#[test]
fn the_reason_of_a_close_stays() {
    let mut input = BytesMut::from(&b"\x88\x05\x03\xe8bye"[..]);
    let mut inbound = Inbound::new(Role::Client, Messages, Arc::default());
    assert!(matches!(inbound.next(&mut Cursor::new(&mut input)), Ok(Some(Event::Close(Some(_))))));
    inbound.shrink();
    assert_eq!(inbound.close_reason(), "bye");
}

fn only_message<D: Delivery>(delivery: D, config: &Arc<Config>, wire: &[u8], message: Message<'_>) {
    let mut input = BytesMut::from(wire);
    let mut inbound = Inbound::new(Role::Client, delivery, config.clone());
    let mut cursor = Cursor::new(&mut input);
    let Ok(Some(Event::Data(item))) = inbound.next(&mut cursor) else { panic!("{wire:?} is not taken as a message") };
    assert_eq!(item.into(), Chunk { data: message, end: true });
    assert_eq!(inbound.next(&mut cursor), Ok(None));
}

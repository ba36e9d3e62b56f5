//! permessage-deflate over the machines: the vectors of RFC 7692 and messages there and back.
#![cfg(feature = "deflate")]

mod decoder;
mod engine;
mod mixed;
mod pool;
mod receiving;
mod support;
mod vectors;
mod windows;

use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Config, Connection, Deflate, Event, Messages, Prepared, ProtocolError, Role};
use bytes::BytesMut;
use hex_literal::hex;

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn pair(agreed: Agreed, deflate: Deflate) -> (Connection, Connection) {
    let config = Arc::new(Config { compression: Some(deflate), ..Config::default() });
    let agreement = agreed.into();
    let client = Connection::client(Messages, config.clone(), [7; 32]).with_extensions(&agreement);
    (client, Connection::server(Messages, config).with_extensions(&agreement))
}

fn receive(connection: &mut Connection, wire: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut input = BytesMut::from(wire);
    let mut output = BytesMut::new();
    let mut batch = connection.receive(&mut input, &mut output);
    let mut messages = Vec::new();
    while let Some((event, _)) = batch.next()? {
        match event {
            Event::Text(text) => messages.push(text.as_bytes().to_vec()),
            Event::Binary(bytes) => messages.push(bytes.to_vec()),
            other => panic!("{other:?}"),
        }
    }
    Ok(messages)
}

#[test]
fn the_vectors_of_the_rfc_inflate() {
    let hello = || Ok(vec![b"Hello".to_vec()]);
    for wire in [
        &hex!("c1 07 f2 48 cd c9 c9 07 00")[..],
        &hex!("41 03 f2 48 cd 80 04 c9 c9 07 00"),
        &hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"),
        &hex!("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
        &hex!("c1 08 f3 48 cd c9 c9 07 00 00"),
        &hex!("c1 0a f3 48 05 00 cb c9 c9 07 00 00"),
    ] {
        let (mut client, _) = pair(AGREED, Deflate::default());
        assert_eq!(receive(&mut client, wire), hello(), "{wire:02x?}");
        // The window is kept, also behind a final block.
        assert_eq!(receive(&mut client, &hex!("c1 05 f2 00 11 00 00")), hello(), "{wire:02x?}");
    }
    let (mut client, _) = pair(AGREED, Deflate::default());
    assert_eq!(receive(&mut client, &hex!("c1 00 c1 07 f2 48 cd c9 c9 07 00")), Ok(vec![vec![], b"Hello".to_vec()]));
}

#[test]
fn what_is_no_deflate_fails() {
    for wire in [
        &hex!("c1 01 06")[..],
        &hex!("c1 05 00 05 00 00 00"),
        &hex!("c1 05 f2 00 11 00 00"),
        &hex!("c1 03 f2 48 cd"),
        &hex!("c1 06 f2 48 cd c9 c9 07"),
        &hex!("c1 07 f3 48 cd c9 c9 07 00"),
    ] {
        let (mut client, _) = pair(AGREED, Deflate::default());
        assert_eq!(receive(&mut client, wire), Err(ProtocolError::InvalidDeflate), "{wire:02x?}");
    }
}

#[test]
fn messages_go_there_and_back() {
    let text = "It was the best of times, it was the worst of times. ".repeat(50);
    for no_takeover in [false, true] {
        for bits in 8..=15 {
            for level in 0..=9 {
                let agreed = Agreed {
                    server_no_context_takeover: no_takeover,
                    client_no_context_takeover: no_takeover,
                    server_max_window_bits: bits,
                    client_max_window_bits: bits,
                };
                let deflate = Deflate { level, threshold: 0, ..Deflate::default() };
                let (mut client, mut server) = pair(agreed, deflate);
                let mut output = BytesMut::new();
                for len in [0, 0, 1, 2, 100, text.len(), 0, 700, 300_000] {
                    let message = text.repeat(len / text.len() + 1)[..len].to_owned();
                    client.text(&message, &mut output).unwrap();
                    assert_eq!(receive(&mut server, &output.split()), Ok(vec![message.clone().into_bytes()]));
                    server.text(&message, &mut output).unwrap();
                    if level > 0 && len > 90 {
                        assert!(output.len() < len / 2 + 80, "{} of {len}", output.len());
                    }
                    assert_eq!(receive(&mut client, &output.split()), Ok(vec![message.into_bytes()]));
                }
            }
        }
    }
}

#[test]
fn a_prepared_message_goes_compressed_and_leaves_the_window_right() {
    let text = "one two three four five six seven eight nine ten ".repeat(20);
    let news = Prepared::text(&text).deflated(9);
    for (bits, compressed) in [(15, true), (14, false)] {
        let agreed = Agreed { server_max_window_bits: bits, client_max_window_bits: bits, ..AGREED };
        let (mut client, mut server) = pair(agreed, Deflate::default());
        let mut output = BytesMut::new();
        for connection in [&mut server, &mut client] {
            connection.text(&text, &mut output).unwrap();
            connection.prepared(&news, &mut output).unwrap();
            connection.text(&text, &mut output).unwrap();
            let wire = output.split();
            assert_eq!(wire.len() < text.len(), compressed, "{} bytes", wire.len());
            // One by one, as the other end sees them.
            let mut peer = match connection.role() {
                Role::Server => pair(agreed, Deflate::default()).0,
                Role::Client => pair(agreed, Deflate::default()).1,
            };
            assert_eq!(receive(&mut peer, &wire), Ok(vec![text.clone().into_bytes(); 3]));
        }
    }
}

/// RFC 7692 has no limits of its own: the limit of a message is that of what comes out of it.
#[test]
fn a_frame_without_a_limit_of_its_own_may_be_longer_than_the_message_in_it() {
    let config = Config { max_message: 5, ..Config::default() };
    let receives = |config: Config, wire: &[u8]| {
        let mut client = Connection::client(Messages, Arc::new(config), [7; 32]).with_extensions(&AGREED.into());
        receive(&mut client, wire)
    };
    let stored = hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00");
    assert_eq!(receives(config.clone(), &stored), Ok(vec![b"Hello".to_vec()]));
    // Up to twice the message and 64 bytes, at the header.
    assert_eq!(receives(config.clone(), &hex!("c1 4a")), Ok(vec![]));
    assert_eq!(receives(config.clone(), &hex!("c1 4b")), Err(ProtocolError::FrameTooLong));
    assert_eq!(receives(Config { max_frame: Some(5), ..config }, &stored), Err(ProtocolError::FrameTooLong));
}

//! Messages from each end to the other, at every level and in every window.

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunk, Config, Connection, Deflate, Message, Messages, SendError};
use bytes::BytesMut;

use crate::support::{AGREED, Random, pair, receive};

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
                    client.send(&message, &mut output).unwrap();
                    assert_eq!(receive(&mut server, &output.split()), Ok(vec![message.clone().into_bytes()]));
                    server.send(&message, &mut output).unwrap();
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
fn a_chunk_that_is_refused_changes_nothing_about_the_next_message() {
    let deflate = Deflate { threshold: 0, ..Deflate::default() };
    let config = Config { compression: Some(deflate), max_unsent: 1, ..Config::default() };
    let mut server = Connection::server(Messages, config.into()).with_extensions(&AGREED.into());
    let mut random = Random::new(3);
    let noise: Vec<u8> = (0..200).map(|_| random.byte()).collect();
    let mut output = BytesMut::new();
    server.send(&noise, &mut output).unwrap();
    let chunk = Chunk { data: Message::Binary(&noise), end: true };
    assert_eq!(server.send(chunk, &mut output), Err(SendError::Full));
    output.clear();
    // What did not shrink has the next message go as it is, and only that one.
    for first in [0x82, 0xc2] {
        server.send(&[0x61; 200], &mut output).unwrap();
        assert_eq!(output[0], first);
        output.clear();
    }
}

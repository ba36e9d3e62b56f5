//! Messages in pieces: longer than anybody wants to hold.

use std::io::{Read, Write};
use std::thread;

use bowsprit::{Chunk, Chunks, Config, Error, Message, ProtocolError};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{client_with, join, pattern, server_with, tcp, unmasked, within};

const UNLIMITED: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };

/// 100 MiB in one frame, echoed in pieces: neither end holds more than the pieces on their way.
#[test]
fn a_long_message_streams() {
    const LEN: usize = 100 << 20;
    within(|| {
        let (near, far) = tcp();
        let echo = thread::spawn(move || {
            let mut ws = server_with(far, UNLIMITED, Config::default());
            let mut largest = 0;
            while let Some((chunk, out)) = ws.next().unwrap() {
                largest = largest.max(chunk.data.as_bytes().len());
                out.feed_chunk(chunk).unwrap();
            }
            let parts = ws.into_parts();
            (largest, parts.input.capacity(), parts.output.capacity())
        });
        let mut writer = near.try_clone().unwrap();
        let block = pattern(1 << 20);
        let expected = block.clone();
        let writes = thread::spawn(move || {
            writer.write_all(&[&hex!("82ff")[..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat()).unwrap();
            for _ in 0..LEN / block.len() {
                writer.write_all(&block).unwrap();
            }
        });
        let mut ws = client_with(near, UNLIMITED, Config::default());
        let mut received = 0;
        loop {
            let (chunk, _) = ws.next().unwrap().unwrap();
            let Message::Binary(bytes) = chunk.data else { panic!("{chunk:?}") };
            let at = received % expected.len();
            let (head, tail) = bytes.split_at(bytes.len().min(expected.len() - at));
            assert!(expected[at..].starts_with(head) && expected.starts_with(tail));
            received += bytes.len();
            if chunk.end {
                break;
            }
        }
        assert_eq!(received, LEN);
        join(writes);
        assert!(ws.close(None).unwrap().clean);
        let (largest, input, output) = join(echo);
        assert!(largest <= 64 << 10, "a piece of {largest} bytes");
        assert!(input <= 4 << 10 && output <= 4 << 10, "holds {input} and {output} bytes at the end");
    });
}

#[test]
fn pieces_come_as_they_arrive_and_text_is_never_cut_inside_a_character() {
    let sent: [&[u8]; 5] = [
        &hex!("018300000000 61c3"),
        &hex!("a9"),
        &hex!("898000000000 800200000000")[..6], // a Ping between
        &hex!("808100000000 62"),
        &hex!("810000000000"),
    ];
    let mut ws = server_with(Script::sends(sent), UNLIMITED, Config::default());
    let mut pieces = Vec::new();
    let error = loop {
        match ws.next() {
            Ok(Some((Chunk { data: Message::Text(text), end }, _))) => pieces.push((text.to_owned(), end)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    let expected = [("a", false), ("é", false), ("b", true)].map(|(text, end)| (text.to_owned(), end));
    assert_eq!(pieces, expected);
    assert!(matches!(error, Error::Protocol(ProtocolError::Unmasked)));
}

#[test]
fn the_limits_of_pieces_are_their_own() {
    let chunks = Chunks { max_message: 3, max_fragments: 2 };
    let mut ws = server_with(Script::sends([&hex!("828400000000")]), chunks, Config::default());
    assert!(matches!(ws.next(), Err(Error::Protocol(ProtocolError::MessageTooLong))));
    let mut ws = server_with(Script::sends([&hex!("028000000000").repeat(3)]), chunks, Config::default());
    assert!(ws.next().is_err());
}

#[test]
fn a_message_is_sent_in_pieces() {
    within(|| {
        let (mut peer, stream) = tcp();
        let piece = pattern(300_000);
        let expected =
            [&hex!("02")[..], &unmasked(&piece)[1..], &hex!("00"), &unmasked(&piece)[1..], &hex!("8000")].concat();
        let writes = thread::spawn(move || {
            let mut ws = server_with(stream, UNLIMITED, Config { max_unsent: 1000, ..Config::default() });
            ws.feed_chunk(Chunk { data: Message::Binary(&piece), end: false }).unwrap();
            ws.feed_chunk(Chunk { data: Message::Binary(&piece), end: false }).unwrap();
            ws.feed_chunk(Chunk { data: Message::Binary(&[]), end: true }).unwrap();
            ws.flush().unwrap();
        });
        let mut read = vec![0; expected.len()];
        peer.read_exact(&mut read).unwrap();
        assert!(read == expected);
        join(writes);
    });
}

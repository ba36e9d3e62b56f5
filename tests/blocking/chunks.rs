//! Messages in pieces: longer than anybody wants to hold.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::thread;

use bowsprit::{Chunk, Chunks, Config, Error, Message, ProtocolError};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{client_with, join, kind, pattern, server_with, tcp, unmasked, within};

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
                out.feed(chunk).unwrap();
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
    assert!(matches!(ws.next(), Err(Error::Protocol(ProtocolError::MessageTooLong(_)))));
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
            ws.feed(Chunk { data: Message::Binary(&piece), end: false }).unwrap();
            ws.feed(Chunk { data: Message::Binary(&piece), end: false }).unwrap();
            ws.feed(Chunk { data: Message::Binary(&[]), end: true }).unwrap();
            ws.flush().unwrap();
        });
        let mut read = vec![0; expected.len()];
        peer.read_exact(&mut read).unwrap();
        assert!(read == expected);
        join(writes);
    });
}

#[test]
fn a_message_is_read_as_a_stream() {
    let mut ws = server_with(
        Script::sends([
            &hex!("018400000000 61c3a90a 8980000000"), // a Ping between
            &hex!("00 008000000000 808100000000 62 8280000000"),
            &hex!("00 8183000000"),
            &hex!("00 616263 888000000000"),
        ]),
        UNLIMITED,
        Config::default(),
    );
    let mut message = ws.read_message().unwrap().unwrap();
    assert!(message.is_text());
    let mut byte = [0];
    assert_eq!((message.read(&mut byte).unwrap(), byte), (1, *b"a"));
    assert_eq!(message.read(&mut []).unwrap(), 0);
    let mut line = String::new();
    message.read_line(&mut line).unwrap();
    assert_eq!(line, "\u{e9}\n");
    assert_eq!(message.read(&mut [0; 9]).unwrap(), 1);
    assert_eq!((message.read(&mut byte).unwrap(), message.read(&mut byte).unwrap()), (0, 0));

    let mut message = ws.read_message().unwrap().unwrap();
    assert!(!message.is_text());
    assert_eq!(message.read(&mut byte).unwrap(), 0);

    let message = ws.read_message().unwrap().unwrap();
    assert_eq!(std::io::read_to_string(message).unwrap(), "abc");
    assert!(ws.read_message().unwrap().is_none());
    assert!(ws.end().unwrap().clean);
}

#[test]
fn what_is_left_unread_of_a_message_is_skipped() {
    let mut script = Script::default();
    for byte in hex!("028300000000 313233 008100000000 34 808100000000 35 018100000000 61 808100000000 62") {
        // No pause loses a message, and none brings one back.
        script.reads.extend([Err(ErrorKind::WouldBlock), Ok(vec![byte])]);
    }
    let mut ws = server_with(script, UNLIMITED, Config::default());
    let mut texts = Vec::new();
    loop {
        match ws.read_message() {
            Ok(Some(mut message)) => texts.push((message.is_text(), message.fill_buf().unwrap().to_vec())),
            Ok(None) => panic!("there is no Close"),
            Err(error) if kind(&error) == ErrorKind::WouldBlock => {}
            Err(error) => break assert_eq!(kind(&error), ErrorKind::UnexpectedEof),
        }
    }
    assert_eq!(texts, [(false, b"1".to_vec()), (true, b"a".to_vec())]);

    // Also of one that `next` began.
    let wire = hex!("028100000000 31 808100000000 32 818100000000 61");
    let mut ws = server_with(Script::sends([&wire]), UNLIMITED, Config::default());
    assert!(matches!(ws.next().unwrap(), Some((Chunk { data: Message::Binary(b"1"), end: false }, _))));
    assert!(ws.read_message().unwrap().unwrap().is_text());
    assert!(ws.read_message().is_err());
}

#[test]
fn a_message_that_breaks_off_does_not_look_whole() {
    let reads = |behind: &[u8]| {
        let wire = [&hex!("018100000000 61")[..], behind].concat();
        let mut ws = server_with(Script::sends([&wire]), UNLIMITED, Config::default());
        let mut message = ws.read_message().unwrap().unwrap();
        let error = message.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(message.read(&mut [0]).is_err());
        (error.kind(), ws.read_message().map(|message| message.is_some()).is_ok())
    };
    assert_eq!(reads(&hex!("888000000000")), (ErrorKind::UnexpectedEof, true)); // a Close
    assert_eq!(reads(&[]), (ErrorKind::UnexpectedEof, false));
    assert_eq!(reads(&hex!("808100000000 ff")), (ErrorKind::InvalidData, false));
}

//! Messages as streams of bytes: longer than anybody wants to hold.

use std::io::ErrorKind;

use bowsprit::{Chunk, Chunks, Config, Error, Message, ProtocolError, Role, SendError};
use hex_literal::hex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use crate::support::{Script, Stream, announce, frames, kind, open, pattern, polls, server};

const UNLIMITED: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };

fn chunks(stream: &Stream) -> bowsprit::tokio::WebSocket<Stream, Chunks> {
    open(Role::Server, stream.clone(), UNLIMITED, Config::default())
}

/// One message of 16 MiB, echoed in pieces over a pipe of 64 KiB: nobody holds more than the pieces on their way.
#[tokio::test]
async fn a_long_message_goes_through_as_fast_as_it_is_read() {
    const LEN: usize = 16 << 20;
    let (peer, near) = tokio::io::duplex(64 << 10);
    let echo = tokio::spawn(async move {
        // Far less than the message, which is no limit for pieces.
        let config = Config { max_message: 1_000, max_unsent: 10_000, ..Config::default() };
        let mut ws = open(Role::Server, near, UNLIMITED, config);
        let mut largest = 0;
        while let Some((chunk, out)) = ws.next().await? {
            largest = largest.max(chunk.data.as_bytes().len());
            out.feed(chunk).await?;
        }
        let parts = ws.into_parts();
        Ok::<_, Error>((largest, parts.input.capacity(), parts.output.capacity()))
    });
    let (mut reads, mut writes) = tokio::io::split(peer);
    let block = pattern(1 << 20);
    let expected = block.clone();
    let sends = tokio::spawn(async move {
        writes.write_all(&announce(Role::Server, 0x82, LEN as u64)).await?;
        for _ in 0..LEN / block.len() {
            writes.write_all(&block).await?;
        }
        writes.write_all(&hex!("888000000000")).await
    });
    let mut echoed = Vec::new();
    reads.read_to_end(&mut echoed).await.unwrap();
    sends.await.unwrap().unwrap();
    let frames = frames(Role::Server, &echoed);
    let (close, pieces) = frames.split_last().unwrap();
    assert_eq!(*close, (0x88, Vec::new()));
    let mut at = 0;
    for (n, (first, piece)) in pieces.iter().enumerate() {
        assert_eq!(*first & 0x0f, if n == 0 { 0x02 } else { 0x00 });
        assert_eq!(*first & 0x80 != 0, n == pieces.len() - 1, "the last piece ends the message");
        let (head, tail) = piece.split_at(piece.len().min(expected.len() - at));
        assert!(expected[at..].starts_with(head) && expected.starts_with(tail));
        at = (at + piece.len()) % expected.len();
    }
    assert_eq!(pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>(), LEN);
    drop((reads, echoed));
    let (largest, input, output) = echo.await.unwrap().unwrap();
    assert!(largest <= 64 << 10, "a piece of {largest} bytes");
    assert_eq!((input, output), (0, 0));
}

#[tokio::test]
async fn a_message_is_a_stream_of_bytes() {
    let stream = Stream::sends([
        &hex!("018300000000 61c3"),
        &hex!("a9"),
        &hex!("898000000000 0081"), // a Ping between
        &hex!("00000000 0a"),
        &hex!("808100000000 62 828000000000 028000000000 8083"),
        &hex!("00000000 616263 888000000000"),
    ]);
    let mut ws = chunks(&stream);
    let mut message = ws.read_message().await.unwrap().unwrap();
    assert!(message.is_text());
    let mut byte = [0];
    assert_eq!((message.read(&mut byte).await.unwrap(), byte), (1, *b"a"));
    let mut line = String::new();
    message.read_line(&mut line).await.unwrap();
    assert_eq!(line, "\u{e9}\n");
    assert_eq!(message.read(&mut [0; 9]).await.unwrap(), 1);
    assert_eq!((message.read(&mut byte).await.unwrap(), message.read(&mut byte).await.unwrap()), (0, 0));

    let mut message = ws.read_message().await.unwrap().unwrap();
    assert!(!message.is_text());
    assert_eq!(message.read(&mut byte).await.unwrap(), 0);

    let mut message = ws.read_message().await.unwrap().unwrap();
    let mut whole = String::new();
    message.read_to_string(&mut whole).await.unwrap();
    assert_eq!(whole, "abc");
    assert!(ws.read_message().await.unwrap().is_none());
    assert!(ws.end().unwrap().clean);
    assert_eq!(stream.written(), hex!("8a00 8800"));
}

#[tokio::test]
async fn a_small_buffer_cuts_characters_and_loses_none() {
    let text = "\u{e9}\u{20ac}\u{1d11e}".repeat(20);
    let mut wire = hex!("81fe 00b4 00000000").to_vec();
    wire.extend(text.as_bytes());
    for cut in [1, 2, 3, 5] {
        let stream = Stream::new(Script { reads: wire.chunks(cut).map(<[u8]>::to_vec).collect(), ..Script::default() });
        let mut ws = chunks(&stream);
        let mut message = ws.read_message().await.unwrap().unwrap();
        let (mut read, mut two) = (Vec::new(), [0; 2]);
        loop {
            match message.read(&mut two).await.unwrap() {
                0 => break,
                n => read.extend(&two[..n]),
            }
        }
        assert_eq!(String::from_utf8(read).unwrap(), text, "cut to {cut}");
    }
}

#[tokio::test]
async fn what_is_left_unread_of_a_message_is_skipped() {
    let wire = hex!("028300000000 313233 008100000000 34 808100000000 35 018100000000 61 808100000000 62");
    let stream = Stream::new(Script { reads: wire.chunks(1).map(<[u8]>::to_vec).collect(), ..Script::default() });
    let mut ws = chunks(&stream);
    for expected in [&b"1"[..], b"a"] {
        let mut message = ws.read_message().await.unwrap().unwrap();
        assert_eq!(message.fill_buf().await.unwrap(), expected);
    }
    assert_eq!(kind(&ws.read_message().await.map(|_| ()).unwrap_err()), ErrorKind::UnexpectedEof);

    // Also of one that `next` began.
    let mut ws = chunks(&Stream::sends([&hex!("028100000000 31 808100000000 32 818100000000 61")]));
    let (first, _) = ws.next().await.unwrap().unwrap();
    assert_eq!(first, Chunk { data: Message::Binary(b"1"), end: false });
    assert!(ws.read_message().await.unwrap().unwrap().is_text());
}

#[tokio::test]
async fn a_message_that_breaks_off_does_not_look_whole() {
    for (behind, expected) in [
        (&hex!("888000000000")[..], ErrorKind::UnexpectedEof), // a Close
        (&[], ErrorKind::UnexpectedEof),
        (&hex!("808100000000 ff"), ErrorKind::InvalidData),
    ] {
        let mut ws = chunks(&Stream::sends([&[&hex!("018100000000 61")[..], behind].concat()]));
        let mut message = ws.read_message().await.unwrap().unwrap();
        let error = message.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(message.read(&mut [0]).await.is_err(), "and it stays so");
        let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
        match expected {
            ErrorKind::InvalidData => {
                assert!(matches!(inner.as_deref(), Some(Error::Protocol(ProtocolError::InvalidUtf8))));
            }
            _ => assert!(inner.is_none()),
        }
    }
}

#[tokio::test]
async fn each_write_is_a_frame_of_at_most_64_kib() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let mut writer = ws.stream_binary();
    let long = pattern(150_000);
    writer.write_all(b"ab").await.unwrap();
    assert_eq!(stream.script().log, [], "queued");
    writer.flush().await.unwrap();
    assert_eq!(stream.written(), hex!("0202 6162"));
    writer.write_all(&long).await.unwrap();
    writer.shutdown().await.unwrap();
    // Again, it does nothing; and nothing can be added.
    writer.shutdown().await.unwrap();
    assert_eq!(writer.write(b"x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let frames = frames(Role::Server, &stream.written());
    assert_eq!(frames.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x02, 0x00, 0x00, 0x00, 0x80]);
    assert!(frames[1..].iter().all(|(_, payload)| payload.len() <= 64 << 10));
    assert!(frames[1..].iter().flat_map(|(_, payload)| payload).eq(&long));
    assert_eq!(frames[4].1, b"");
    ws.send("next").await.unwrap();
}

#[tokio::test]
async fn a_writer_waits_for_a_socket_that_takes_nothing() {
    let stream = Stream::new(Script { room: 1_000, silent: true, ..Script::default() });
    let mut ws = server(stream.clone());
    let mut writer = ws.stream_binary();
    let piece = pattern(64 << 10);
    let mut accepted = 0;
    while let Some(n) = polls(1, writer.write(&piece)).await {
        accepted += n.unwrap();
        assert!(accepted <= 2 << 16, "it queues without end");
    }
    stream.drains(usize::MAX);
    writer.shutdown().await.unwrap();
    let frames = frames(Role::Server, &stream.written());
    assert_eq!(frames.iter().map(|(_, payload)| payload.len()).sum::<usize>(), accepted);
}

#[tokio::test]
async fn text_may_be_written_in_pieces_of_characters() {
    let text = "a\u{e9}\u{20ac}\u{1d11e}".repeat(30);
    for cut in 1..7 {
        let stream = Stream::silent();
        let mut ws = server(stream.clone());
        let mut writer = ws.stream_text();
        for piece in text.as_bytes().chunks(cut) {
            writer.write_all(piece).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        let frames = frames(Role::Server, &stream.written());
        assert!(frames.iter().all(|(_, payload)| str::from_utf8(payload).is_ok()), "no frame cuts a character");
        assert!(frames.iter().flat_map(|(_, payload)| payload).eq(text.as_bytes()), "cut to {cut}");
    }
    // Across the bound of a frame, too.
    let text = "\u{20ac}".repeat(50_000);
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let mut writer = ws.stream_text();
    writer.write_all(text.as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    let frames = frames(Role::Server, &stream.written());
    assert!(frames.iter().all(|(_, payload)| str::from_utf8(payload).is_ok()));
    assert!(frames.iter().flat_map(|(_, payload)| payload).eq(text.as_bytes()));
}

#[tokio::test]
async fn text_that_is_none_is_not_sent() {
    for (before, bad) in [(&b"a"[..], &b"\xff"[..]), (b"a", b"b\xc3("), (b"a\xe2\x82", b"("), (b"\xf0\x9f", b"\xff")] {
        let stream = Stream::silent();
        let mut ws = server(stream.clone());
        let mut writer = ws.stream_text();
        writer.write_all(before).await.unwrap();
        assert_eq!(writer.write_all(bad).await.unwrap_err().kind(), ErrorKind::InvalidData);
        writer.flush().await.unwrap();
        let sent: Vec<u8> = frames(Role::Server, &stream.written()).into_iter().flat_map(|(_, text)| text).collect();
        assert!(before.starts_with(&sent), "{sent:?}");
    }
    // Nor is the end of one that was cut off.
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let mut writer = ws.stream_text();
    writer.write_all(b"\xc3").await.unwrap();
    assert_eq!(writer.shutdown().await.unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(!frames(Role::Server, &stream.written()).iter().any(|(first, _)| first & 0x80 != 0));
}

/// The peer must never take a part for the whole.
#[tokio::test]
async fn an_unfinished_message_is_not_gone_on_with() {
    for (one, other) in [(true, true), (true, false), (false, true), (false, false)] {
        let stream = Stream::silent();
        let mut ws = server(stream.clone());
        let mut writer = if one { ws.stream_text() } else { ws.stream_binary() };
        writer.write_all(b"a part").await.unwrap();
        let mut writer = if other { ws.stream_text() } else { ws.stream_binary() };
        for error in [writer.write(b" of another").await.unwrap_err(), writer.shutdown().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
            assert!(matches!(*inner, Error::Send(SendError::MessageInProgress)));
        }
        assert!(matches!(ws.send("x").await, Err(Error::Send(SendError::MessageInProgress))));
        // But for the end of the connection.
        ws.start_close(None).await.unwrap();
        let last = if one { 0x01 } else { 0x02 };
        assert_eq!(frames(Role::Server, &stream.written()), [(last, b"a part".to_vec()), (0x88, Vec::new())]);
    }
}

//! Every future dropped at every await: nothing that has arrived is lost, no frame is torn, no message goes twice.

use std::future::Future;
use std::io::ErrorKind;

use bowsprit::tokio::WebSocket;
use bowsprit::{
    Chunk, Chunks, Close, CloseCode, Config, Delivery, Error, Message, Messages, OwnedMessage, Prepared, Role,
    SendError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Frame, ROLES, Script, Stream, frame, frames, kind, open, owned, pattern, polls};

/// Drops futures: the one that is being polled for the time that its number says, or each one that so many polls did
/// not finish.
#[derive(Debug)]
enum Knife {
    Once { left: usize, fell: bool },
    Always { polls: usize },
}

impl Knife {
    /// `None` if it dropped the future.
    async fn cuts<F: Future>(&mut self, future: F) -> Option<F::Output> {
        match self {
            Self::Always { polls: times } => polls(*times, future).await,
            Self::Once { left, fell } => {
                let mut future = std::pin::pin!(future);
                loop {
                    if !*fell && *left == 0 {
                        *fell = true;
                        return None;
                    }
                    *left = left.saturating_sub(1);
                    if let Some(output) = polls(1, future.as_mut()).await {
                        return Some(output);
                    }
                }
            }
        }
    }
}

/// Runs `script` with a knife that falls at its first poll, at the second, and so on until the script passes without
/// it, and with those that drop each future after one poll, and after two.
async fn at_every_poll(script: impl AsyncFn(&mut Knife)) {
    for polls in 1..=2 {
        script(&mut Knife::Always { polls }).await;
    }
    for left in 0.. {
        let mut knife = Knife::Once { left, fell: false };
        script(&mut knife).await;
        if matches!(knife, Knife::Once { fell: false, .. }) {
            assert!(left > 5, "it drops futures in many places, not in {left}");
            return;
        }
    }
}

/// A stream that is ready for nothing at first, reads a few bytes and takes a few.
fn reluctant(reads: &[u8], at_once: usize) -> Stream {
    let reads = reads.chunks(at_once).map(<[u8]>::to_vec).collect();
    let takes = [at_once, 0, 1, 2 * at_once].repeat(50).into();
    Stream::new(Script { reads, takes, stutters: true, ..Script::default() })
}

/// What an end of this role sent: Closes and messages, whole, and the numbers of the Pongs.
fn sent(role: Role, stream: &Stream) -> (Vec<Frame>, Vec<Vec<u8>>) {
    let (pongs, others): (Vec<_>, Vec<_>) =
        frames(role, &stream.written()).into_iter().partition(|(first, _)| *first == 0x8a);
    (others, pongs.into_iter().map(|(_, payload)| payload).collect())
}

// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn receiving() {
    for role in ROLES {
        let wire = [
            frame(role, 0x81, b"one"),
            frame(role, 0x89, b"1"),
            frame(role, 0x01, "tw\u{f6}".as_bytes()),
            frame(role, 0x89, b"2"),
            frame(role, 0x80, b" three"),
            frame(role, 0x82, &pattern(300)),
            frame(role, 0x88, &[0x03, 0xe8]),
        ]
        .concat();
        let expected = [
            OwnedMessage::Text("one".into()),
            OwnedMessage::Text("tw\u{f6} three".into()),
            OwnedMessage::Binary(pattern(300).into()),
        ];
        for (at_once, by_recv) in [(3, false), (40, true), (1_000, false)] {
            at_every_poll(async |knife| {
                let stream = reluctant(&wire, at_once);
                let mut ws = open(role, stream.clone(), Messages, Config::default());
                let mut received = Vec::new();
                loop {
                    let message = if by_recv {
                        knife.cuts(ws.recv()).await
                    } else {
                        knife.cuts(async { owned(ws.next().await) }).await
                    };
                    match message {
                        None => {}
                        Some(Ok(Some(message))) => received.push(message),
                        Some(Ok(None)) => break,
                        Some(Err(error)) => panic!("{error:?}"),
                    }
                }
                assert_eq!(received, expected);
                assert!(ws.end().unwrap().clean, "{:?}", ws.end());
                let (others, pongs) = sent(role, &stream);
                assert_eq!(others, [(0x88, vec![0x03, 0xe8])]);
                assert_eq!(pongs, [b"1", b"2"]);
            })
            .await;
        }
    }
}

/// Closes from this side, the futures of `close` aside: to drop that one drops the connection.
async fn closes<D: Delivery>(knife: &mut Knife, ws: &mut WebSocket<Stream, D>, stream: &Stream, role: Role) {
    let close = Some(Close { code: CloseCode::GOING_AWAY, reason: "bye" });
    loop {
        match knife.cuts(ws.start_close(close)).await {
            // It may have been queued.
            None => {}
            Some(Ok(()) | Err(Error::Send(SendError::Closing))) => break,
            Some(Err(error)) => panic!("{error:?}"),
        }
    }
    stream.arrive(&frame(role, 0x88, &[0x03, 0xe9]));
    stream.ends();
    loop {
        match knife.cuts(async { ws.next().await.map(|lent| lent.is_some()) }).await {
            None => {}
            Some(Ok(false)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ws.end().unwrap().clean, "{:?}", ws.end());
}

// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn sending() {
    let large = pattern(5_000);
    // What each verb sends, of message number `n`.
    let payload = |n: u8| match n % 8 {
        3 | 4 => [&[n][..], &large].concat(),
        _ => vec![n; 20],
    };
    for (role, plain, at_once, max_unsent) in
        [(Role::Server, false, 700, 64), (Role::Server, true, 1_500, 64), (Role::Client, false, 900, 1)]
    {
        at_every_poll(async |knife| {
            let stream = reluctant(&[], at_once);
            (stream.script().silent, stream.script().plain) = (true, plain);
            let mut ws = open(role, stream.clone(), Messages, Config { max_unsent, ..Config::default() });
            let mut done = Vec::new();
            for n in 0..11 {
                let message = payload(n);
                let prepared = Prepared::binary(&message);
                let result = match n % 8 {
                    0 => knife.cuts(ws.send(&message[..])).await,
                    1 | 3 => knife.cuts(ws.feed(&message[..])).await,
                    2 | 4 => knife.cuts(ws.send(&prepared)).await,
                    5 => knife.cuts(ws.feed(bowsprit::Outgoing::from(&message[..]).uncompressed())).await,
                    6 => {
                        let chunk = Chunk { data: Message::Binary(&message), end: true };
                        knife.cuts(ws.feed(chunk)).await
                    }
                    _ => {
                        // Room is there when it says so, and stays.
                        while knife.cuts(ws.ready()).await.is_none() {}
                        ws.try_feed(&message[..]).unwrap();
                        Some(Ok(()))
                    }
                };
                if let Some(result) = result {
                    result.unwrap();
                    done.push(n);
                }
                if n % 5 == 0 {
                    // A Ping may be lost like a message, and has room of its own.
                    knife.cuts(ws.ping(&[n])).await.transpose().unwrap();
                }
            }
            while knife.cuts(ws.flush()).await.is_none() {}
            closes(knife, &mut ws, &stream, role).await;
            let (mut sent, _) = sent(role, &stream);
            assert_eq!(sent.pop(), Some((0x88, b"\x03\xe9bye".to_vec())));
            sent.retain(|(first, _)| *first != 0x89);
            // Whole and in order; none twice; and all of which the caller was told.
            let numbers: Vec<u8> = sent.iter().map(|(_, payload)| payload[0]).collect();
            assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
            assert!(sent.iter().all(|(first, sent)| *first == 0x82 && *sent == payload(sent[0])));
            assert!(done.iter().all(|n| numbers.contains(n)), "{done:?} {numbers:?}");
        })
        .await;
    }
}

// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn an_echo_loop_that_is_cut_off_anywhere() {
    for role in ROLES {
        let large = pattern(4_500);
        let mut wire = Vec::new();
        for n in 0..6 {
            let message = [&[n][..], if n % 3 == 2 { &large } else { b"small" }].concat();
            wire.extend(frame(role, 0x82, &message));
        }
        wire.extend(frame(role, 0x88, &[0x03, 0xe8]));
        at_every_poll(async |knife| {
            let stream = reluctant(&wire, 1_111);
            let mut ws = open(role, stream.clone(), Messages, Config::default());
            let (mut received, mut answered) = (Vec::new(), Vec::new());
            loop {
                // The future as a whole: inside `next`, or inside the answer.
                let done = knife.cuts(async {
                    let Some((message, out)) = ws.next().await? else { return Ok(false) };
                    let number = message.as_bytes()[0];
                    received.push(number);
                    out.send(message).await?;
                    answered.push(number);
                    Ok::<_, Error>(true)
                });
                if let Some(false) = done.await.transpose().unwrap() {
                    break;
                }
            }
            assert_eq!(received, [0, 1, 2, 3, 4, 5]);
            let (mut sent, _) = sent(role, &stream);
            assert_eq!(sent.pop(), Some((0x88, vec![0x03, 0xe8])));
            // An answer is queued before its future waits for the first time, or with it.
            assert_eq!(sent.iter().map(|(_, payload)| payload[0]).collect::<Vec<_>>(), received);
            assert!(answered.iter().all(|number| received.contains(number)));
        })
        .await;
    }
}

// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn pieces_in_and_out() {
    const UNLIMITED: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };
    for role in ROLES {
        let word = "gr\u{fc}\u{df}e \u{1d11e}";
        let wire = [
            frame(role, 0x01, word.as_bytes()),
            frame(role, 0x89, b"1"),
            frame(role, 0x80, word.as_bytes()),
            frame(role, 0x82, &pattern(200)),
            frame(role, 0x02, b"skipped"),
            frame(role, 0x80, b"too"),
            frame(role, 0x81, b"last"),
        ]
        .concat();
        at_every_poll(async |knife| {
            let stream = reluctant(&wire, 7);
            stream.script().silent = true;
            let mut ws = open(role, stream.clone(), UNLIMITED, Config { max_unsent: 10, ..Config::default() });

            // By the piece.
            let mut text = String::new();
            loop {
                let piece = async {
                    let (chunk, _) = ws.next().await?.expect("it is open");
                    let Message::Text(piece) = chunk.data else { panic!("it is text") };
                    Ok::<_, Error>((piece.to_owned(), chunk.end))
                };
                if let Some(piece) = knife.cuts(piece).await {
                    let (piece, end) = piece.unwrap();
                    text += &piece;
                    if end {
                        break;
                    }
                }
            }
            assert_eq!(text, word.repeat(2));

            // As streams of bytes; a small message in the other direction meanwhile.
            for expected in [(false, pattern(200)), (false, b"skipp".to_vec()), (true, b"last".to_vec())] {
                let enough = expected.1.len();
                let received = loop {
                    if let Some(received) = reads(knife, &mut ws, enough).await {
                        break received;
                    }
                };
                assert_eq!(received, expected);
                writes(knife, &mut ws, &expected.1, false).await;
                writes(knife, &mut ws, word.as_bytes(), true).await;
            }
            let (sent, pongs) = sent(role, &stream);
            assert_eq!(pongs, [b"1"]);
            let word = word.as_bytes().to_vec();
            let expected = [
                (0x02, pattern(200)),
                (0x01, word.clone()),
                (0x02, b"skipp".to_vec()),
                (0x01, word.clone()),
                (0x02, b"last".to_vec()),
                (0x01, word),
            ];
            assert_eq!(joined(&sent), expected);
        })
        .await;
    }
}

/// So many bytes of the next message, and its kind; `None` when it was cut off before the first.
async fn reads(knife: &mut Knife, ws: &mut WebSocket<Stream, Chunks>, enough: usize) -> Option<(bool, Vec<u8>)> {
    let mut reader = knife.cuts(ws.read_message()).await?.unwrap().expect("it is open");
    let mut received = Vec::new();
    while received.len() < enough {
        let mut few = vec![0; 6.min(enough - received.len())];
        if let Some(n) = knife.cuts(reader.read(&mut few)).await {
            let n = n.unwrap();
            assert!(n > 0, "the end of the message comes early");
            received.extend(&few[..n]);
        }
    }
    Some((reader.is_text(), received))
}

/// Sends a message a few bytes at a time.
async fn writes(knife: &mut Knife, ws: &mut WebSocket<Stream, Chunks>, message: &[u8], text: bool) {
    let mut writer = if text { ws.stream_text() } else { ws.stream_binary() };
    let mut rest = message;
    while !rest.is_empty() {
        if let Some(n) = knife.cuts(writer.write(&rest[..rest.len().min(50)])).await {
            rest = &rest[n.unwrap()..];
        }
    }
    while knife.cuts(writer.flush()).await.transpose().unwrap().is_none() {}
    while knife.cuts(writer.shutdown()).await.transpose().unwrap().is_none() {}
}

/// Messages, their fragments put together.
fn joined(frames: &[Frame]) -> Vec<Frame> {
    let mut messages: Vec<Frame> = Vec::new();
    let mut ended = true;
    for (first, payload) in frames {
        if ended {
            assert_ne!(first & 0x0f, 0, "a message begins");
            messages.push((first & 0x0f, Vec::new()));
        } else {
            assert_eq!(first & 0x0f, 0, "a message goes on");
        }
        messages.last_mut().unwrap().1.extend(payload);
        ended = first & 0x80 != 0;
    }
    assert!(ended);
    messages
}

// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn the_halves() {
    for role in ROLES {
        let message = |n: u8| vec![n; [5_000, 90, 90][usize::from(n % 3)]];
        at_every_poll(async |knife| {
            let stream = reluctant(&[], 1_000);
            stream.script().silent = true;
            let ws = open(role, stream.clone(), Messages, Config { max_unsent: 100, ..Config::default() });
            let (mut reader, mut writer) = ws.split();
            let mut done = Vec::new();
            for n in 0..9_u8 {
                stream.arrive(&frame(role, 0x89, &[n])[..3]);
                stream.arrive(&[&frame(role, 0x89, &[n])[3..], &frame(role, 0x82, &message(n))].concat());
                let (bytes, prepared) = (message(n), Prepared::binary(&message(n)));
                let sent = match n % 3 {
                    0 => knife.cuts(writer.send(&bytes[..])).await,
                    1 => knife.cuts(writer.feed(&bytes[..])).await,
                    _ => knife.cuts(writer.send(&prepared)).await,
                };
                if let Some(sent) = sent {
                    sent.unwrap();
                    done.push(n);
                }
                let received = loop {
                    let received = match n % 2 {
                        0 => knife.cuts(reader.recv()).await,
                        _ => knife.cuts(async { reader.next().await.map(|lent| lent.map(Message::to_owned)) }).await,
                    };
                    if let Some(received) = received {
                        break received.unwrap();
                    }
                };
                assert_eq!(received, Some(OwnedMessage::Binary(message(n).into())));
                knife.cuts(writer.ping(&[n])).await.transpose().unwrap();
            }
            while knife.cuts(writer.flush()).await.transpose().unwrap().is_none() {}
            while knife.cuts(writer.start_close(None)).await.is_none() {}
            stream.arrive(&frame(role, 0x88, &[]));
            stream.ends();
            while knife.cuts(reader.recv()).await.transpose().unwrap().is_none() {}
            assert!(reader.end().unwrap().clean);
            let (mut sent, pongs) = sent(role, &stream);
            assert_eq!(sent.pop(), Some((0x88, Vec::new())));
            assert!(pongs.is_sorted_by(|one, other| one < other) && pongs.len() == 9, "{pongs:?}");
            sent.retain(|(first, _)| *first != 0x89);
            let numbers: Vec<u8> = sent.iter().map(|(_, payload)| payload[0]).collect();
            assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
            assert!(sent.iter().all(|(first, sent)| *first == 0x82 && *sent == message(sent[0])));
            assert!(done.iter().all(|n| numbers.contains(n)), "{done:?} {numbers:?}");
        })
        .await;
    }
}

/// A `select!` drops `next` each time that something else is ready.
// HOSTILE: 33
#[tokio::test(start_paused = true)]
async fn next_in_a_select() {
    let stream = reluctant(&frame(Role::Server, 0x82, &pattern(60)).repeat(20), 5);
    let mut ws = open(Role::Server, stream.clone(), Messages, Config::default());
    let (mut received, mut others) = (0, 0);
    let error = loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => others += 1,
            message = ws.next() => match message {
                Ok(message) => {
                    assert!(message.unwrap().0 == Message::Binary(&pattern(60)));
                    received += 1;
                }
                Err(error) => break error,
            }
        }
    };
    assert_eq!(kind(&error), ErrorKind::UnexpectedEof);
    assert!(received == 20 && others > 100, "{received} {others}");
}

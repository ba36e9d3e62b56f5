//! A connection as `Stream` and `Sink`, with the combinators that people use.

use std::io::ErrorKind;
use std::pin::Pin;

use bowsprit::{CloseCode, Config, Error, Message, Messages, OwnedMessage, ProtocolError, Role, SendError};
use futures_util::stream::FusedStream;
use futures_util::{Sink, SinkExt, StreamExt, TryStreamExt, future};
use hex_literal::hex;

use crate::support::{ROLES, Script, Stream, frame, frames, kind, open, pattern, polls, server};

fn message(text: &str) -> OwnedMessage {
    OwnedMessage::Text(text.into())
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_the_connection() {
    for role in ROLES {
        let wire = [frame(role, 0x81, b"a"), frame(role, 0x89, b"1"), frame(role, 0x82, b"b")].concat();
        let close = frame(role, 0x88, &[0x03, 0xe8]);
        let stream = Stream::sends([&wire, &close]);
        let mut ws = open(role, stream.clone(), Messages, Config::default()).into_stream();
        let expected = [message("a"), OwnedMessage::Binary(b"b"[..].into())];
        assert_eq!(ws.by_ref().try_collect::<Vec<_>>().await.unwrap(), expected);
        assert!(ws.is_terminated() && ws.next().await.is_none());
        assert!(ws.get_ref().end().unwrap().clean);
        assert_eq!(frames(role, &stream.written()), [(0x8a, b"1".to_vec()), (0x88, vec![0x03, 0xe8])]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_behind_its_first_error() {
    let mut ws = server(Stream::sends([&hex!("818100000000 61")])).into_stream();
    assert_eq!(ws.next().await.unwrap().unwrap(), message("a"));
    assert!(!ws.is_terminated());
    assert_eq!(kind(&ws.next().await.unwrap().unwrap_err()), ErrorKind::UnexpectedEof);
    assert!(ws.is_terminated());
    assert!(ws.next().await.is_none() && ws.next().await.is_none());
    // The same for a broken rule.
    let stream = Stream::sends([&hex!("8101 61")]);
    let mut ws = server(stream.clone()).into_stream();
    assert!(matches!(ws.next().await, Some(Err(Error::Protocol(ProtocolError::Unmasked)))));
    assert!(ws.next().await.is_none());
    assert_eq!(stream.written(), hex!("8802 03ea"));
    assert!(matches!(ws.into_inner().next().await, Err(Error::Protocol(ProtocolError::Unmasked))));
}

#[tokio::test]
async fn an_echo_is_a_forward() {
    for role in ROLES {
        let wire: Vec<u8> = (0..50).flat_map(|n| frame(role, 0x82, &pattern(100 * n))).collect();
        let stream = Stream::silent();
        stream.arrive(&wire);
        let (sink, source) = open(role, stream.clone(), Messages, Config::default()).into_stream().split();
        let echoing = tokio::spawn(source.forward(sink));
        tokio::task::yield_now().await;
        stream.arrive(&frame(role, 0x88, &[0x03, 0xe8]));
        stream.ends();
        // It closes the sink at the end, which is closed already.
        echoing.await.unwrap().unwrap();
        let frames = frames(role, &stream.written());
        assert_eq!(frames.len(), 51);
        assert!((0..50).all(|n| frames[n] == (0x82, pattern(100 * n))));
        assert_eq!(frames[50], (0x88, vec![0x03, 0xe8]));
    }
}

#[tokio::test]
async fn what_is_fed_leaves_on_flush_and_before_a_read() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone()).into_stream();
    ws.feed(message("a")).await.unwrap();
    ws.feed(message("b")).await.unwrap();
    assert_eq!(stream.script().log, []);
    ws.send(message("c")).await.unwrap();
    assert_eq!(stream.script().writes(), [hex!("8101 61 8101 62 8101 63")]);
    ws.feed(message("d")).await.unwrap();
    assert!(polls(1, ws.next()).await.is_none());
    assert_eq!(stream.script().writes()[1..], [hex!("8101 64")]);
}

#[tokio::test]
async fn the_sink_is_ready_while_there_is_room() {
    let stream = Stream::new(Script { room: 3, silent: true, ..Script::default() });
    let config = Config { max_unsent: 4, ..Config::default() };
    let mut ws = open(Role::Server, stream.clone(), Messages, config).into_stream();
    ws.feed(message("a")).await.unwrap();
    ws.feed(message("b")).await.unwrap();
    // Full; the socket takes "a", which makes room for one more.
    ws.feed(message("c")).await.unwrap();
    assert!(polls(2, ws.feed(message("d"))).await.is_none(), "now it waits");
    // Whoever does not ask is told.
    let refused = Pin::new(&mut ws).start_send(message("e"));
    assert!(matches!(refused, Err(Error::Send(SendError::Full))));
    stream.drains(100);
    SinkExt::<OwnedMessage>::flush(&mut ws).await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8101 62 8101 63"));
}

#[tokio::test(start_paused = true)]
async fn to_close_the_sink_sends_a_close_and_the_stream_goes_on() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone()).into_stream();
    ws.feed(message("a")).await.unwrap();
    SinkExt::<OwnedMessage>::close(&mut ws).await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8802 03e8"));
    // Twice is once.
    SinkExt::<OwnedMessage>::close(&mut ws).await.unwrap();
    assert!(matches!(ws.send(message("late")).await, Err(Error::Send(SendError::Closing))));
    stream.arrive(&hex!("818100000000 62 888200000000 03e8"));
    stream.ends();
    assert_eq!(ws.next().await.unwrap().unwrap(), message("b"));
    assert!(ws.next().await.is_none());
    let end = ws.get_ref().end().unwrap();
    assert_eq!((end.clean, end.sent), (true, Some(CloseCode::NORMAL)));
    assert_eq!(stream.written(), hex!("8101 61 8802 03e8"));
}

/// A Close waits for the socket to take it.
#[tokio::test(start_paused = true)]
async fn to_close_the_sink_waits_until_the_close_has_left() {
    let stream = Stream::new(Script { room: 1, silent: true, ..Script::default() });
    let mut ws = server(stream.clone()).into_stream();
    assert!(polls(3, SinkExt::<OwnedMessage>::close(&mut ws)).await.is_none());
    stream.drains(9);
    SinkExt::<OwnedMessage>::close(&mut ws).await.unwrap();
    assert_eq!(stream.written(), hex!("8802 03e8"));
}

#[tokio::test(start_paused = true)]
async fn a_sink_whose_stream_failed_tells_so() {
    let fails = Script { fails: Some((0, ErrorKind::BrokenPipe)), silent: true, ..Script::default() };
    let mut ws = server(Stream::new(fails)).into_stream();
    ws.feed(message("a")).await.unwrap();
    // The stream meets the failure, and waits for what the peer may have sent before.
    assert!(polls(1, ws.next()).await.is_none());
    assert_eq!(kind(&SinkExt::<OwnedMessage>::flush(&mut ws).await.unwrap_err()), ErrorKind::BrokenPipe);
    assert_eq!(kind(&SinkExt::<OwnedMessage>::close(&mut ws).await.unwrap_err()), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_there_and_back() {
    let stream = Stream::sends([&hex!("818100000000 61 818100000000 62 818100000000 63")]);
    let mut ws = server(stream.clone());
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
    ws.feed("x").await.unwrap();
    let mut ws = ws.into_stream();
    assert_eq!(ws.next().await.unwrap().unwrap(), message("b"));
    ws.get_mut().feed("y").await.unwrap();
    let mut ws = ws.into_inner();
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("c"));
    ws.flush().await.unwrap();
    assert_eq!(stream.written(), hex!("8101 78 8101 79"));
}

/// Through a combinator that drops what it waited with: the message is there the next time.
// HOSTILE: 33
#[tokio::test]
async fn a_select_of_two_streams_loses_nothing() {
    let wire = frame(Role::Server, 0x81, b"abc").repeat(10);
    let reads = wire.chunks(4).map(<[u8]>::to_vec).collect();
    let stream = Stream::new(Script { reads, stutters: true, ..Script::default() });
    let mut ws = server(stream).into_stream();
    let mut received = 0;
    loop {
        match future::select(ws.next(), Box::pin(tokio::task::yield_now())).await {
            future::Either::Left((Some(Ok(next)), _)) => {
                assert_eq!(next, message("abc"));
                received += 1;
            }
            future::Either::Left((end, _)) => {
                assert_eq!(kind(&end.unwrap().unwrap_err()), ErrorKind::UnexpectedEof);
                break;
            }
            future::Either::Right(_) => {}
        }
    }
    assert_eq!(received, 10);
}

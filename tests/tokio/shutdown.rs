//! Saying goodbye to many connections at once.

use std::time::Duration;

use bowsprit::tokio::{Shutdown, WebSocket};
use bowsprit::{Cause, CloseCode, Config, Error, Initiator, Message, Messages, Role, Timeout};
use hex_literal::hex;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ROLES, Script, Stream, echo, frame, frames, open, pattern, polls, server};

/// A connection of this shutdown, in a task that echoes; how it ended.
fn serve(shutdown: &Shutdown, stream: Stream, role: Role) -> tokio::task::JoinHandle<WebSocket<Stream>> {
    let mut ws = open(role, stream, Messages, Config::default());
    shutdown.watch(&mut ws);
    tokio::spawn(async move {
        let _ = echo(&mut ws).await;
        ws
    })
}

#[tokio::test(start_paused = true)]
async fn all_are_closed_with_1001_and_waited_for() {
    let shutdown = Shutdown::new();
    let streams: Vec<_> = (0..10).map(|n| (Stream::silent(), ROLES[n % 2])).collect();
    let tasks: Vec<_> = streams.iter().map(|(stream, role)| serve(&shutdown, stream.clone(), *role)).collect();
    sleep(Duration::from_secs(1)).await;
    assert!(timeout(Duration::from_secs(60), shutdown.finished()).await.is_err(), "they live");
    assert!(streams.iter().all(|(stream, _)| stream.written().is_empty()), "nobody said goodbye yet");
    shutdown.begin();
    sleep(Duration::from_secs(1)).await;
    for (stream, role) in &streams {
        assert_eq!(frames(*role, &stream.written()), [(0x88, vec![0x03, 0xe9])]);
        // What comes before the peer's Close is still served, though not answered.
        stream.arrive(&frame(*role, 0x88, &[0x03, 0xe9]));
        stream.ends();
    }
    for task in tasks {
        let ws = task.await.unwrap();
        let end = ws.end().unwrap();
        assert_eq!((end.clean, end.sent, end.by), (true, Some(CloseCode::GOING_AWAY), Initiator::Local));
        assert!(timeout(Duration::from_millis(1), shutdown.finished()).await.is_err(), "it has not been dropped");
    }
    timeout(Duration::from_secs(1), shutdown.finished()).await.expect("all are gone");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_holds_it_up_until_the_deadline() {
    let shutdown = Shutdown::new();
    let silent = serve(&shutdown, Stream::silent(), Role::Server);
    // Nor one that takes nothing.
    let full = Stream::new(Script { room: 1, silent: true, ..Script::default() });
    full.arrive(&hex!("818100000000 61"));
    let full = serve(&shutdown, full, Role::Server);
    sleep(Duration::from_secs(1)).await;
    shutdown.begin();
    let start = Instant::now();
    assert_eq!(silent.await.unwrap().end().unwrap().cause, Cause::Timeout(Timeout::Close));
    assert_eq!(start.elapsed().as_secs(), 10);
    // Its Close has not left, so that its end is the write deadline's.
    assert_eq!(full.await.unwrap().end().unwrap().cause, Cause::Timeout(Timeout::Write));
    timeout(Duration::from_secs(60), shutdown.finished()).await.expect("all are gone");
    assert_eq!(start.elapsed().as_secs(), 29); // it has accepted nothing since a second before
}

#[tokio::test(start_paused = true)]
async fn those_that_come_later_are_closed_at_once() {
    let shutdown = Shutdown::default();
    shutdown.begin();
    shutdown.finished().await;
    let stream = Stream::silent();
    let task = serve(&shutdown, stream.clone(), Role::Server);
    assert!(timeout(Duration::from_secs(1), shutdown.finished()).await.is_err());
    assert_eq!(stream.written(), hex!("8802 03e9"));
    stream.arrive(&hex!("888200000000 03e9"));
    stream.ends();
    drop(task.await.unwrap());
    timeout(Duration::from_secs(1), shutdown.finished()).await.expect("it is gone");
}

#[tokio::test(start_paused = true)]
async fn those_that_are_closing_already_go_on() {
    // By their own Close, and by the peer's, whose end of the stream is not there yet.
    for own in [true, false] {
        let shutdown = Shutdown::new();
        let stream = Stream::silent();
        let mut ws = server(stream.clone());
        shutdown.watch(&mut ws);
        if own {
            ws.start_close(Some(CloseCode::NORMAL.into())).await.unwrap();
            assert!(polls(2, ws.next()).await.is_none());
        }
        shutdown.begin();
        stream.arrive(&hex!("818100000000 61 888200000000 03e8"));
        assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
        assert!(polls(2, ws.next()).await.is_none());
        stream.ends();
        assert!(ws.next().await.unwrap().is_none());
        assert_eq!(stream.written(), hex!("8802 03e8"), "one Close");
        assert!(ws.end().unwrap().clean);
    }
}

/// What a handler has queued goes before the Close.
#[tokio::test(start_paused = true)]
async fn what_is_queued_comes_first() {
    let shutdown = Shutdown::new();
    let stream = Stream::new(Script { room: 10, silent: true, ..Script::default() });
    let mut ws = server(stream.clone());
    shutdown.watch(&mut ws);
    ws.feed(&pattern(1_000)[..]).await.unwrap();
    assert!(polls(2, ws.next()).await.is_none());
    shutdown.begin();
    assert!(polls(2, ws.next()).await.is_none());
    stream.drains(10_000);
    assert!(polls(2, ws.next()).await.is_none());
    assert_eq!(frames(Role::Server, &stream.written()), [(0x82, pattern(1_000)), (0x88, vec![0x03, 0xe9])]);
}

/// Of a connection that was split, the reader says goodbye.
#[tokio::test(start_paused = true)]
async fn the_reader_of_two_halves_closes() {
    let shutdown = Shutdown::new();
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    shutdown.watch(&mut ws);
    let (mut reader, mut writer) = ws.split();
    let reads = tokio::spawn(async move {
        let ended = reader.next().await.map(|message| message.is_none());
        (ended, reader)
    });
    sleep(Duration::from_secs(1)).await;
    writer.send("a").await.unwrap();
    shutdown.begin();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stream.written(), hex!("8101 61 8802 03e9"));
    assert!(matches!(writer.send("late").await, Err(Error::Send(bowsprit::SendError::Closing))));
    stream.arrive(&hex!("888200000000 03e9"));
    stream.ends();
    let (ended, reader) = reads.await.unwrap();
    assert!(ended.unwrap());
    drop(writer);
    assert!(timeout(Duration::from_secs(1), shutdown.finished()).await.is_err(), "half of it lives");
    drop(reader);
    timeout(Duration::from_secs(1), shutdown.finished()).await.expect("it is gone");
}

/// To drop the `Shutdown` closes nobody.
#[tokio::test(start_paused = true)]
async fn without_it_everything_goes_on() {
    let shutdown = Shutdown::new();
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    shutdown.watch(&mut ws);
    assert!(polls(2, ws.next()).await.is_none());
    drop(shutdown);
    assert!(polls(2, ws.next()).await.is_none());
    stream.arrive(&hex!("818100000000 61"));
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
    assert_eq!(stream.written(), b"");
}

//! Halves in two tasks.

use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::tokio::{Connector, Incoming, Shutdown, WebSocket, WebSocketReader, WebSocketWriter, Writer};
use bowsprit::{Cause, Chunks, Close, CloseCode, Config, Error, Message, Messages, Role, SendError, Timeout};
use hex_literal::hex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    ROLES, Script, Stream, client, echo, frame, frames, kind, masked, open, pattern, polls, seconds, server, text,
};

/// Two ends of a TCP connection, whose buffers hold little.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    #[cfg(unix)]
    for socket in [&near, &far] {
        rustix::net::sockopt::set_socket_send_buffer_size(socket, 16 << 10).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(socket, 16 << 10).unwrap();
    }
    (near, far)
}

/// Fails a test that hangs.
async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("it hangs")
}

/// Numbered messages of all sizes, each `feed` or `send`, whatever comes meanwhile.
async fn pours<S: AsyncRead + AsyncWrite + Unpin>(mut writer: WebSocketWriter<S>, count: u32) -> Result<(), Error> {
    for n in 0..count {
        let message = message(n);
        if n % 3 == 0 {
            writer.send(&message[..]).await?;
        } else {
            writer.feed(&message[..]).await?;
        }
        if n % 50 == 0 {
            writer.ping(&n.to_be_bytes()).await?;
        }
    }
    writer.flush().await
}

/// Message number `n`.
fn message(n: u32) -> Vec<u8> {
    let mut message = vec![n.to_le_bytes()[0]; [10, 130, 5_000, 70_000][n as usize % 4]];
    message[..4].copy_from_slice(&n.to_be_bytes());
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_at_once_with_both_sockets_full() {
    const COUNT: u32 = 400;
    let (near, far) = tcp().await;
    let mut tasks = Vec::new();
    for ws in [client(near), server(far)] {
        let (mut reader, writer) = ws.split();
        tasks.push(tokio::spawn(async move { pours(writer, COUNT).await.unwrap() }));
        tasks.push(tokio::spawn(async move {
            for n in 0..COUNT {
                assert!(reader.next().await.unwrap().unwrap() == Message::Binary(&message(n)), "message {n}");
            }
            // What is left to write of Pongs.
            let _ = timeout(Duration::from_millis(50), reader.next()).await;
        }));
    }
    within(async {
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

/// Both directions full in one task a side would hold each other; a stream with a single waker shows whether each half
/// is woken for what it waits for.
#[tokio::test]
async fn both_ways_over_a_stream_with_one_waker() {
    let (near, far) = tokio::io::duplex(100);
    let mut tasks = Vec::new();
    for ws in [client(near), server(far)] {
        let (mut reader, mut writer) = ws.split();
        tasks.push(tokio::spawn(async move {
            for n in 0..200_u32 {
                writer.send(&[n.to_le_bytes()[0]; 333]).await.unwrap();
            }
        }));
        tasks.push(tokio::spawn(async move {
            for n in 0..200_u32 {
                assert_eq!(reader.next().await.unwrap(), Some(Message::Binary(&[n.to_le_bytes()[0]; 333])));
            }
        }));
    }
    within(async {
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

// HOSTILE: 21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_and_closing_at_once() {
    // Both halves, a peer that pings and closes while they send, and who closes first is a matter of luck.
    for round in 0..20_u8 {
        let (theirs, ours) = tokio::io::duplex(if round % 2 == 0 { 1_000 } else { 100_000 });
        let (mut reader, mut writer) = server(ours).split();
        let (mut peer_reads, mut peer_writes) = tokio::io::split(theirs);
        let peer = tokio::spawn(async move {
            let mut received = Vec::new();
            peer_reads.read_to_end(&mut received).await.expect("it ends");
            received
        });
        let asks = tokio::spawn(async move {
            let mut sent = Vec::new();
            for n in 0..10 * (round % 7) {
                sent.extend(frame(Role::Server, 0x89, &[n]));
                sent.extend(masked(&[n; 1000]));
            }
            sent.extend(frame(Role::Server, 0x88, &1000_u16.to_be_bytes()));
            // The other side may have ended for its own Close.
            let _ = peer_writes.write_all(&sent).await;
            let _ = peer_writes.shutdown().await;
        });
        let writes = tokio::spawn(async move {
            for n in 0..u32::MAX {
                let message = message(n);
                let sent = if n % 3 == 0 { writer.feed(&message[..]).await } else { writer.send(&message[..]).await };
                let sent = match sent {
                    Ok(()) if n == 5 * u32::from(round % 5) + 1 && round % 2 == 0 => writer.start_close(None).await,
                    sent => sent,
                };
                match sent {
                    Ok(()) => {}
                    Err(Error::Send(SendError::Closing) | Error::Io(_)) => return,
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        let received = within(async {
            while reader.next().await.expect("the peer keeps the rules").is_some() {}
            let end = reader.end().expect("it has ended");
            assert!(end.clean, "round {round}: {end:?}");
            writes.await.unwrap();
            asks.await.unwrap();
            drop(reader);
            peer.await.unwrap()
        })
        .await;
        // Whole frames, in order, one Close, and behind it nothing but Pongs.
        let frames = frames(Role::Server, &received);
        let close = frames.iter().position(|(first, _)| *first == 0x88).expect("it was sent");
        assert!(frames[close + 1..].iter().all(|(first, _)| *first == 0x8a), "round {round}");
        let messages = frames.iter().filter(|(first, _)| *first == 0x82);
        for (n, (_, payload)) in (0..).zip(messages) {
            assert!(*payload == message(n), "round {round}, message {n}");
        }
        let pongs: Vec<_> = frames.iter().filter(|(first, _)| *first == 0x8a).collect();
        assert!(pongs.is_sorted_by(|one, other| one.1 < other.1), "round {round}");
    }
}

#[tokio::test]
async fn the_reader_alone_answers_pings_and_the_close() {
    for keep in [true, false] {
        let stream = Stream::sends([&hex!("898100000000 61"), &hex!("888500000000 03e9 627965")]);
        let (mut reader, writer) = server(stream.clone()).split();
        let writer = keep.then_some(writer);
        assert!(reader.next().await.unwrap().is_none());
        assert_eq!(stream.written(), hex!("8a01 61 8802 03e9"));
        assert_eq!(reader.close_reason(), "bye");
        assert!(reader.end().unwrap().clean && stream.script().shut_down);
        if let Some(mut writer) = writer {
            assert!(matches!(writer.send("late").await, Err(Error::Send(SendError::Closing))));
            assert_eq!(writer.end(), reader.end());
        }
    }
}

#[tokio::test]
async fn the_reader_writes_what_a_writer_left_in_the_queue() {
    let stream = Stream::silent();
    let (mut reader, mut writer) = server(stream.clone()).split();
    writer.feed("a").await.unwrap();
    drop(writer);
    assert_eq!(stream.written(), b"");
    assert!(polls(1, reader.next()).await.is_none());
    assert_eq!(stream.written(), hex!("8101 61"));
}

#[tokio::test]
async fn the_writer_alone_sends_and_closes() {
    let stream = Stream::silent();
    let (reader, mut writer) = server(stream.clone()).split();
    drop(reader);
    writer.feed("a").await.unwrap();
    writer.send("b").await.unwrap();
    writer.ping(b"c").await.unwrap();
    writer.start_close(Some(CloseCode::NORMAL.into())).await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8101 62 8901 63 8802 03e8"));
    assert!(matches!(writer.feed("late").await, Err(Error::Send(SendError::Closing))));
}

/// A stream has one place for a waker, and so has a timer: neither half may take it from the other.
#[tokio::test(start_paused = true)]
async fn each_half_is_woken_for_what_it_waits_for() {
    for role in ROLES {
        let stream = Stream::new(Script { room: 0, silent: true, ..Script::default() });
        let (mut reader, mut writer) = open(role, stream.clone(), Messages, Config::default()).split();
        let reads = tokio::spawn(async move {
            let first = text(reader.recv().await.unwrap());
            (first, text(reader.recv().await.unwrap()), reader)
        });
        sleep(Duration::from_secs(1)).await;
        let writes = tokio::spawn(async move { writer.send("x").await.map(|()| writer) });
        sleep(Duration::from_secs(1)).await;
        stream.arrive(&frame(role, 0x81, b"a"));
        sleep(Duration::from_secs(1)).await;
        assert!(!reads.is_finished() && !writes.is_finished());
        stream.drains(100);
        let writer = timeout(Duration::from_secs(1), writes).await.expect("it is woken").unwrap().unwrap();
        stream.arrive(&frame(role, 0x81, b"b"));
        let (first, second, reader) = timeout(Duration::from_secs(1), reads).await.expect("it is woken").unwrap();
        assert_eq!((&*first, &*second), ("a", "b"));
        reader.reunite(writer).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_reader_finishes_a_close_of_the_writer() {
    let stream = Stream::silent();
    let (mut reader, mut writer) = server(stream.clone()).split();
    writer.feed("a").await.unwrap();
    writer.start_close(Some(Close { code: CloseCode::NORMAL, reason: "done" })).await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8806 03e8 646f6e65"));
    stream.arrive(&hex!("818100000000 62 888200000000 03e8"));
    stream.ends();
    assert_eq!(text(reader.recv().await.unwrap()), "b");
    assert!(reader.recv().await.unwrap().is_none());
    assert!(reader.end().unwrap().clean);
}

/// The reader waits already when the writer closes, and has to learn of the deadline.
#[tokio::test(start_paused = true)]
async fn a_close_that_the_peer_never_answers_ends_by_the_deadline() {
    let config = Config { close_timeout: seconds(7), ..Config::default() };
    let (mut reader, mut writer) = open(Role::Server, Stream::silent(), Messages, config).split();
    let reads = tokio::spawn(async move {
        let error = reader.next().await.map(|_| ()).unwrap_err();
        (kind(&error), reader.end().unwrap())
    });
    sleep(Duration::from_secs(100)).await;
    let start = Instant::now();
    writer.start_close(None).await.unwrap();
    let (kind, end) = reads.await.unwrap();
    assert_eq!((kind, start.elapsed().as_secs()), (ErrorKind::TimedOut, 7));
    assert_eq!((end.cause, end.received), (Cause::Timeout(Timeout::Close), None));
    assert_eq!(writer.end(), Some(end));
}

/// An end that one half meets is no good news for the other: what waits in the queue was not sent.
#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_for_room_learns_of_the_end() {
    type Ends = (&'static str, fn(&Stream), ErrorKind, Cause);
    let ends: [Ends; 4] = [
        ("its end", Stream::ends, ErrorKind::BrokenPipe, Cause::Disconnected),
        (
            "a failure",
            |stream| {
                let calls = stream.script().calls;
                stream.script().fails = Some((calls, ErrorKind::ConnectionReset));
                stream.arrive(b"");
            },
            ErrorKind::ConnectionReset,
            Cause::Disconnected,
        ),
        ("nothing", |_| {}, ErrorKind::TimedOut, Cause::Timeout(Timeout::Write)),
        ("a Close", |stream| stream.arrive(&hex!("888000000000")), ErrorKind::TimedOut, Cause::Timeout(Timeout::Write)),
    ];
    for (what, happens, expected, cause) in &ends {
        for full in [false, true] {
            let stream = Stream::new(Script { room: 5, silent: true, ..Script::default() });
            let config = Config { max_unsent: 8, ..Config::default() };
            let (mut reader, mut writer) = open(Role::Server, stream.clone(), Messages, config).split();
            let writes = tokio::spawn(async move {
                writer.send("0123456789").await?;
                if full { writer.feed("x").await } else { Ok(()) }
            });
            sleep(Duration::from_secs(1)).await;
            let reads = tokio::spawn(async move {
                let _ = reader.next().await.map(|_| ());
                reader.end().unwrap()
            });
            sleep(Duration::from_secs(1)).await;
            happens(&stream);
            let error = timeout(Duration::from_secs(60), writes).await.expect(what).unwrap().expect_err(what);
            assert_eq!(kind(&error), *expected, "{what}");
            let end = timeout(Duration::from_secs(60), reads).await.expect(what).unwrap();
            assert_eq!((end.clean, end.cause), (false, *cause), "{what}");
        }
    }
}

/// No event of the stream wakes the writer here: it is the reader that tells it.
#[tokio::test(start_paused = true)]
async fn the_writer_is_told_of_an_end_that_the_reader_met() {
    let stream = Stream::new(Script { room: 5, silent: true, ..Script::default() });
    let config = Config { write_timeout: None, ..Config::default() };
    let (mut reader, mut writer) = open(Role::Server, stream.clone(), Messages, config).split();
    let writes = tokio::spawn(async move { writer.send(&pattern(100)[..]).await });
    sleep(Duration::from_secs(1)).await;
    stream.script().silent = false;
    assert_eq!(kind(&reader.next().await.unwrap_err()), ErrorKind::UnexpectedEof);
    let sent = timeout(Duration::from_secs(1), writes).await.expect("it is woken").unwrap();
    assert_eq!(kind(&sent.unwrap_err()), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn the_reader_tells_of_an_end_that_the_writer_met() {
    let stream = Stream::new(Script { room: 3, silent: true, ..Script::default() });
    let config = Config { write_timeout: seconds(5), ..Config::default() };
    let (mut reader, mut writer) = open(Role::Server, stream, Messages, config).split();
    let reads = tokio::spawn(async move { kind(&reader.next().await.unwrap_err()) });
    assert_eq!(kind(&writer.send(&pattern(100)[..]).await.unwrap_err()), ErrorKind::TimedOut);
    assert_eq!(reads.await.unwrap(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn the_latency_of_the_writers_ping_is_measured() {
    let stream = Stream::silent();
    let (mut reader, mut writer) = server(stream.clone()).split();
    let reads = tokio::spawn(async move {
        assert_eq!(text(reader.recv().await.unwrap()), "");
        let _ = timeout(Duration::from_secs(1), reader.recv()).await;
        reader.latency()
    });
    sleep(Duration::from_secs(50)).await;
    writer.ping(b"a").await.unwrap();
    sleep(Duration::from_secs(3)).await;
    stream.arrive(&hex!("8a8100000000 61 818000000000"));
    assert_eq!(reads.await.unwrap(), seconds(3));
}

#[tokio::test]
async fn halves_are_reunited() {
    let stream = Stream::silent();
    stream.arrive(&hex!("818100000000 61 818100000000 62 8181"));
    let (mut reader, mut writer) = server(stream.clone()).split();
    assert_eq!(text(reader.recv().await.unwrap()), "a");
    writer.feed("x").await.unwrap();
    // Not with the half of another.
    let (other_reader, other_writer) = server(Stream::silent()).split();
    let (reader, _) = reader.reunite(other_writer).unwrap_err();
    let (_, writer) = other_reader.reunite(writer).unwrap_err();
    let mut ws = reader.reunite(writer).unwrap();
    ws.send("y").await.unwrap();
    assert_eq!(stream.written(), hex!("8101 78 8101 79"));
    assert_eq!(text(ws.recv().await.unwrap()), "b");
    stream.arrive(&hex!("00000000 63"));
    assert_eq!(text(ws.recv().await.unwrap()), "c");
}

/// All of it may live in tasks of the multi-thread runtime. It is enough that this compiles.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn everything_is_send() {
    fn is_send<T: Send>(_: &T) {}
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<WebSocket<TcpStream>>();
    is_send_and_sync::<WebSocket<TcpStream, Chunks>>();
    is_send_and_sync::<Writer<TcpStream>>();
    is_send_and_sync::<WebSocketReader<TcpStream>>();
    is_send_and_sync::<WebSocketWriter<TcpStream>>();
    is_send_and_sync::<Shutdown>();
    is_send_and_sync::<Incoming<TcpStream>>();
    is_send_and_sync::<Connector>();

    let mut ws = server(Stream::silent());
    is_send(&ws.next());
    is_send(&ws.recv());
    is_send(&ws.send(""));
    is_send(&ws.feed(""));
    is_send(&ws.flush());
    is_send(&ws.ready());
    is_send(&ws.ping(b""));
    is_send(&ws.start_close(None));
    is_send(&ws.stream_text());
    is_send(&ws.close(None));
    let mut ws = open(Role::Server, Stream::silent(), Chunks { max_message: 1, max_fragments: 1 }, Config::default());
    is_send(&ws.read_message());
    is_send(&bowsprit::tokio::accept(Stream::silent()));
    is_send(&bowsprit::tokio::connect("ws://example.com/"));
    let (mut reader, mut writer) = server(Stream::silent()).split();
    is_send(&reader.next());
    is_send(&reader.recv());
    is_send(&writer.send(""));

    // The README's loop.
    let stream = Stream::sends([&hex!("818100000000 61 888000000000")]);
    let mut ws = server(stream.clone());
    tokio::spawn(async move { echo(&mut ws).await }).await.unwrap().unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8800"));
}

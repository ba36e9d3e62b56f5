//! Deadlines, on a clock that jumps to the next timer once everything waits.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::tokio::{Connector, WebSocket};
use bowsprit::{Cause, CloseCode, Config, End, Error, Initiator, Message, Messages, Role, Timeout};
use hex_literal::hex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ROLES, Script, Stream, echo, frame, frames, kind, masked, open, pattern, polls, seconds, server};

const NEVER: Duration = Duration::from_secs(1_000_000);

/// Waits for the deadline that `ws` reaches: which one, and after how many seconds.
async fn expires<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocket<S>) -> (Timeout, u64) {
    let start = Instant::now();
    let error = timeout(NEVER, echo(ws)).await.expect("there is a deadline").unwrap_err();
    assert_eq!(kind(&error), ErrorKind::TimedOut);
    let end = ws.end().unwrap();
    assert!(!end.clean);
    let Cause::Timeout(timeout) = end.cause else { panic!("{end:?}") };
    (timeout, start.elapsed().as_secs())
}

fn config() -> Config {
    Config { close_timeout: seconds(10), write_timeout: None, message_timeout: None, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_closed_with_1001() {
    for role in ROLES {
        let stream = Stream::silent();
        let mut ws = open(role, stream.clone(), Messages, Config { idle_timeout: seconds(30), ..config() });
        // 30 s until the Close, 10 s for the peer to end the stream.
        assert_eq!(expires(&mut ws).await, (Timeout::Idle, 40));
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.by), (Some(CloseCode::GOING_AWAY), Initiator::Local));
        assert_eq!(frames(role, &stream.written()), [(0x88, vec![0x03, 0xe9])]);
        assert!(stream.script().shut_down);
    }
}

#[tokio::test(start_paused = true)]
async fn any_byte_puts_the_idle_deadline_off() {
    let stream = Stream::silent();
    let talks = talks(&stream, &hex!("8a8000000000 8a8000000000"), 20);
    let mut ws = open(Role::Server, stream, Messages, Config { idle_timeout: seconds(30), ..config() });
    assert_eq!(expires(&mut ws).await, (Timeout::Idle, 12 * 20 + 30 + 10));
    talks.await.unwrap();
}

/// A peer that sends this, a byte every so many seconds.
fn talks(stream: &Stream, bytes: &[u8], pause: u64) -> JoinHandle<()> {
    let (stream, bytes) = (stream.clone(), bytes.to_vec());
    tokio::spawn(async move {
        for byte in bytes {
            sleep(Duration::from_secs(pause)).await;
            stream.arrive(&[byte]);
        }
    })
}

#[tokio::test(start_paused = true)]
async fn keep_alive_pings_go_out_and_their_pongs_are_measured() {
    for role in ROLES {
        let (mut peer, near) = tokio::io::duplex(1_000);
        let ponging = tokio::spawn(async move {
            for n in 1..=3_u8 {
                let mut ping = vec![0; if role == Role::Client { 14 } else { 10 }];
                peer.read_exact(&mut ping).await.unwrap();
                assert_eq!(frames(role, &ping), [(0x89, vec![0, 0, 0, 0, 0, 0, 0, n])]);
                sleep(Duration::from_secs(u64::from(n))).await;
                peer.write_all(&frame(role, 0x8a, &[0, 0, 0, 0, 0, 0, 0, n])).await.unwrap();
            }
            peer.write_all(&frame(role, 0x88, b"")).await.unwrap();
            peer.read_exact(&mut vec![0; if role == Role::Client { 6 } else { 2 }]).await.unwrap();
        });
        let ping = Config { ping_interval: seconds(20), pong_timeout: seconds(5), ..config() };
        let mut ws = open(role, near, Messages, ping);
        assert_eq!(ws.latency(), None);
        let start = Instant::now();
        assert!(ws.next().await.unwrap().is_none());
        assert_eq!(start.elapsed().as_secs(), 63);
        assert_eq!(ws.latency(), seconds(3), "the last one");
        drop(ws);
        ponging.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_ping_is_closed_with_1001() {
    let stream = Stream::silent();
    let ping = Config { ping_interval: seconds(20), pong_timeout: seconds(30), ..config() };
    let mut ws = open(Role::Server, stream.clone(), Messages, ping);
    assert_eq!(expires(&mut ws).await, (Timeout::Pong, 20 + 30 + 10));
    // The second Ping came before the first one's Pong was due.
    assert_eq!(stream.written(), hex!("8908 0000000000000001 8908 0000000000000002 8802 03e9"));
}

#[tokio::test(start_paused = true)]
async fn the_time_to_a_pong_is_the_latency() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.ping(b"a").await.unwrap();
    // The time up to the call counts too.
    sleep(Duration::from_secs(3)).await;
    assert!(timeout(Duration::from_secs(4), ws.next()).await.is_err());
    stream.arrive(&hex!("8a8100000000 61"));
    assert!(timeout(Duration::from_secs(1), ws.next()).await.is_err());
    assert_eq!(ws.latency(), seconds(7));
}

/// What has arrived counts, though nobody has read it yet: the time that a handler takes is not the peer's.
#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_long_makes_no_peer_late() {
    let stream = Stream::silent();
    let config = Config {
        ping_interval: seconds(20),
        pong_timeout: seconds(30),
        idle_timeout: seconds(40),
        message_timeout: seconds(50),
        ..config()
    };
    let mut ws = open(Role::Server, stream.clone(), Messages, config);
    assert!(timeout(Duration::from_secs(25), ws.next()).await.is_err());
    stream.arrive(&hex!("818100000000 61 0182"));
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
    stream.arrive(&hex!("00000000 62"));
    assert!(timeout(Duration::from_secs(1), ws.next()).await.is_err());
    stream.arrive(&hex!("63 8a8800000000 0000000000000001 808100000000 64"));
    // Everything is overdue by now.
    sleep(Duration::from_secs(1_000)).await;
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("bcd"));
    assert_eq!(ws.end(), None);
    // And what has not arrived then is late: the Ping after the one that was answered.
    assert!(matches!(expires(&mut ws).await.0, Timeout::Pong | Timeout::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_makes_no_peer_silent() {
    let stream = Stream::new(Script { room: 10, silent: true, ..Script::sends([&hex!("818100000000 61 0181")]) });
    let config = Config { idle_timeout: seconds(5), message_timeout: seconds(5), ..config() };
    let mut ws = open(Role::Server, stream.clone(), Messages, config);
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
    assert!(timeout(Duration::from_secs(1), ws.next()).await.is_err());
    let drains = tokio::spawn({
        let stream = stream.clone();
        async move {
            sleep(Duration::from_secs(100)).await;
            stream.arrive(&hex!("00000000 62 808000000000"));
            stream.drains(1 << 20);
        }
    });
    timeout(Duration::from_secs(200), ws.send(&pattern(1_000)[..])).await.expect("it is woken").unwrap();
    drains.await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("b"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stalls_is_closed_with_1008() {
    let config = || Config { message_timeout: seconds(60), ..config() };
    let stream = Stream::sends([&hex!("018100000000 61")]);
    stream.script().silent = true;
    let mut ws = open(Role::Server, stream.clone(), Messages, config());
    assert_eq!(expires(&mut ws).await, (Timeout::Message, 60 + 10));
    assert_eq!(stream.written(), hex!("8802 03f0"));
    // Each byte of it puts the deadline off, and no Ping does.
    let stream = Stream::silent();
    let talks = talks(&stream, &hex!("0183 00000000 313233 8980 00000000"), 50);
    let mut ws = open(Role::Server, stream.clone(), Messages, config());
    assert_eq!(expires(&mut ws).await, (Timeout::Message, 9 * 50 + 60 + 10));
    talks.await.unwrap();
    assert_eq!(stream.written(), hex!("8802 03f0"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_goes_on_is_not_stalled() {
    let stream = Stream::silent();
    let wire = [&hex!("8188 00000000")[..], b"12345678"].concat();
    let talks = talks(&stream, &wire, 55);
    let mut ws = open(Role::Server, stream, Messages, Config { message_timeout: seconds(60), ..config() });
    assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("12345678"));
    talks.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let config = Config { write_timeout: seconds(30), max_unsent: 64, ..config() };
    let full = || Stream::new(Script { room: 10, silent: true, ..Script::default() });
    let large = pattern(100);
    for role in ROLES {
        // By send, ping, feed at the bound, flush, a message as a stream, and while `next` waits.
        for verb in 0..6 {
            let mut ws = open(role, full(), Messages, config.clone());
            let start = Instant::now();
            if verb > 1 {
                ws.feed(&large[..]).await.unwrap();
            }
            let told = timeout(NEVER, async {
                match verb {
                    0 => ws.send(&large[..]).await,
                    1 => ws.ping(&large).await,
                    2 => ws.feed("x").await,
                    3 => ws.flush().await,
                    4 => Ok(ws.stream_binary().flush().await?),
                    _ => ws.next().await.map(drop),
                }
            });
            let error = told.await.expect("there is a deadline").unwrap_err();
            assert_eq!((kind(&error), start.elapsed().as_secs()), (ErrorKind::TimedOut, 30), "{role:?} {verb}");
            let end = ws.end().unwrap();
            assert_eq!((end.clean, end.cause), (false, Cause::Timeout(Timeout::Write)));
            // And it stays so.
            assert_eq!(kind(&ws.next().await.map(drop).unwrap_err()), ErrorKind::TimedOut);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_little_by_little_is_not_given_up() {
    for with_next in [false, true] {
        let stream = Stream::new(Script { room: 0, silent: true, ..Script::default() });
        let mut ws = open(Role::Server, stream.clone(), Messages, Config { write_timeout: seconds(30), ..config() });
        let slow = tokio::spawn({
            let stream = stream.clone();
            async move {
                for _ in 0..50 {
                    sleep(Duration::from_secs(25)).await;
                    stream.drains(10);
                }
            }
        });
        if with_next {
            ws.feed(&pattern(496)[..]).await.unwrap();
            assert!(timeout(Duration::from_secs(2_000), ws.next()).await.is_err());
        } else {
            ws.send(&pattern(496)[..]).await.unwrap();
        }
        slow.await.unwrap();
        assert_eq!((ws.end(), stream.written().len()), (None, 500));
    }
}

/// Closes with what is done here, and tells how long that took.
async fn closes(stream: Stream, how: u8) -> (End, u64) {
    let mut ws = open(Role::Server, stream, Messages, config());
    let start = Instant::now();
    let end = timeout(NEVER, async {
        match how {
            0 => ws.close(None).await.unwrap(),
            1 => {
                ws.start_close(None).await.unwrap();
                echo(&mut ws).await.unwrap_err();
                ws.end().unwrap()
            }
            _ => {
                let (mut reader, mut writer) = ws.split();
                writer.start_close(None).await.unwrap();
                while let Ok(Some(_)) = reader.next().await {}
                reader.end().unwrap()
            }
        }
    });
    (end.await.expect("there is a deadline"), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes_is_given_up() {
    for how in 0..3 {
        let (end, seconds) = closes(Stream::silent(), how).await;
        assert_eq!((end.cause, end.received, end.clean, seconds), (Cause::Timeout(Timeout::Close), None, false, 10));
    }
}

/// From the Close, not from the next look at the clock.
#[tokio::test(start_paused = true)]
async fn the_close_deadline_counts_from_the_close() {
    let mut ws = open(Role::Server, Stream::silent(), Messages, config());
    ws.start_close(None).await.unwrap();
    sleep(Duration::from_secs(7)).await;
    assert_eq!(expires(&mut ws).await, (Timeout::Close, 3));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_the_stream_is_given_up() {
    for role in ROLES {
        // Both Closes are there: the end is a clean one all the same.
        let stream = Stream::silent();
        stream.arrive(&frame(role, 0x88, &[0x03, 0xe8]));
        let mut ws = open(role, stream, Messages, config());
        let start = Instant::now();
        assert!(timeout(NEVER, ws.next()).await.expect("there is a deadline").unwrap().is_none());
        assert_eq!((ws.end().unwrap().clean, start.elapsed().as_secs()), (true, 10));
        // After a broken rule.
        let stream = Stream::silent();
        stream.arrive(&[0xff, 0xff]);
        let mut ws = open(role, stream.clone(), Messages, config());
        let start = Instant::now();
        let told = timeout(NEVER, ws.next()).await.expect("there is a deadline").map(drop);
        assert!(matches!(told, Err(Error::Protocol(_))));
        assert_eq!(start.elapsed().as_secs(), 10);
        assert!(stream.script().shut_down);
    }
}

/// Sends this over and over, and reads everything, until the stream ends.
fn floods(peer: DuplexStream, bytes: Vec<u8>) -> JoinHandle<Vec<u8>> {
    let (mut reads, mut writes) = tokio::io::split(peer);
    tokio::spawn(async move {
        let mut received = Vec::new();
        let flood = async {
            while writes.write_all(&bytes).await.is_ok() {
                // Time goes on, a little.
                sleep(Duration::from_millis(100)).await;
            }
        };
        let (_, ()) = tokio::join!(reads.read_to_end(&mut received), flood);
        received
    })
}

/// However much comes, and whatever it is, a deadline that it does not move is kept.
#[tokio::test(start_paused = true)]
async fn a_flooding_peer_escapes_no_deadline() {
    let ping = hex!("898100000000 61").repeat(20);
    let message = masked(&pattern(1_000));
    let begun = hex!("018100000000 61");
    for flood in [&ping, &message] {
        // The closing handshake that it never answers.
        let (peer, near) = tokio::io::duplex(10_000);
        let floods = floods(peer, flood.clone());
        let start = Instant::now();
        let ws = open(Role::Server, near, Messages, config());
        let end = timeout(NEVER, ws.close(None)).await.expect("there is a deadline").unwrap();
        assert_eq!((end.cause, start.elapsed().as_secs()), (Cause::Timeout(Timeout::Close), 10));
        floods.await.unwrap();
        // The end of the stream after a broken rule.
        let (peer, near) = tokio::io::duplex(10_000);
        let floods = self::floods(peer, [&[0xff][..], flood].concat());
        let start = Instant::now();
        let mut ws = open(Role::Server, near, Messages, config());
        assert!(timeout(NEVER, ws.next()).await.expect("there is a deadline").is_err());
        assert_eq!(start.elapsed().as_secs(), 10);
        drop(ws);
        assert_eq!(floods.await.unwrap(), hex!("8802 03ea"));
    }
    // A message that it has begun.
    let (mut peer, near) = tokio::io::duplex(10_000);
    peer.write_all(&begun).await.unwrap();
    let floods = floods(peer, ping.clone());
    let mut ws = open(Role::Server, near, Messages, Config { message_timeout: seconds(20), ..config() });
    assert_eq!(expires(&mut ws).await, (Timeout::Message, 20 + 10));
    drop(ws);
    floods.await.unwrap();
}

/// A Pong cannot overtake what is still arriving, so any byte is a sign of life.
#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_on_sending_is_alive_without_a_pong() {
    let (peer, near) = tokio::io::duplex(10_000);
    let floods = floods(peer, hex!("898100000000 61").to_vec());
    let config = Config { ping_interval: seconds(5), pong_timeout: seconds(15), ..config() };
    let mut ws = open(Role::Server, near, Messages, config);
    assert!(timeout(Duration::from_secs(300), ws.next()).await.is_err());
    drop(ws);
    floods.await.unwrap();
}

/// Reads give this without an end, and never ask to wait.
struct Endless(Vec<u8>);

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(&self.0);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The clock is a real one, turned by another thread: this stream never lets its task go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_always_ready_escapes_no_deadline() {
    const SOON: Option<Duration> = Some(Duration::from_millis(30));
    // A broken rule, then anything: the close deadline alone ends it.
    let config = Config { close_timeout: SOON, ..Config::default() };
    let mut ws = open(Role::Server, Endless(vec![0xff; 100]), Messages, config);
    let ends = tokio::spawn(async move { ws.next().await.map(drop) });
    let ended = timeout(Duration::from_secs(20), ends).await.expect("there is a deadline").unwrap();
    assert!(matches!(ended, Err(Error::Protocol(_))));
}

/// On a runtime that has no timers, to make one is a panic.
#[test]
fn without_a_deadline_there_is_no_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let stream = Stream::silent();
        // Its deadlines are not running: nothing is unsent, in progress or closing.
        let mut ws = open(Role::Server, stream.clone(), Messages, Config::default());
        for _ in 0..3 {
            stream.arrive(&hex!("818100000000 61 898000000000 028100000000 62 808000000000"));
            assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
            ws.send(&pattern(10_000)[..]).await.unwrap();
            assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Binary(b"b"));
            assert!(polls(3, ws.next()).await.is_none());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_opening_handshake() {
    let timed_out = |error: &Error| matches!(error, Error::Timeout(Timeout::Handshake, _));
    let config = Config { handshake_timeout: seconds(10), ..config() };
    // A server: a silent client, one that sends byte after byte, one that does not take the answer.
    for (slow, room) in [(false, 1_000), (true, 1_000)] {
        let stream = Stream::new(Script { room, silent: true, ..Script::default() });
        let talks = talks(&stream, &[b'x'; 100], if slow { 1 } else { NEVER.as_secs() });
        let start = Instant::now();
        let error = bowsprit::tokio::receive_request(stream, config.clone().into()).await.unwrap_err();
        assert!(timed_out(&error), "{error:?}");
        // It is told why; that the client does not end the stream takes the close deadline.
        assert!((10..=20).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        talks.abort();
    }
    let request = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let stream = Stream::new(Script { room: 20, silent: true, ..Script::sends([request.as_bytes()]) });
    let start = Instant::now();
    let error =
        bowsprit::tokio::accept_with(stream, &AcceptOptions::new(), Messages, config.clone().into()).await.unwrap_err();
    assert!(timed_out(&error), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
    // A client: a server that takes nothing, one that says nothing, one that says little.
    let connector = Connector::new(ClientRequest::try_from("ws://example.com/").unwrap()).config(config);
    for (room, pause) in [(10, NEVER.as_secs()), (usize::MAX, NEVER.as_secs()), (usize::MAX, 1)] {
        let stream = Stream::new(Script { room, silent: true, ..Script::default() });
        let talks = talks(&stream, b"HTTP/1.1 101 Switching Protocols", pause);
        let start = Instant::now();
        let error = connector.connect_on(stream).await.unwrap_err();
        assert!(timed_out(&error), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), 10);
        talks.abort();
    }
}

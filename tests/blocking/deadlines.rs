//! Deadlines, short and real. Only their order is judged, never how late they come.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::blocking::{Interest, Ready, Transport, WebSocket};
use bowsprit::{Cause, Close, CloseCode, Config, Initiator, Message, Messages, Timeout};
use hex_literal::hex;

use crate::support::{
    client_with, echo, expect, join, masked, millis, pattern, rest, server, server_with, tcp, timed_out, unmasked,
    within,
};

/// Closing is quick, in case nobody answers.
fn config() -> Config {
    Config { close_timeout: millis(50), ..Config::default() }
}

/// Waits for the deadline that `ws` reaches, no sooner than it is due.
fn expires<S: Transport>(ws: &mut WebSocket<S>, due: Option<Duration>) -> Timeout {
    let start = Instant::now();
    let error = echo(ws).unwrap_err();
    assert!(timed_out(&error), "{error:?}");
    assert!(start.elapsed() >= due.unwrap());
    let end = ws.end().unwrap();
    assert!(!end.clean);
    let Cause::Timeout(timeout) = end.cause else { panic!("{end:?}") };
    timeout
}

#[test]
fn a_silent_peer_is_closed_with_1001() {
    fn run<S: Transport + Read + Send + 'static>(mut peer: S, stream: S) {
        let mut ws = server_with(stream, Messages, Config { idle_timeout: millis(50), ..config() });
        assert_eq!(expires(&mut ws, millis(50)), Timeout::Idle);
        assert_eq!(ws.end().unwrap().sent, Some(CloseCode::GOING_AWAY));
        assert_eq!(ws.end().unwrap().by, Initiator::Local);
        assert_eq!(rest(&mut peer), hex!("8802 03e9"));
    }
    within(|| {
        let (peer, stream) = tcp();
        run(peer, stream);
        let (peer, stream) = UnixStream::pair().unwrap();
        run(peer, stream);
    });
}

#[test]
fn any_byte_puts_the_idle_deadline_off() {
    within(|| {
        let (mut peer, stream) = tcp();
        let talks = thread::spawn(move || {
            for byte in hex!("8a8000000000 8a8000000000") {
                thread::sleep(Duration::from_millis(40));
                peer.write_all(&[byte]).unwrap();
            }
            rest(&mut peer)
        });
        let mut ws = server_with(stream, Messages, Config { idle_timeout: millis(200), ..config() });
        assert_eq!(expires(&mut ws, millis(12 * 40 + 200)), Timeout::Idle);
        assert_eq!(join(talks), hex!("8802 03e9"));
    });
}

#[test]
fn keep_alive_pings_go_out_and_their_pongs_are_measured() {
    within(|| {
        let (mut peer, stream) = tcp();
        let ponging = thread::spawn(move || {
            for n in 1..=3 {
                expect(&mut peer, &[0x89, 8, 0, 0, 0, 0, 0, 0, 0, n]);
                peer.write_all(&[&hex!("8a88 00000000")[..], &[0, 0, 0, 0, 0, 0, 0, n]].concat()).unwrap();
            }
            peer.write_all(&hex!("888000000000")).unwrap();
            assert!(rest(&mut peer).ends_with(&hex!("8800")));
        });
        let ping = Config { ping_interval: millis(20), pong_timeout: millis(10_000), ..config() };
        let mut ws = server_with(stream, Messages, ping);
        assert_eq!(ws.latency(), None);
        assert!(ws.next().unwrap().is_none());
        assert!(ws.latency().is_some_and(|latency| latency < Duration::from_secs(10)));
        join(ponging);
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_with_1001() {
    within(|| {
        let (mut peer, stream) = tcp();
        let ping = Config { ping_interval: millis(30), pong_timeout: millis(50), ..config() };
        let mut ws = server_with(stream, Messages, ping);
        assert_eq!(expires(&mut ws, millis(80)), Timeout::Pong);
        let read = rest(&mut peer);
        assert!(read.starts_with(&hex!("8908 0000000000000001")) && read.ends_with(&hex!("8802 03e9")));
    });
}

#[test]
fn the_time_to_a_pong_is_the_latency() {
    within(|| {
        let (mut peer, stream) = tcp();
        let slow = thread::spawn(move || {
            expect(&mut peer, &hex!("8901 61"));
            thread::sleep(Duration::from_millis(30));
            peer.write_all(&hex!("8a8100000000 61 818000000000")).unwrap();
        });
        let mut ws = server(stream);
        ws.ping(b"a").unwrap();
        // The time up to the call counts too.
        thread::sleep(Duration::from_millis(30));
        assert!(matches!(ws.next().unwrap(), Some((Message::Text(""), _))));
        let _ = ws.next();
        assert!(ws.latency().unwrap() >= Duration::from_millis(30), "{:?}", ws.latency());
        join(slow);
    });
}

/// What has arrived counts, though nobody has read it yet: the time that a handler takes is not the peer's.
#[test]
fn a_handler_that_takes_long_makes_no_peer_late() {
    within(|| {
        let (mut peer, stream) = tcp();
        let ping = Config { ping_interval: millis(50), pong_timeout: millis(100), ..config() };
        let mut ws = server_with(stream, Messages, ping);
        let (go, read) = channel();
        let ponging = thread::spawn(move || {
            expect(&mut peer, &hex!("8908 0000000000000001"));
            peer.write_all(&hex!("818100000000 61")).unwrap();
            read.recv().unwrap();
            peer.write_all(&hex!("8a8800000000 0000000000000001 888000000000")).unwrap();
            peer
        });
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("a"), _))));
        go.send(()).unwrap();
        let mut peer = join(ponging);
        thread::sleep(Duration::from_millis(200));
        let closes = thread::spawn(move || rest(&mut peer));
        assert!(ws.next().unwrap().is_none());
        join(closes);
    });
}

#[test]
fn a_send_that_waits_makes_no_peer_silent() {
    within(|| {
        let (mut peer, stream) = tcp();
        let config = Config { idle_timeout: millis(50), message_timeout: millis(50), ..config() };
        let mut ws = server_with(stream, Messages, config);
        peer.write_all(&hex!("818100000000 61 0181")).unwrap();
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("a"), _))));
        let large = pattern(16 << 20);
        let slow = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            expect(&mut peer, &unmasked(&pattern(16 << 20)));
            peer
        });
        ws.send(&large[..]).unwrap();
        drop(join(slow));
    });
}

/// Sends this over and over, until the stream ends.
fn floods(mut peer: TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || while peer.write_all(&bytes).is_ok() {})
}

#[test]
fn a_peer_that_never_closes_is_given_up_silent_or_flooding() {
    within(|| {
        for flood in [Vec::new(), masked(&pattern(1000)), hex!("898100000000 61").repeat(100)] {
            let (mut peer, stream) = tcp();
            let mut reader = peer.try_clone().unwrap();
            let discards = thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
            let flooding = (!flood.is_empty()).then(|| floods(peer.try_clone().unwrap(), flood));
            let start = Instant::now();
            let end = server_with(stream, Messages, config()).close(None).unwrap();
            assert!(start.elapsed() >= Duration::from_millis(50));
            assert_eq!((end.cause, end.received), (Cause::Timeout(Timeout::Close), None));
            join(discards);
            flooding.map(join);
            let _ = peer.write(b"");
        }
    });
}

#[test]
fn start_close_sets_the_deadline_that_next_keeps() {
    within(|| {
        let (peer, stream) = tcp();
        let mut ws = server_with(stream, Messages, config());
        ws.start_close(Some(Close { code: CloseCode::NORMAL, reason: "" })).unwrap();
        assert_eq!(expires(&mut ws, millis(50)), Timeout::Close);
        assert_eq!(ws.end().unwrap().sent, Some(CloseCode::NORMAL));
        drop(peer);
    });
}

#[test]
fn a_message_that_stalls_is_closed_with_1008_silent_or_flooding() {
    within(|| {
        // The first fragment, then nothing, or pings without end.
        for flood in [Vec::new(), hex!("898100000000 61").repeat(100)] {
            let (mut peer, stream) = tcp();
            peer.write_all(&hex!("018100000000 61")).unwrap();
            let mut reader = peer.try_clone().unwrap();
            let reads = thread::spawn(move || rest(&mut reader));
            let flooding = (!flood.is_empty()).then(|| floods(peer, flood));
            let mut ws = server_with(stream, Messages, Config { message_timeout: millis(50), ..config() });
            assert_eq!(expires(&mut ws, millis(50)), Timeout::Message);
            drop(ws);
            let read = flooding.map_or_else(
                || Some(join(reads)),
                |flooding| {
                    join(flooding);
                    None // A reset may have destroyed what was on its way.
                },
            );
            assert!(read.is_none_or(|read| read == hex!("8802 03f0")));
        }
    });
}

#[test]
fn a_message_that_goes_on_is_not_stalled() {
    within(|| {
        let (mut peer, stream) = tcp();
        let slow = thread::spawn(move || {
            for byte in [&hex!("8188 00000000")[..], b"12345678"].concat() {
                thread::sleep(Duration::from_millis(40));
                peer.write_all(&[byte]).unwrap();
            }
            peer
        });
        let mut ws = server_with(stream, Messages, Config { message_timeout: millis(250), ..config() });
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("12345678"), _))));
        drop(join(slow));
    });
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_by_send_and_by_next() {
    within(|| {
        for send in [true, false] {
            let (peer, stream) = tcp();
            let config = Config { write_timeout: millis(50), max_unsent: 64 << 20, ..config() };
            let mut ws = client_with(stream, Messages, config);
            let large = vec![0; 32 << 20];
            let start = Instant::now();
            let error = if send {
                ws.send(&large[..]).unwrap_err()
            } else {
                ws.feed(&large[..]).unwrap();
                ws.next().map(|_| ()).unwrap_err()
            };
            assert!(timed_out(&error), "{error:?}");
            assert!(start.elapsed() >= Duration::from_millis(50));
            assert_eq!(ws.end().unwrap().cause, Cause::Timeout(Timeout::Write));
            drop(peer);
        }
    });
}

#[test]
fn a_peer_that_takes_little_by_little_is_not_given_up() {
    within(|| {
        let (mut peer, stream) = tcp();
        let len = 8 << 20;
        let slow = thread::spawn(move || {
            let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
            while read < len {
                thread::sleep(Duration::from_millis(20));
                read += peer.read(&mut buffer).unwrap();
            }
        });
        let mut ws = server_with(stream, Messages, Config { write_timeout: millis(2_000), ..config() });
        ws.send(&vec![0; len][..]).unwrap();
        join(slow);
    });
}

/// What a stream took and cannot hand on was not sent.
#[test]
fn a_stream_that_cannot_be_flushed_is_not_waited_for() {
    struct Stuck;

    impl Read for Stuck {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl Transport for Stuck {
        fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            self.write_vectored(parts)
        }

        fn wait(&mut self, _: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
            thread::sleep(timeout.expect("a deadline"));
            Ok(Ready::default())
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    within(|| {
        let config = Config { write_timeout: millis(50), ..Config::default() };
        let mut ws = server_with(Stuck, Messages, config);
        assert!(timed_out(&ws.send("a").unwrap_err()));
        assert_eq!(ws.end().unwrap().cause, Cause::Timeout(Timeout::Write));
    });
}

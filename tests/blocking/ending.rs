//! How connections end, and what `end()` tells of it.

use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::blocking::{Plain, Transport, WebSocket};
use bowsprit::{
    Cause, Close, CloseCode, Config, Error, Initiator, Message, Messages, ProtocolError, SendError, Timeout,
};
use hex_literal::hex;

use crate::script::{Op, Script};
use crate::support::{
    client, echo, expect, join, kind, masked, millis, pattern, rest, send_all, server, server_with, tcp, text,
    timed_out, unmasked, within,
};

const AWAY: Close<'_> = Close { code: CloseCode::GOING_AWAY, reason: "bye" };

#[test]
fn a_close_of_the_client_is_clean_at_both_ends() {
    fn run<S: Transport + Send + 'static>(near: S, far: S) {
        let server = thread::spawn(move || {
            let mut ws = server(far);
            echo(&mut ws).unwrap();
            ws.end().unwrap()
        });
        let mut ws = client(near);
        ws.send("a").unwrap();
        assert_eq!(text(ws.recv().unwrap()), "a");
        assert_eq!(ws.end(), None);
        let end = ws.close(Some(AWAY)).unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::GOING_AWAY), Some(CloseCode::GOING_AWAY)));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Local, true, Cause::Close));
        let end = join(server);
        assert_eq!((end.sent, end.received), (Some(CloseCode::GOING_AWAY), Some(CloseCode::GOING_AWAY)));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Remote, true, Cause::Close));
    }
    within(|| {
        let (near, far) = tcp();
        run(near, far);
        let (near, far) = UnixStream::pair().unwrap();
        run(near, far);
        let (near, far) = UnixStream::pair().unwrap();
        run(Plain(near), Plain(far));
    });
}

#[test]
fn a_close_of_the_server_is_clean_at_both_ends() {
    within(|| {
        let (near, far) = tcp();
        let server = thread::spawn(move || server(far).close(None).unwrap());
        let mut ws = client(near);
        assert!(ws.recv().unwrap().is_none());
        // And again.
        assert!(ws.recv().unwrap().is_none());
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::NO_STATUS), Some(CloseCode::NO_STATUS)));
        assert_eq!((end.by, end.clean, end.code()), (Initiator::Remote, true, CloseCode::NO_STATUS));
        let end = join(server);
        assert_eq!((end.by, end.clean, end.code()), (Initiator::Local, true, CloseCode::NO_STATUS));
    });
}

#[test]
fn code_and_reason_go_both_ways() {
    // In the middle of a message.
    let mut ws = server(Script::sends([&hex!("018200000000 6162"), &hex!("888500000000 03e9 627965")]));
    assert_eq!(ws.close_reason(), "");
    assert!(ws.next().unwrap().is_none());
    assert_eq!((ws.end().unwrap().code(), ws.close_reason()), (CloseCode::GOING_AWAY, "bye"));
    assert_eq!(ws.get_ref().log[2..], [Op::Wrote(hex!("8802 03e9").to_vec()), Op::ShutDown, Op::Read]);
    let mut ws = server(Script::default());
    ws.start_close(Some(AWAY)).unwrap();
    assert_eq!(ws.get_ref().written(), hex!("8805 03e9 627965"));
    // A message that was never ended is no reason.
    let mut ws = server(Script::sends([&hex!("018200000000 6162")]));
    assert!(ws.next().is_err());
    assert_eq!(ws.close_reason(), "");
}

#[test]
fn messages_go_on_after_start_close_until_the_peers() {
    let mut ws = server(Script::sends([&hex!("818100000000 61 818100000000 62 888000000000 818100000000 63")]));
    ws.start_close(None).unwrap();
    assert!(matches!(ws.send("late"), Err(Error::Send(SendError::Closing))));
    assert!(matches!(ws.start_close(None), Err(Error::Send(SendError::Closing))));
    assert_eq!(text(ws.recv().unwrap()), "a");
    assert_eq!(text(ws.recv().unwrap()), "b");
    assert!(ws.end().is_some_and(|end| !end.clean && end.received.is_none()));
    assert!(ws.recv().unwrap().is_none());
    assert!(ws.end().unwrap().clean);
    assert_eq!(ws.get_ref().written(), hex!("8800"));
}

#[test]
fn close_discards_what_comes_before_the_peers() {
    let mut peer = masked(&pattern(200_000));
    peer.extend(hex!("898100000000 61 888200000000 03e8"));
    let end = server(Script::sends([&peer])).close(None).unwrap();
    assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::NO_STATUS), Some(CloseCode::NORMAL), true));
}

#[test]
fn close_refuses_what_may_not_be_sent() {
    let (mut peer, stream) = tcp();
    let close = Close { code: CloseCode::ABNORMAL, reason: "" };
    assert!(matches!(
        server(stream).close(Some(close)),
        Err(Error::Send(SendError::InvalidCloseCode(CloseCode::ABNORMAL)))
    ));
    assert_eq!(rest(&mut peer), b"");
}

#[test]
fn close_tells_of_an_end_that_came_before_it() {
    let mut ws = server(Script::sends([&hex!("888200000000 03e8")]));
    assert!(ws.next().unwrap().is_none());
    let end = ws.end();
    assert!(end.unwrap().clean);
    assert_eq!(ws.close(Some(AWAY)).ok(), end);
    // Its peer has gone without a word.
    let end = server(Script::default()).close(Some(AWAY)).unwrap();
    assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::GOING_AWAY), None, false));
    assert_eq!(end.code(), CloseCode::ABNORMAL);
}

#[test]
fn a_write_that_fails_inside_next_is_its_error() {
    let mut ws = server(Script { fails: Some(ErrorKind::BrokenPipe), ..Script::default() });
    ws.feed("a").unwrap();
    assert_eq!(kind(&ws.next().unwrap_err()), ErrorKind::BrokenPipe);
    assert_eq!(ws.end().unwrap().cause, Cause::Disconnected);
}

/// A peer and this end both want to close, and neither reads before it has written all.
#[test]
fn close_reads_while_its_output_waits() {
    within(|| {
        let (mut peer, stream) = tcp();
        let large = pattern(10 << 20);
        let mut ws = server_with(stream, Messages, Config { max_unsent: 32 << 20, ..Config::default() });
        let flood = thread::spawn({
            let large = large.clone();
            move || {
                peer.write_all(&masked(&large)).unwrap();
                peer.write_all(&hex!("888000000000")).unwrap();
                rest(&mut peer)
            }
        });
        ws.feed(&large[..]).unwrap();
        let end = ws.close(None).unwrap();
        assert!(end.clean, "{end:?}");
        assert!(join(flood) == [&unmasked(&large)[..], &hex!("8800")].concat());
    });
}

#[test]
fn the_end_of_the_stream_without_a_close_is_an_error() {
    within(|| {
        for sent in [&b""[..], &hex!("818100000000 61 8181")] {
            let (mut peer, stream) = tcp();
            send_all(&mut peer, sent);
            let mut ws = server(stream);
            assert_eq!(kind(&echo(&mut ws).unwrap_err()), ErrorKind::UnexpectedEof);
            let end = ws.end().unwrap();
            assert_eq!((end.sent, end.received, end.clean), (None, None, false));
            assert_eq!((end.by, end.cause, end.code()), (Initiator::Remote, Cause::Disconnected, CloseCode::ABNORMAL));
            assert!(matches!(ws.send("x"), Err(Error::Send(SendError::Closing))));
        }
    });
}

#[test]
fn the_end_of_the_stream_before_the_peers_close_is_an_error() {
    let mut ws = server(Script::default());
    ws.start_close(Some(AWAY)).unwrap();
    assert_eq!(kind(&ws.next().unwrap_err()), ErrorKind::UnexpectedEof);
    let end = ws.end().unwrap();
    assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::GOING_AWAY), None, false));
    assert_eq!((end.by, end.cause), (Initiator::Local, Cause::Close));
}

/// Ends with a reset, because there is input that nobody reads.
fn reset(stream: TcpStream, mut peer: TcpStream) {
    peer.write_all(b"unread").unwrap();
    while stream.peek(&mut [0; 6]).unwrap() < 6 {}
    drop(stream);
}

#[test]
fn a_reset_is_an_error_of_the_stream() {
    within(|| {
        let (peer, stream) = tcp();
        let mut ws = server(stream);
        reset(peer, ws.get_ref().try_clone().unwrap());
        assert_eq!(kind(&ws.next().unwrap_err()), ErrorKind::ConnectionReset);
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.received, end.clean, end.cause), (None, None, false, Cause::Disconnected));
    });
}

/// `None` is for ends with two Closes alone.
#[test]
fn an_end_that_went_wrong_stays_an_error() {
    for role in [server, client] {
        // The end of the stream.
        let mut ws = role(Script::default());
        for _ in 0..3 {
            assert!(matches!(ws.next(), Err(Error::Io(_))));
        }
        // A broken rule.
        let mut ws = role(Script::sends([&[0xff]]));
        for _ in 0..3 {
            assert!(matches!(ws.next(), Err(Error::Protocol(ProtocolError::ReservedBits))));
        }
        // A failure of the stream, in a write and in a read.
        let mut ws = role(Script { fails: Some(ErrorKind::BrokenPipe), ..Script::default() });
        assert_eq!(kind(&ws.send("a").unwrap_err()), ErrorKind::BrokenPipe);
        for _ in 0..3 {
            assert!(matches!(ws.next(), Err(Error::Io(_))));
        }
        let mut ws = role(Script { reads: [Err(ErrorKind::Other)].into(), ..Script::default() });
        for _ in 0..3 {
            assert!(matches!(ws.next(), Err(Error::Io(_))));
        }
    }
}

#[test]
fn a_deadline_that_ended_a_send_is_what_next_tells() {
    within(|| {
        let (peer, stream) = tcp();
        let config = Config { write_timeout: millis(50), ..Config::default() };
        let mut ws = server_with(stream, Messages, config);
        assert!(timed_out(&ws.send(&vec![0; 32 << 20][..]).unwrap_err()));
        assert!(timed_out(&ws.next().unwrap_err()));
        assert_eq!(ws.end().unwrap().cause, Cause::Timeout(Timeout::Write));
        drop(peer);
    });
}

/// What a peer says last is heard, though it takes nothing any more.
#[test]
fn a_close_is_heard_behind_a_write_that_fails() {
    for fail in [|ws: &mut WebSocket<Script>| ws.send("x"), |ws: &mut WebSocket<Script>| ws.feed(&[0; 5000])] {
        let mut ws =
            client(Script { fails: Some(ErrorKind::BrokenPipe), ..Script::sends([&hex!("8101 61 8802 03f0")]) });
        let _ = fail(&mut ws);
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("a"), _))));
        let _ = ws.next();
        let end = ws.end().unwrap();
        assert_eq!((end.received, end.clean), (Some(CloseCode::POLICY_VIOLATION), false));
    }
}

#[test]
fn a_peer_that_breaks_a_rule_is_told_and_so_is_the_caller() {
    within(|| {
        let (mut peer, stream) = tcp();
        // Unmasked from a client, behind a message in order; much more follows.
        peer.write_all(&hex!("818100000000 61 8101 62")).unwrap();
        let flood = thread::spawn(move || {
            peer.write_all(&vec![0; 10 << 20]).unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            rest(&mut peer)
        });
        let mut ws = server(stream);
        assert!(matches!(echo(&mut ws), Err(Error::Protocol(ProtocolError::Unmasked))));
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::PROTOCOL_ERROR), None));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Local, false, Cause::Protocol(ProtocolError::Unmasked)));
        assert_eq!(join(flood), hex!("8101 61 8802 03ea"));
    });
}

#[test]
fn close_tells_of_the_rule_that_was_broken() {
    let end = server(Script::sends([&hex!("8101 62")])).close(None).unwrap();
    assert_eq!((end.cause, end.clean), (Cause::Protocol(ProtocolError::Unmasked), false));
    assert_eq!((end.sent, end.received), (Some(CloseCode::NO_STATUS), None));
}

#[test]
fn a_client_waits_for_the_server_to_end_the_stream() {
    within(|| {
        let (mut peer, stream) = tcp();
        let waits = thread::spawn(move || client(stream).close(None).unwrap());
        let mut close = [0; 6];
        peer.read_exact(&mut close).unwrap();
        assert_eq!(close[..2], hex!("8880"));
        peer.write_all(&hex!("8800")).unwrap();
        // It has not ended its side, and reads on.
        peer.write_all(&pattern(1 << 20)).unwrap();
        peer.set_read_timeout(millis(20)).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!waits.is_finished());
        drop(peer);
        assert!(join(waits).clean);
    });
}

/// Nobody has to drop a connection for the peer to see its end.
#[test]
fn the_peer_sees_the_end_once_it_is_reported() {
    within(|| {
        for sent in [&hex!("8800")[..], b"", &hex!("8100 81")] {
            let (mut peer, stream) = tcp();
            send_all(&mut peer, sent);
            let mut ws = client(stream);
            let _ = echo(&mut ws);
            assert!(ws.end().is_some());
            peer.set_read_timeout(millis(5_000)).unwrap();
            rest(&mut peer);
        }
    });
}

#[test]
fn a_server_ends_the_stream_first() {
    within(|| {
        let (mut peer, stream) = tcp();
        peer.write_all(&hex!("888000000000")).unwrap();
        let ends = thread::spawn(move || {
            let mut ws = server(stream);
            assert!(ws.next().unwrap().is_none());
            ws.end().unwrap()
        });
        expect(&mut peer, &hex!("8800"));
        assert_eq!(rest(&mut peer), b"");
        drop(peer);
        assert!(join(ends).clean);
    });
}

#[test]
fn a_large_echo_does_not_block_a_peer_that_writes_all_before_it_reads() {
    within(|| {
        let (mut peer, stream) = tcp();
        let large = pattern(10 << 20);
        let echoing = thread::spawn(move || {
            let mut ws = server(stream);
            echo(&mut ws).unwrap();
            ws.end().unwrap()
        });
        peer.write_all(&masked(&large)).unwrap();
        peer.write_all(&masked(b"small")).unwrap();
        peer.write_all(&hex!("888000000000")).unwrap();
        let echoed = rest(&mut peer);
        assert!(echoed == [&unmasked(&large)[..], &unmasked(b"small"), &hex!("8800")].concat());
        drop(peer);
        assert!(join(echoing).clean);
    });
}

/// A message that was queued, and then thrown away with the rest, has not been sent.
#[test]
fn what_was_lost_is_not_flushed() {
    let reads = [Err(ErrorKind::WouldBlock)].into();
    let mut ws = server(Script { fails: Some(ErrorKind::BrokenPipe), reads, ..Script::default() });
    ws.feed("a").unwrap();
    assert_eq!(kind(&ws.next().unwrap_err()), ErrorKind::WouldBlock);
    assert_eq!(kind(&ws.flush().unwrap_err()), ErrorKind::BrokenPipe);
}

/// What is left is written within the deadline for writing; that the peer ends the stream has the one for closing.
#[test]
fn the_end_of_the_stream_is_awaited_as_long_as_closing_may_take() {
    within(|| {
        let (near, mut peer) = tcp();
        let config = Config { write_timeout: millis(100), close_timeout: millis(10_000), ..Config::default() };
        let mut ws = server_with(near, Messages, config);
        let start = Instant::now();
        let peer = thread::spawn(move || {
            peer.write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
            assert_eq!(rest(&mut peer), [0x88, 0x00]);
            thread::sleep(Duration::from_millis(500));
        });
        assert!(ws.next().unwrap().is_none());
        assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
        join(peer);
    });
}

/// A stream that buffers: the server ends it once it has the Close, which so has to leave.
#[test]
fn a_close_does_not_stay_in_a_buffer() {
    struct Buffered(BufWriter<TcpStream>);

    impl Read for Buffered {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.get_mut().read(buffer)
        }
    }

    impl Write for Buffered {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    within(|| {
        let (near, mut peer) = tcp();
        let peer = thread::spawn(move || {
            peer.write_all(&[0x88, 0x00]).unwrap();
            peer.set_read_timeout(millis(5_000)).unwrap();
            let mut close = [0; 6];
            peer.read_exact(&mut close).map(|()| close[0])
        });
        let mut ws = client(Plain(Buffered(BufWriter::new(near))));
        assert!(ws.next().unwrap().is_none());
        assert_eq!(join(peer).unwrap(), 0x88);
    });
}

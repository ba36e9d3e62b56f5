//! Halves in two threads.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::blocking::{Duplicate, WebSocketWriter};
use bowsprit::{Cause, Close, CloseCode, Config, Error, Message, Messages, Prepared, SendError, Timeout};
use hex_literal::hex;

use crate::support::{
    client, expect, join, kind, masked, millis, pattern, rest, server, server_with, tcp, text, timed_out, unmasked,
    within,
};

const DONE: Close<'_> = Close { code: CloseCode::NORMAL, reason: "done" };

/// Sends 64 MiB and then a Close, whatever comes meanwhile.
fn pours<S: Duplicate>(mut writer: WebSocketWriter<S>, message: &[u8]) -> Result<(), Error> {
    for at in 0..64_u8 {
        writer.feed(&[at])?;
        writer.send(message)?;
    }
    writer.feed("the end")?;
    writer.flush()
}

#[test]
fn both_ways_at_once_with_both_sockets_full() {
    fn run<S: Duplicate + Send + 'static>(near: S, far: S) {
        let message = pattern(1 << 20);
        let threads: Vec<_> = [client(near), server(far)]
            .into_iter()
            .flat_map(|ws| {
                let (mut reader, writer) = ws.split().unwrap();
                let (sent, expected) = (message.clone(), message.clone());
                let writes = thread::spawn(move || pours(writer, &sent).unwrap());
                let reads = thread::spawn(move || {
                    for at in 0..64_u8 {
                        assert!(matches!(reader.next().unwrap(), Some(Message::Binary(head)) if *head == [at]));
                        assert!(matches!(reader.next().unwrap(), Some(Message::Binary(body)) if *body == expected));
                    }
                    assert_eq!(text(reader.recv().unwrap()), "the end");
                });
                [writes, reads]
            })
            .collect();
        threads.into_iter().for_each(join);
    }
    within(|| {
        let (near, far) = tcp();
        for socket in [&near, &far] {
            rustix::net::sockopt::set_socket_send_buffer_size(socket, 16 << 10).unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size(socket, 16 << 10).unwrap();
        }
        run(near, far);
    });
}

#[test]
fn a_writer_that_waits_for_room_does_not_stop_the_reader() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let large = pattern(32 << 20);
        let expected = unmasked(&large);
        let writes = thread::spawn(move || writer.send(&large[..]));
        // The beginning of a frame: the writer is at it, and the peer takes no more.
        expect(&mut peer, &expected[..2]);
        for n in 0..100 {
            peer.write_all(&masked(&[n])).unwrap();
            assert!(matches!(reader.next().unwrap(), Some(Message::Binary(payload)) if *payload == [n]));
        }
        assert!(!writes.is_finished());
        expect(&mut peer, &expected[2..]);
        join(writes).unwrap();
    });
}

#[test]
fn the_reader_alone_answers_pings_and_the_close() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let reads = thread::spawn(move || {
            assert!(reader.next().unwrap().is_none());
            assert_eq!(reader.close_reason(), "bye");
            reader.end().unwrap()
        });
        peer.write_all(&hex!("898100000000 61")).unwrap();
        expect(&mut peer, &hex!("8a01 61"));
        peer.write_all(&hex!("888500000000 03e9 627965")).unwrap();
        expect(&mut peer, &hex!("8802 03e9"));
        assert_eq!(rest(&mut peer), b"");
        drop(peer);
        assert!(join(reads).clean);
        assert!(matches!(writer.send("late"), Err(Error::Send(SendError::Closing))));
        assert!(writer.end().unwrap().clean);
    });
}

#[test]
fn pongs_stay_whole_between_the_frames_of_a_writer() {
    within(|| {
        let (mut peer, stream) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let reads = thread::spawn(move || while reader.next().unwrap().is_some() {});
        let writes = thread::spawn(move || {
            for n in 0..200 {
                writer.send(&vec![n; 1 + 100 * usize::from(n)][..]).unwrap();
            }
            writer
        });
        let mut pings = peer.try_clone().unwrap();
        let asks = thread::spawn(move || {
            for n in 0..200 {
                pings.write_all(&[&hex!("8981 00000000")[..], &[n]].concat()).unwrap();
            }
        });
        // Each message whole and in order; Pongs, if not all, in order between them.
        let (mut next, mut pong) = (0_u8, None);
        while next < 200 {
            let mut lead = [0; 2];
            peer.read_exact(&mut lead).unwrap();
            match lead {
                [0x8a, 1] => {
                    let mut payload = [0];
                    peer.read_exact(&mut payload).unwrap();
                    assert!(pong < Some(payload[0]));
                    pong = Some(payload[0]);
                }
                lead => {
                    let frame = unmasked(&vec![next; 1 + 100 * usize::from(next)]);
                    assert_eq!(lead, frame[..2]);
                    expect(&mut peer, &frame[2..]);
                    next += 1;
                }
            }
        }
        join(asks);
        drop(join(writes));
        peer.write_all(&hex!("888000000000")).unwrap();
        assert!(rest(&mut peer).ends_with(&hex!("8800")));
        drop(peer);
        join(reads);
    });
}

#[test]
fn the_reader_finishes_a_close_of_the_writer() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        writer.feed("a").unwrap();
        writer.start_close(Some(DONE)).unwrap();
        expect(&mut peer, &hex!("8101 61 8806 03e8 646f6e65"));
        assert!(matches!(writer.feed("late"), Err(Error::Send(SendError::Closing))));
        peer.write_all(&hex!("818100000000 62 888200000000 03e8")).unwrap();
        let reads = thread::spawn(move || {
            assert_eq!(text(reader.recv().unwrap()), "b");
            assert!(reader.recv().unwrap().is_none());
            reader.end().unwrap()
        });
        assert_eq!(rest(&mut peer), b"");
        drop(peer);
        assert!(join(reads).clean);
    });
}

/// The reader waits already when the writer closes, and has to learn of the deadline.
#[test]
fn a_close_that_the_peer_never_answers_ends_by_the_deadline() {
    within(|| {
        let (mut peer, stream) = tcp();
        let timeout = Duration::from_millis(500);
        let config = Config { close_timeout: Some(timeout), ..Config::default() };
        let (mut reader, mut writer) = server_with(stream, Messages, config).split().unwrap();
        peer.write_all(&hex!("898000000000")).unwrap();
        let reads = thread::spawn(move || {
            let error = reader.next().map(|_| ()).unwrap_err();
            (error, reader.end().unwrap())
        });
        expect(&mut peer, &hex!("8a00"));
        thread::sleep(timeout / 5);
        writer.start_close(None).unwrap();
        let closed = Instant::now();
        let (error, end) = join(reads);
        // Counted from the reader's next look it would be 1.8 times as long.
        assert!(closed.elapsed() < timeout * 3 / 2, "{:?}", closed.elapsed());
        assert!(timed_out(&error), "{error:?}");
        assert_eq!((end.cause, end.received), (Cause::Timeout(Timeout::Close), None));
        assert_eq!(writer.end(), Some(end));
    });
}

#[test]
fn the_latency_of_the_writers_ping_is_measured() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        peer.write_all(&hex!("898000000000")).unwrap();
        let reads = thread::spawn(move || {
            assert!(matches!(reader.next().unwrap(), Some(Message::Text(""))));
            // The look at the clock comes with the next read.
            let _ = reader.next();
            reader.latency()
        });
        // The reader is there, and soon waits.
        expect(&mut peer, &hex!("8a00"));
        thread::sleep(Duration::from_millis(50));
        writer.ping(b"a").unwrap();
        expect(&mut peer, &hex!("8901 61"));
        thread::sleep(Duration::from_millis(20));
        peer.write_all(&hex!("8a8100000000 61 818000000000")).unwrap();
        drop(peer);
        assert!(join(reads).is_some_and(|latency| latency >= Duration::from_millis(20)));
    });
}

/// An end that the writer meets is no clean one for the reader.
#[test]
fn the_reader_tells_of_an_end_that_the_writer_met() {
    within(|| {
        let (peer, stream) = tcp();
        let config = Config { write_timeout: millis(50), ..Config::default() };
        let (mut reader, mut writer) = server_with(stream, Messages, config).split().unwrap();
        assert!(timed_out(&writer.send(&vec![0; 32 << 20][..]).unwrap_err()));
        assert!(timed_out(&reader.next().unwrap_err()));
        drop(peer);
    });
}

#[test]
fn both_halves_meet_the_end_of_the_stream() {
    within(|| {
        let (peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let reads = thread::spawn(move || kind(&reader.next().unwrap_err()));
        drop(peer);
        assert_eq!(join(reads), ErrorKind::UnexpectedEof);
        assert!(matches!(writer.send("x"), Err(Error::Send(SendError::Closing))));
        assert_eq!(writer.end().unwrap().cause, Cause::Disconnected);
    });
}

#[test]
fn a_writer_that_waits_for_room_learns_of_the_end() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let writes = thread::spawn(move || writer.send(&vec![0; 32 << 20][..]));
        expect(&mut peer, &hex!("827f"));
        drop(peer); // with input unread: a reset
        assert!(reader.next().is_err());
        assert!(join(writes).is_err(), "not all of it was sent");
        assert!(!reader.end().unwrap().clean);
    });
}

/// The peer ends its side, and takes no more of what is sent.
#[test]
fn what_was_thrown_away_was_not_sent() {
    within(|| {
        let (mut peer, stream) = tcp();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        let writes = thread::spawn(move || writer.send(&vec![0; 32 << 20][..]));
        expect(&mut peer, &hex!("827f"));
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(kind(&reader.next().unwrap_err()), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&join(writes).unwrap_err()), ErrorKind::BrokenPipe);
    });
}

#[test]
fn halves_are_reunited() {
    within(|| {
        let (mut peer, stream) = tcp();
        peer.write_all(&hex!("818100000000 61 818100000000 62 8181")).unwrap();
        let (mut reader, mut writer) = server(stream).split().unwrap();
        assert_eq!(text(reader.recv().unwrap()), "a");
        writer.feed("x").unwrap();
        // Not with the half of another.
        let (other_reader, other_writer) = server(tcp().1).split().unwrap();
        let (reader, _) = reader.reunite(other_writer).unwrap_err();
        let (_, writer) = other_reader.reunite(writer).unwrap_err();
        let mut ws = reader.reunite(writer).unwrap();
        ws.send(&Prepared::text("y")).unwrap();
        expect(&mut peer, &hex!("8101 78 8101 79"));
        assert_eq!(text(ws.recv().unwrap()), "b");
        peer.write_all(&hex!("00000000 63")).unwrap();
        assert_eq!(text(ws.recv().unwrap()), "c");
    });
}

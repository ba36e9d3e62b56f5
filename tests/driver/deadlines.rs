//! Deadlines, with simulated time: they measure the peer, not what stands between the two.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::Duration;

use bowsprit::driver::{
    Accepting, Buffers, Connecting, Drive, Driver, Goal, OpeningError, OwnBuffers, Step, TransportError,
};
use bowsprit::handshake::{ClientRequest, HandshakeError};
use bowsprit::{Cause, Close, CloseCode, Config, Connection, ConnectionError, Message, Messages, Outgoing, Timeout};
use bytes::BytesMut;

use crate::heap;
use crate::sim::{Fault, Op, Pause, Pipe, Wire, run};

const MS: Duration = Duration::from_millis(1);

/// An open connection, its transport, and the clock.
struct Open {
    driver: Driver,
    wire: Wire<'static>,
    from: Pipe,
    to: Pipe,
    now: Duration,
    paused: Option<Pause>,
    items: Vec<usize>,
}

impl Open {
    fn server(config: Config) -> Self {
        Self::new(Connection::server(Messages, config.into()))
    }

    fn new(connection: Connection) -> Self {
        let driver = Driver::new(connection, &[], BytesMut::new(), OwnBuffers);
        let (from, to) = (Pipe::new(usize::MAX), Pipe::new(64 << 10));
        let wire = Wire::new(|_, _| Fault::None);
        Self { driver, wire, from, to, now: Duration::ZERO, paused: None, items: Vec::new() }
    }

    /// Does all that can be done now.
    fn run(&mut self) {
        loop {
            let pause = run(&mut self.driver, &mut self.wire, &mut self.from, &mut self.to, self.now);
            self.paused = Some(pause);
            if pause != Pause::Ready {
                return;
            }
            self.items.push(self.driver.item().expect("there is one").as_bytes().len());
        }
    }

    /// Lets time pass; each deadline is met at its time.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Pause::Wait { until: Some(until), .. }) = self.paused
            && until < end
        {
            self.now = until;
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn is_closed(&self) -> bool {
        self.paused == Some(Pause::Closed)
    }
}

/// A client that reads frames of a server, answers each Ping, and answers the Close.
#[derive(Default)]
struct Peer {
    unread: Vec<u8>,
    payload: usize,
    pings: usize,
    close: Option<Vec<u8>>,
}

impl Peer {
    fn read(&mut self, bytes: &[u8], answers: &mut Pipe) {
        self.unread.extend_from_slice(bytes);
        loop {
            let (header, len) = match *self.unread {
                [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
                [_, 127, 0, 0, 0, 0, a, b, c, d, ..] => (10, u32::from_be_bytes([a, b, c, d]) as usize),
                [_, len @ ..=125, ..] => (2, usize::from(len)),
                _ => return,
            };
            if self.unread.len() < header + len {
                return;
            }
            let payload = self.unread[header..header + len].to_vec();
            match self.unread[0] {
                0x82 => self.payload += len,
                0x89 => {
                    self.pings += 1;
                    answers.push(&[0x8a, 0x80 | u8::try_from(len).expect("a control frame"), 0, 0, 0, 0]);
                    answers.push(&payload);
                }
                0x88 => {
                    answers.push(&[0x88, 0x80 | u8::try_from(len).expect("a control frame"), 0, 0, 0, 0]);
                    answers.push(&payload);
                    answers.ended = true;
                    self.close = Some(payload);
                }
                other => panic!("a frame of type {other:#x}"),
            }
            self.unread.drain(..header + len);
        }
    }
}

#[test]
// HOSTILE: 48
fn a_message_that_is_still_arriving_is_a_sign_of_life_for_the_keep_alive() {
    let mut server =
        Open::server(Config { ping_interval: Some(500 * MS), pong_timeout: Some(1_000 * MS), ..Config::default() });
    server.from.push(b"\x82\xff\x00\x00\x00\x00\x00\x3d\x09\x00\x37\xfa\x21\x3d");
    server.run();
    for _ in 0..80 {
        server.pass(50 * MS);
        server.from.push(&[0; 50_000]);
        server.run();
    }
    assert_eq!((server.driver.end(), &server.items[..]), (None, &[4_000_000][..]));
    // Silence, and no Pong to the pings before: now it is late.
    server.pass(1_001 * MS);
    assert_eq!(server.driver.end().map(|end| end.cause), Some(Cause::Timeout(Timeout::Pong)));
    assert!(server.to.bytes.ends_with(b"\x88\x02\x03\xe9"), "1001");
}

#[test]
// HOSTILE: 48
fn a_ping_behind_three_megabytes_counts_from_when_it_has_left() {
    let mut server =
        Open::server(Config { ping_interval: Some(5_000 * MS), pong_timeout: Some(20_000 * MS), ..Config::default() });
    server.driver.feed(&vec![7; 3_000_000]).expect("there is room");
    server.run();
    let mut peer = Peer::default();
    for _ in 0..800 {
        server.pass(80 * MS);
        let read = server.to.take(8 << 10);
        peer.read(&read, &mut server.from);
        server.run();
        assert_eq!(server.driver.end(), None, "after {:?}", server.now);
    }
    assert_eq!(peer.payload, 3_000_000);
    assert!(peer.pings >= 5, "{} pings", peer.pings);
    assert!(server.driver.send_half().latency().is_some());
}

#[test]
// HOSTILE: 49
fn what_was_accepted_before_the_close_arrives_at_a_peer_that_reads_slowly() {
    let mut server = Open::server(Config::default());
    server.to.capacity = 256 << 10;
    server.driver.feed(&vec![7; 30 << 20]).expect("there is room");
    server.driver.feed(Outgoing::close(Some(CloseCode::NORMAL.into()))).expect("it is open");
    server.run();
    let mut peer = Peer::default();
    while !server.is_closed() {
        server.pass(100 * MS);
        let read = server.to.take(150_000);
        peer.read(&read, &mut server.from);
        server.run();
        assert!(server.now < Duration::from_secs(30), "it ends when all has arrived");
    }
    assert_eq!((peer.payload, &peer.close.expect("a Close")[..]), (30 << 20, &b"\x03\xe8"[..]));
    assert!(server.now > Duration::from_secs(20), "longer than the close deadline: {:?}", server.now);
    assert!(server.driver.end().is_some_and(|end| end.clean));
    assert_eq!(server.driver.result(), Ok(()));
}

#[test]
// HOSTILE: 49
fn a_peer_that_reads_a_byte_now_and_then_does_not_keep_a_connection_that_closes() {
    let mut server = Open::server(Config::default());
    server.driver.feed(&vec![7; 30 << 20]).expect("there is room");
    server.driver.feed(Outgoing::close(None)).expect("it is open");
    server.run();
    while !server.is_closed() {
        server.pass(Duration::from_secs(29));
        server.to.take(1);
        server.run();
        // 4 KiB in each `write_timeout` of 30 s is the least; the first 64 KiB count for the first.
        assert!(server.now <= Duration::from_secs(90), "{:?}", server.now);
    }
    let timeout = ConnectionError::Timeout(Timeout::Write, Duration::from_secs(30));
    assert_eq!(server.driver.result(), Err(timeout));
    assert!(server.driver.end().is_some_and(|end| !end.clean));
}

#[test]
fn without_a_write_deadline_the_close_deadline_bounds_the_output_before_the_close() {
    let mut server = Open::server(Config { write_timeout: None, ..Config::default() });
    server.driver.feed(&vec![7; 1 << 20]).expect("there is room");
    server.pass(Duration::from_secs(1_000));
    assert_eq!(server.driver.end(), None, "it was told to wait");
    server.driver.feed(Outgoing::close(None)).expect("it is open");
    server.run();
    server.pass(Duration::from_secs(10));
    assert!(server.is_closed());
    let timeout = ConnectionError::Timeout(Timeout::Close, Duration::from_secs(10));
    assert_eq!(server.driver.result(), Err(timeout));
}

#[test]
fn without_a_close_deadline_the_peers_end_is_awaited_as_long_as_it_takes() {
    let mut server = Open::server(Config { close_timeout: None, ..Config::default() });
    server.from.push(b"\x88\x80\x00\x00\x00\x00");
    server.run();
    assert!(server.to.ended, "the writing side is shut down");
    assert_eq!(server.paused, Some(Pause::Wait { read: true, write: false, until: None }));
    server.pass(Duration::from_secs(1_000_000));
    assert!(!server.is_closed());
    server.from.ended = true;
    server.run();
    assert!(server.is_closed() && server.driver.end().is_some_and(|end| end.clean));
}

#[test]
fn a_peer_that_ends_its_writing_side_after_its_close_still_gets_everything() {
    let mut server = Open::server(Config::default());
    server.driver.feed(&vec![7; 300_000]).expect("there is room");
    server.from.push(b"\x88\x82\x00\x00\x00\x00\x03\xe8");
    server.from.ended = true;
    server.run();
    let mut peer = Peer::default();
    while !server.is_closed() {
        server.pass(5_000 * MS);
        let read = server.to.take(20_000);
        peer.read(&read, &mut Pipe::new(0));
        server.run();
    }
    let read = server.to.take(usize::MAX);
    peer.read(&read, &mut Pipe::new(0));
    assert_eq!((peer.payload, &peer.close.expect("a Close")[..]), (300_000, &b"\x03\xe8"[..]));
    assert!(server.driver.end().is_some_and(|end| end.clean));
}

#[test]
// HOSTILE: 38
fn a_flush_that_never_finishes_ends_by_the_write_deadline() {
    for split in [false, true] {
        let mut server = Open::server(Config::default());
        server.wire = Wire::new(|_, op| if op == Op::Flush { Fault::Blocked } else { Fault::None });
        server.driver.feed("hello").expect("there is room");
        if split {
            let goal = |server: &mut Open| {
                let mut until = server.driver.send_half_mut().until(Goal::Flushed);
                run(&mut until, &mut server.wire, &mut server.from, &mut server.to, server.now)
            };
            let until = Some(Duration::from_secs(30));
            assert_eq!(goal(&mut server), Pause::Wait { read: false, write: true, until });
            server.now = Duration::from_secs(30);
            assert_eq!(goal(&mut server), Pause::Closed);
        } else {
            server.run();
            server.pass(Duration::from_secs(30));
        }
        // HOSTILE: 37: the other half returns as well.
        server.run();
        assert!(server.is_closed());
        let timeout = Err(ConnectionError::Timeout(Timeout::Write, Duration::from_secs(30)));
        assert_eq!((server.driver.result(), server.driver.send_half().result()), (timeout, timeout));
    }
}

#[test]
// HOSTILE: 37
fn a_half_that_waits_sees_that_the_other_has_ended_the_connection() {
    let mut server = Open::server(Config::default());
    server.driver.feed(&vec![7; 1 << 20]).expect("there is room");
    let (mut receive, mut send) = server.driver.split();
    let (wire, from, to) = (&mut server.wire, &mut server.from, &mut server.to);
    let until = Some(Duration::from_secs(30));
    let reader = run(&mut receive.with(&mut send), wire, from, to, Duration::ZERO);
    assert_eq!(reader, Pause::Wait { read: true, write: true, until });
    let now = Duration::from_secs(30);
    assert_eq!(run(&mut send.until(Goal::Flushed), wire, from, to, now), Pause::Closed);
    assert_eq!(run(&mut receive.with(&mut send), wire, from, to, now), Pause::Closed);
    assert_eq!(run(&mut send.until(Goal::Room), wire, from, to, now), Pause::Closed);
    let timeout = Err(ConnectionError::Timeout(Timeout::Write, Duration::from_secs(30)));
    assert_eq!((receive.with(&mut send).result(), send.result()), (timeout, timeout));
}

#[test]
// HOSTILE: 51
fn a_client_that_stays_silent_has_one_handshake_deadline() {
    let mut accepting = Accepting::new(Config::default().into(), Duration::ZERO);
    let (mut wire, mut from, mut to) = (Wire::new(|_, _| Fault::None), Pipe::new(0), Pipe::new(64 << 10));
    let mut at = |now| run(&mut accepting, &mut wire, &mut from, &mut to, now);
    let until = Some(Duration::from_secs(10));
    assert_eq!(at(Duration::ZERO), Pause::Wait { read: true, write: false, until });
    assert_eq!(at(Duration::from_secs(10)), Pause::Closed);
    assert_eq!(accepting.result(), Err(OpeningError::Timeout(Timeout::Handshake, Duration::from_secs(10))));
    assert!(to.ended && to.take(100).starts_with(b"HTTP/1.1 408 "));
}

fn refused(response: &[u8], mut feed: impl FnMut(&mut Pipe)) -> (HandshakeError, Duration) {
    let request = ClientRequest::try_from("ws://example.com/").expect("an address");
    let config = Arc::new(Config::default());
    let mut connecting = Connecting::new(&request, [1; 16], config, Duration::ZERO);
    let mut from = Pipe::new(0);
    from.push(response);
    let mut now = 100 * MS;
    loop {
        feed(&mut from);
        // A step at a time: however much comes, the clock is looked at.
        match connecting.poll(|| now) {
            Step::Closed => break,
            Step::Wait { until, .. } => now = until.expect("a deadline").min(now + 10 * MS),
            Step::Read => {
                let n = connecting.read_buffer().len().min(from.bytes.len());
                let bytes = from.take(n);
                connecting.read_buffer()[..n].copy_from_slice(&bytes);
                if n == 0 {
                    connecting.read_blocked();
                } else {
                    connecting.received(n);
                }
                now += MS;
            }
            Step::Write => connecting.written(connecting.to_write().len()),
            Step::Flush => connecting.flushed(),
            Step::ShutdownWrite => connecting.write_shut_down(),
            Step::Ready => panic!("it was refused"),
        }
        assert!(now <= 1_200 * MS, "{now:?}");
    }
    match connecting.result() {
        Err(OpeningError::Handshake(error)) => (error, now),
        other => panic!("{other:?}"),
    }
}

#[test]
// HOSTILE: 50
fn a_refusal_is_reported_soon_whether_or_not_its_body_ends() {
    let chunk = |from: &mut Pipe| from.push(b"5\r\nhello\r\n");
    let flood = |from: &mut Pipe| {
        if from.bytes.len() < 8_000 {
            from.push(&b"1000\r\n"[..]);
            from.push(&[b'x'; 0x1000]);
            from.push(b"\r\n");
        }
    };
    type Feed<'a> = &'a mut dyn FnMut(&mut Pipe);
    let cases: [(&[u8], Feed<'_>, &[u8]); 4] = [
        (b"HTTP/1.1 403 Forbidden\r\n\r\nno", &mut |_| {}, b"no"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nshort", &mut |_| {}, b"short"),
        (b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", &mut { chunk }, b"hellohello"),
        (b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", &mut { flood }, b"xxxxx"),
    ];
    for (response, feed, body) in cases {
        let (error, now) = refused(response, feed);
        let HandshakeError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!(refusal.status(), 403);
        assert!(refusal.body().starts_with(body) && refusal.body().len() <= 64 << 10);
        assert!(now <= 1_110 * MS, "{now:?}");
    }
}

#[test]
// HOSTILE: 50
fn a_refusal_without_end_holds_at_most_64_kib_of_its_body() {
    let response = b"HTTP/1.1 403 Forbidden\r\n\r\n";
    let ((error, _), peak) = heap::peak(|| {
        refused(response, |from| {
            if from.bytes.is_empty() {
                from.push(&[b'x'; 3_000]);
            }
        })
    });
    let HandshakeError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.status(), 403);
    assert_eq!(refusal.body().len(), 64 << 10);
    // While it grows for the last time, the shorter one before it is copied.
    assert!(peak < 2 * (64 << 10), "{peak} bytes");
}

#[test]
// HOSTILE: 52
fn a_close_reason_that_is_too_long_is_cut_at_a_character_and_sent() {
    let mut server = Open::server(Config::default());
    let reason = "é".repeat(100);
    server.driver.feed(Outgoing::close(Some(Close { code: CloseCode::NORMAL, reason: &reason }))).expect("it is cut");
    server.run();
    let mut peer = Peer::default();
    let read = server.to.take(1_000);
    peer.read(&read, &mut server.from);
    server.run();
    let close = peer.close.expect("a Close");
    assert_eq!((&close[..2], &close[2..]), (&b"\x03\xe8"[..], "é".repeat(61).as_bytes()));
    assert!(server.driver.end().is_some_and(|end| end.clean));
}

#[test]
fn the_latency_of_a_ping_is_known_although_its_pong_waits_when_it_is_written() {
    let mut server = Open::server(Config::default());
    server.driver.feed(Outgoing::ping(b"x")).expect("there is room");
    // The answer is there before the driver reads for the first time.
    server.from.push(b"\x8a\x81\x00\x00\x00\x00x");
    server.run();
    assert_eq!(server.driver.send_half().latency(), Some(Duration::ZERO));

    // By the sending half, with time in between.
    let mut server = Open::server(Config::default());
    server.driver.feed(Outgoing::ping(b"x")).expect("there is room");
    let mut until = server.driver.send_half_mut().until(Goal::Flushed);
    let flushed = run(&mut until, &mut server.wire, &mut server.from, &mut server.to, server.now);
    assert_eq!(flushed, Pause::Ready);
    server.from.push(b"\x8a\x81\x00\x00\x00\x00x");
    server.now = 70 * MS;
    server.run();
    assert_eq!(server.driver.send_half().latency(), Some(70 * MS));
}

#[test]
fn a_transport_that_accepts_no_more_is_still_read_to_its_end() {
    let mut server = Open::server(Config::default());
    let broken = Fault::WritesFail(ErrorKind::BrokenPipe);
    server.wire = Wire::new(move |_, op| if op == Op::Write { broken } else { Fault::None });
    server.driver.feed("never arrives").expect("there is room");
    server.from.push(b"\x82\x81\x00\x00\x00\x00a\x88\x80\x00\x00\x00\x00");
    server.run();
    assert_eq!(server.items, [1]);
    let end = server.driver.end().expect("it ends");
    assert_eq!((end.received, end.clean), (Some(CloseCode::NO_STATUS), false));
    let broken = ConnectionError::Transport(TransportError::Io(ErrorKind::BrokenPipe));
    assert_eq!(server.driver.result(), Err(broken));
    assert_eq!(server.driver.feed(Message::Text("late")), Err(bowsprit::SendError::Closing));
}

#[test]
fn a_refusal_that_was_sent_before_the_request_was_read_is_reported() {
    for (response, expected) in [(&b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"[..], Some(503)), (&b""[..], None)]
    {
        let request = ClientRequest::try_from("ws://example.com/").expect("an address");
        let mut connecting = Connecting::new(&request, [1; 16], Config::default().into(), Duration::ZERO);
        let broken = Fault::WritesFail(ErrorKind::BrokenPipe);
        let mut wire = Wire::new(move |_, op| if op == Op::Write { broken } else { Fault::None });
        let (mut from, mut to) = (Pipe::new(0), Pipe::new(0));
        from.push(response);
        from.ended = true;
        assert_eq!(run(&mut connecting, &mut wire, &mut from, &mut to, Duration::ZERO), Pause::Closed);
        match (connecting.result(), expected) {
            (Err(OpeningError::Handshake(HandshakeError::Refused(refusal))), Some(status)) => {
                assert_eq!(refusal.status(), status);
            }
            (Err(OpeningError::Transport(error)), None) => {
                assert_eq!(error, TransportError::Io(ErrorKind::BrokenPipe));
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_deadline_that_the_clock_cannot_show_never_comes() {
    let mut server = Open::server(Config {
        ping_interval: Some(MS),
        idle_timeout: Some(Duration::from_secs(1)),
        ..Config::default()
    });
    server.now = Duration::MAX;
    server.run();
    assert_eq!(server.paused, Some(Pause::Wait { read: true, write: false, until: None }));
}

/// Counts the buffers that a driver holds.
#[derive(Clone, Default, Debug)]
struct Counted(Arc<[AtomicIsize; 2]>);

impl Buffers for Counted {
    fn take_block(&mut self, min: usize) -> Box<[u8]> {
        self.0[0].fetch_add(1, Relaxed);
        vec![0; min].into()
    }

    fn give_block(&mut self, block: Box<[u8]>) {
        if !block.is_empty() {
            self.0[0].fetch_sub(1, Relaxed);
        }
    }

    fn take_output(&mut self) -> BytesMut {
        self.0[1].fetch_add(1, Relaxed);
        BytesMut::with_capacity(1 << 10)
    }

    fn give_output(&mut self, _: BytesMut) {
        self.0[1].fetch_sub(1, Relaxed);
    }
}

#[test]
fn an_idle_connection_holds_no_buffer_whatever_came_last() {
    let held = Counted::default();
    let connection = Connection::server(Messages, Config::default().into());
    let mut driver = Driver::new(connection, &[], BytesMut::new(), held.clone());
    let (mut wire, mut from, mut to) = (Wire::new(|_, _| Fault::None), Pipe::new(0), Pipe::new(64 << 10));
    let frames: [&[u8]; 3] = [
        b"\x8a\x81\x00\x00\x00\x00x", // a Pong, which wants no answer
        b"\x89\x81\x00\x00\x00\x00x", // a Ping
        b"\x82\x81\x00\x00\x00\x00x", // a message
    ];
    for frame in frames {
        from.push(frame);
        while run(&mut driver, &mut wire, &mut from, &mut to, Duration::ZERO) == Pause::Ready {}
        assert_eq!((held.0[0].load(Relaxed), held.0[1].load(Relaxed)), (0, 0), "after {frame:x?}");
    }
}

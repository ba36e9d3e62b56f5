//! Attacks on the blocking adapter: over a stream that does what the test says, and over real sockets where those
//! matter.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bowsprit::blocking::{self, Connector, Parts, WebSocket};
use bowsprit::handshake::{ClientRequest, RequestError};
use bowsprit::{
    Cause, Close, CloseCode, Config, Connection, End, Error, HandshakeError, Message, Messages, OwnedMessage,
    ProtocolError, Role, SendError, Timeout,
};
use bytes::BytesMut;

use crate::handshake::{REQUEST, bad_responses};
use crate::heap;
use crate::stream::{Script, Stream};
use crate::wire::{ROLES, announce, frame, frames};

/// A connection over this stream, its handshake done.
fn open<S: blocking::Transport>(socket: S, role: Role, config: &Arc<Config>) -> WebSocket<S> {
    let connection = match role {
        Role::Client => Connection::client(Messages, config.clone(), [7; 32]),
        Role::Server => Connection::server(Messages, config.clone()),
    };
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

/// Echoes until nothing has arrived; how many messages that were.
fn echo(ws: &mut WebSocket<Stream<'_>>) -> usize {
    let mut messages = 0;
    loop {
        match ws.next() {
            Ok(Some((message, out))) => out.feed(message).expect("the stream takes everything"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return messages,
            end => panic!("{end:?}"),
        }
        messages += 1;
    }
}

/// Fills the buffers that a thread keeps for its connections.
fn warm_up(config: &Arc<Config>) {
    let script = Script::new([frame(Role::Server, 0x82, &[0; 3000])]);
    assert_eq!(echo(&mut open(Stream(&script), Role::Server, config)), 1);
}

/// What a connection of the adapter takes beyond its socket, heap included.
fn weight(ws: WebSocket<Stream<'_>>) -> usize {
    size_of_val(&ws) - size_of::<Stream<'_>>() + heap::held_by(ws)
}

// HOSTILE: 2
pub(crate) fn a_length_that_nothing_follows_over_a_stream() {
    let config = Arc::new(Config::default());
    warm_up(&config);
    for role in ROLES {
        for first in [0x82, 0x02] {
            let script = Script::new([announce(role, first, 64 << 20)]);
            let mut ws = open(Stream(&script), role, &config);
            let (messages, heap) = heap::of(|| echo(&mut ws));
            assert_eq!(messages, 0);
            assert!(heap.peak < 4 << 10, "{heap:?}");
        }
    }
}

// HOSTILE: 3
pub(crate) fn pings_over_a_stream_that_takes_nothing() {
    const PINGS: u32 = 400_000;
    let config = Arc::new(Config::default());
    for role in ROLES {
        let pings: Vec<Vec<u8>> = (0..PINGS).map(|n| frame(role, 0x89, &n.to_be_bytes())).collect();
        let script = Script::new(pings.chunks(5_000).map(<[_]>::concat));
        script.borrow_mut().room = 0;
        let mut ws = open(Stream(&script), role, &config);
        let (messages, heap) = heap::of(|| echo(&mut ws));
        assert_eq!(messages, 0);
        assert!(heap.peak <= 256 << 10, "a block and a queue: {heap:?}");
        let Parts { mut connection, mut output, .. } = ws.into_parts();
        let pong = if role == Role::Client { 10 } else { 6 };
        assert!(output.len() <= (16 << 10) + 2 * pong, "{} bytes are unsent", output.len());
        let mut sent = Vec::new();
        while !output.is_empty() {
            sent.extend_from_slice(&output);
            connection.wrote(output.len(), &mut output);
        }
        let newest = frames(role, &sent).pop().expect("there are some");
        assert_eq!((newest.first, newest.payload), (0x8a, (PINGS - 1).to_be_bytes().to_vec()));
    }
}

// HOSTILE: 6
pub(crate) fn masking_keys_of_two_connections() {
    let first_frame = || {
        let script = Script::new([]);
        script.borrow_mut().answers = Some(Vec::new());
        let request = ClientRequest::new("ws://server.example.com/".parse().expect("an address"));
        let (mut ws, _) = Connector::new(request.clone()).connect_on(Stream(&script)).expect("it is answered");
        let head = script.borrow().written.clone();
        ws.send("text").expect("the stream takes everything");
        drop(ws);
        let frame = frames(Role::Client, &script.borrow().written[head.len()..]).pop().expect("it was sent");
        (head, frame.key)
    };
    let ((one, first_key), (other, second_key)) = (first_frame(), first_frame());
    assert_ne!(one, other, "a fresh Sec-WebSocket-Key");
    assert_ne!(first_key, second_key, "a fresh seed");
}

// HOSTILE: 52
pub(crate) fn a_close_reason_that_is_too_long_to_send_over_a_stream() {
    let script = Script::new([]);
    let mut ws = open(Stream(&script), Role::Server, &Arc::default());
    let reason = "é".repeat(62); // 124 bytes
    ws.start_close(Some(Close { code: CloseCode::NORMAL, reason: &reason })).expect("the reason is cut");
    let sent = [&b"\x88\x7c\x03\xe8"[..], "é".repeat(61).as_bytes()].concat();
    assert_eq!(script.borrow().written, sent, "the code and the beginning of the reason");
}

// HOSTILE: 20
pub(crate) fn a_peer_that_never_lets_go_of_its_socket() {
    /// What the peer does, given its socket, until that fails.
    type Peer = (&'static str, fn(&mut UnixStream, Role) -> io::Result<()>);
    const SOON: Option<Duration> = Some(Duration::from_millis(40));
    let peers: [Peer; 3] = [
        ("is silent", |_, _| Ok(())),
        ("sends byte after byte", |socket, role| {
            socket.write_all(&announce(role, 0x82, 1 << 20))?;
            loop {
                socket.write_all(b"x")?;
                thread::sleep(Duration::from_millis(5));
            }
        }),
        ("floods", |socket, role| {
            let pings = frame(role, 0x89, b"ping").repeat(1_000);
            loop {
                socket.write_all(&pings)?;
            }
        }),
    ];
    /// How the connection is left, and the cause that is told.
    type Exit = (&'static str, fn(WebSocket<UnixStream>) -> Option<End>, fn(&Config) -> Config);
    let exits: [Exit; 4] = [
        ("our Close", |ws| ws.close(None).ok(), Config::clone),
        (
            "our Close and next",
            |mut ws| {
                ws.start_close(None).ok()?;
                while let Ok(Some(_)) = ws.next() {}
                ws.end()
            },
            Config::clone,
        ),
        (
            "output that nobody takes",
            |mut ws| {
                ws.send(Message::Binary(&vec![0; 8 << 20])).expect_err("it takes for ever");
                ws.end()
            },
            |config| Config { write_timeout: SOON, ..config.clone() },
        ),
        (
            "output that nobody takes, and a Close behind it",
            |mut ws| {
                ws.feed(Message::Binary(&vec![0; 8 << 20])).expect("it is queued");
                ws.close(None).ok()
            },
            Config::clone,
        ),
    ];
    let config = Config { close_timeout: SOON, ..Config::default() };
    thread::scope(|scope| {
        for (doing, peer) in peers {
            for (role, (what, leave, configure)) in ROLES.into_iter().flat_map(|role| exits.map(|exit| (role, exit))) {
                let config = Arc::new(configure(&config));
                scope.spawn(move || {
                    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
                    let mut alive = theirs.try_clone().expect("another handle");
                    thread::scope(|scope| {
                        // Until our end is gone.
                        scope.spawn(move || {
                            let _ = peer(&mut theirs, role);
                        });
                        let end = leave(open(ours, role, &config));
                        let end = end.unwrap_or_else(|| panic!("{what}, and the peer {doing}: no end is told"));
                        assert!(!end.clean, "{what}, and the peer {doing}: {end:?}");
                        assert!(matches!(end.cause, Cause::Timeout(Timeout::Close | Timeout::Write) | Cause::Close));
                    });
                    let _ = alive.read(&mut [0]);
                });
            }
        }
    });

    // The deadlines of the open state, and that of the handshake.
    let timed_out = |error: Error| matches!(error, Error::Timeout(..));
    for (config, wire, expected) in [
        (Config { idle_timeout: SOON, ..config.clone() }, vec![], Timeout::Idle),
        (Config { message_timeout: SOON, ..config.clone() }, frame(Role::Server, 0x01, b"begun"), Timeout::Message),
        (Config { ping_interval: SOON, pong_timeout: SOON, ..config.clone() }, vec![], Timeout::Pong),
    ] {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut ws = open(ours, Role::Server, &config.into());
        theirs.write_all(&wire).expect("there is room");
        assert!(timed_out(ws.next().map(drop).expect_err("nothing comes")), "{expected:?}");
        assert_eq!(ws.end().map(|end| end.cause), Some(Cause::Timeout(expected)));
    }
    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let config = Arc::new(Config { handshake_timeout: SOON, ..config });
    let request = ClientRequest::new("ws://server.example.com/".parse().expect("an address"));
    let clone = ours.try_clone().expect("another handle");
    assert!(timed_out(Connector::new(request).config(config.clone()).connect_on(clone).expect_err("no answer")));
    assert!(timed_out(blocking::receive_request(ours, config).expect_err("no request")));
}

// HOSTILE: 21
pub(crate) fn sending_and_closing_at_once() {
    // Both halves, a peer that pings and closes while they send, and who closes first is a matter of luck.
    for round in 0..60 {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let (mut reader, mut writer) = open(ours, Role::Server, &Arc::default()).split().expect("a pair");
        let mut peer_writes = theirs.try_clone().expect("another handle");
        thread::scope(|scope| {
            let peer = scope.spawn(move || {
                let mut received = Vec::new();
                theirs.read_to_end(&mut received).expect("it ends, and without a reset");
                received
            });
            scope.spawn(move || {
                let mut sent = Vec::new();
                for n in 0..10 * (round % 7) {
                    sent.extend(frame(Role::Server, 0x89, &[n]));
                    sent.extend(frame(Role::Server, 0x82, &[n; 1000]));
                }
                sent.extend(frame(Role::Server, 0x88, &1000_u16.to_be_bytes()));
                // The other side may have ended for its own Close.
                let _ = peer_writes.write_all(&sent);
                let _ = peer_writes.shutdown(std::net::Shutdown::Write);
            });
            let writes = scope.spawn(move || {
                for n in 0..u32::MAX {
                    let mut message = vec![round; [10, 130, 5_000, 70_000][n as usize % 4]];
                    message[..4].copy_from_slice(&n.to_be_bytes());
                    let message = Message::Binary(&message);
                    let sent = if n % 3 == 0 { writer.feed(message) } else { writer.send(message) };
                    let sent = match sent {
                        Ok(()) if n == 5 * u32::from(round % 5) + 1 && round % 2 == 0 => writer.start_close(None),
                        sent => sent,
                    };
                    match sent {
                        Ok(()) => {}
                        Err(Error::Send(SendError::Closing) | Error::Io(_)) => return,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
            while reader.next().expect("the peer keeps the rules").is_some() {}
            writes.join().expect("no panic");
            let end = reader.end().expect("it has ended");
            assert!(end.clean, "round {round}: {end:?}");
            drop(reader);
            let received = peer.join().expect("no panic");
            // Whole frames, in order, one Close, and behind it nothing but Pongs.
            let frames = frames(Role::Server, &received);
            let close = frames.iter().position(|frame| frame.first == 0x88).expect("it was sent");
            assert!(frames[close + 1..].iter().all(|frame| frame.first == 0x8a), "round {round}");
            let messages = frames.iter().filter(|frame| frame.first == 0x82);
            for (n, frame) in messages.enumerate() {
                let (number, filling) = frame.payload.split_first_chunk().expect("four bytes");
                assert_eq!(u32::from_be_bytes(*number) as usize, n, "round {round}");
                assert!(filling.iter().all(|byte| *byte == round));
                assert_eq!(frame.payload.len(), [10, 130, 5_000, 70_000][n % 4]);
            }
            let pongs: Vec<_> = frames.iter().filter(|frame| frame.first == 0x8a).collect();
            assert!(pongs.is_sorted_by(|one, other| one.payload < other.payload), "round {round}");
        });
    }
}

// HOSTILE: 24
#[cfg(not(feature = "rustls"))]
pub(crate) fn a_secret_in_plaintext() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("bound").port();
    for uri in [format!("wss://127.0.0.1:{port}/"), format!("WSS://user.localhost.invalid:{port}/")] {
        let error = blocking::connect(&uri).expect_err("there is no TLS");
        assert!(matches!(error, Error::Handshake(HandshakeError::TlsUnavailable)), "{error:?}");
    }
    assert_eq!(
        listener.accept().map(drop).map_err(|error| error.kind()),
        Err(ErrorKind::WouldBlock),
        "nothing was dialled"
    );
}

// HOSTILE: 27
pub(crate) fn frames_before_the_checks() {
    let request = ClientRequest::new("ws://server.example.com/chat".parse().expect("an address"));
    for (response, _) in bad_responses() {
        // Frames behind it are no reason to answer.
        let behind = frame(Role::Client, 0x89, b"ping");
        let script = Script::new([[response.as_bytes(), &behind].concat()]);
        script.borrow_mut().ends = true;
        let error = Connector::new(request.clone()).connect_on(Stream(&script));
        assert!(matches!(error, Err(Error::Handshake(_))), "{response}");
        let written = String::from_utf8(script.borrow().written.clone()).expect("text, no frames");
        assert_eq!(written.find("\r\n\r\n"), Some(written.len() - 4), "the head of the request and no byte behind it");
    }
    // A server answers a wrong version, and nothing else.
    let script = Script::new([format!("{}\r\n", REQUEST.replace("n: 13", "n: 8")).into_bytes()]);
    script.borrow_mut().ends = true;
    let error = blocking::accept(Stream(&script)).expect_err("a wrong version");
    assert!(matches!(error, Error::Handshake(HandshakeError::Request(RequestError::UnsupportedVersion))), "{error:?}");
    let answer = String::from_utf8(script.borrow().written.clone()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    assert!(script.borrow().shut_down);
}

// HOSTILE: 29
pub(crate) fn kept_messages_that_hold_the_read_buffer() {
    for role in ROLES {
        for (len, count) in [
            (10, 1_000),
            (1 << 10, 1_000),
            (2 << 10, 1_000),
            (16 << 10, 1_000),
            (40 << 10, 1_000),
            (64 << 10, 1_000),
            (1 << 20, 40),
        ] {
            // Each is kept amid 60 KiB of others, which are only looked at; it and those before it are whole, or in
            // fragments: their bytes move through one buffer.
            let other = [0; 3 << 10];
            let payload = vec![b'x'; len];
            let mut fragments = [frame(role, 0x02, &other), frame(role, 0x00, &other).repeat(8)].concat();
            fragments.extend(frame(role, 0x80, &other));
            fragments.extend(frame(role, 0x01, b""));
            payload.chunks(1000).for_each(|piece| fragments.extend(frame(role, 0x00, piece)));
            fragments.extend(frame(role, 0x80, b""));
            let whole = [frame(role, 0x82, &[0; 30 << 10]), frame(role, 0x81, &payload)].concat();
            // One that makes the block grow.
            let large = [frame(role, 0x82, &[0; 100 << 10]), frame(role, 0x81, &payload)].concat();
            let behind = frame(role, 0x82, &other).repeat(10);
            let script = Script::new([]);
            let mut ws = open(Stream(&script), role, &Arc::default());
            let mut kept = Vec::with_capacity(count);
            for n in 0..count {
                let message = match n % 20 {
                    0 => &large,
                    1..10 => &whole,
                    _ => &fragments,
                };
                script.borrow_mut().segments.push_back([&message[..], &behind].concat());
                assert!(matches!(ws.next(), Ok(Some((Message::Binary(_), _)))));
                kept.push(ws.recv().expect("it is right").expect("it is open"));
                for _ in 0..10 {
                    assert!(matches!(ws.next(), Ok(Some((Message::Binary(_), _)))));
                }
            }
            assert!(kept.iter().all(|message| matches!(message, OwnedMessage::Text(text) if text.len() == len)));
            assert_eq!(kept.len(), count);
            drop(ws);
            // Dropped one after the other: a block that several hold would come back with its last.
            for message in kept {
                let retained = heap::held_by(message);
                assert!(retained <= 2 * len + 64, "a message of {len} bytes retains {retained}");
            }
        }
    }
}

// HOSTILE: 30
pub(crate) fn one_huge_message_over_a_stream_and_then_silence() {
    let config = Arc::new(Config::default());
    let huge = vec![b'x'; 8 << 20];
    let role = Role::Server;
    let mut fragments = frame(role, 0x01, b"");
    huge.chunks(64 << 10).for_each(|piece| fragments.extend(frame(role, 0x00, piece)));
    fragments.extend(frame(role, 0x80, b""));
    for wire in [frame(role, 0x81, &huge), fragments] {
        for at_once in [usize::MAX, 100_000] {
            let script = Script::new([]);
            script.borrow_mut().at_once = at_once;
            let ((), thread) = heap::of(|| {
                script.borrow_mut().segments = wire.chunks(64 << 10).map(<[u8]>::to_vec).collect();
                let mut ws = open(Stream(&script), role, &config);
                assert_eq!(echo(&mut ws), 1);
                assert_eq!(script.borrow().written.len(), huge.len() + 10);
                script.borrow_mut().segments = VecDeque::new();
                script.borrow_mut().written = Vec::new();
                let weight = weight(ws);
                assert!(weight <= 256, "{weight} bytes");
            });
            // What the thread keeps: four blocks and four outputs, and one block that has grown.
            assert!(thread.growth <= 4 * (64 << 10) + 4 * (128 << 10) + (1 << 20) + (64 << 10), "{thread:?}");
        }
    }
}

// HOSTILE: 42
pub(crate) fn a_long_message_and_a_rest() {
    let config = Arc::new(Config::default());
    let role = Role::Server;
    warm_up(&config);
    let long = frame(role, 0x82, &vec![1; 33 << 20]);
    for rest in [1, 4_096, 4_097, 64 << 10, 1 << 20] {
        for (first, announced) in [(0x82, 4 << 20), (0x02, 4 << 20), (0x82, rest + 1)] {
            // The frame goes on longer than what comes of it.
            let next = [announce(role, first, announced as u64), vec![2; rest]].concat();
            let script = Script::new([[&long[..], &next].concat()]);
            script.borrow_mut().at_once = 1 << 20;
            let mut ws = open(Stream(&script), role, &config);
            assert_eq!(echo(&mut ws), 1);
            script.borrow_mut().written = Vec::new();
            let held = weight(ws);
            assert!(held <= 2 * next.len() + (64 << 10), "{held} bytes for {rest}, {first:#04x}, {announced}");
        }
    }
}

// HOSTILE: 31
pub(crate) fn idle_connections() {
    let config = Arc::new(Config::default());
    let role = Role::Server;
    let ten = || {
        let mut wire = Vec::new();
        for n in 0..9 {
            wire.extend(frame(role, 0x81, "x".repeat(1_000 * n).as_bytes()));
            wire.extend(frame(role, 0x89, b"ping"));
        }
        wire.extend(frame(role, 0x01, b"in two"));
        wire.extend(frame(role, 0x80, b" pieces"));
        wire
    };
    let script = Script::new([]);
    let untouched = open(Stream(&script), role, &config);
    let size = size_of_val(&untouched) - size_of::<Stream<'_>>();
    let fresh = weight(untouched);
    println!("a server's connection of the blocking adapter: {size} bytes, with its heap {fresh}");
    assert!(size_of::<WebSocket<TcpStream>>() - size_of::<TcpStream>() <= 256);
    assert!(fresh <= 256, "{fresh} bytes before the first byte");

    // Many in one thread, so that nothing hides in what a thread keeps.
    const COUNT: usize = 200;
    let first = Script::new([ten()]);
    assert_eq!(echo(&mut open(Stream(&first), role, &config)), 10);
    let scripts: Vec<RefCell<Script>> = (0..COUNT).map(|_| Script::new([])).collect();
    let mut idle = Vec::with_capacity(COUNT);
    let ((), heap) = heap::of(|| {
        for script in &scripts {
            script.borrow_mut().segments.push_back(ten());
            let mut ws = open(Stream(script), role, &config);
            assert_eq!(echo(&mut ws), 10);
            script.borrow_mut().segments = VecDeque::new();
            script.borrow_mut().written = Vec::new();
            idle.push(ws);
        }
    });
    let weight = size.cast_signed() + heap.growth / COUNT.cast_signed();
    println!("idle after ten messages: {weight}");
    assert!(weight <= 256, "{weight} bytes when idle, {heap:?}");
    assert!(idle.iter().all(|ws| ws.end().is_none()));
}

// HOSTILE: 31
pub(crate) fn messages_over_a_stream_that_cost_allocations() {
    for role in ROLES {
        for len in [10, 1_000, 3_000] {
            let wire = frame(role, 0x81, &vec![b'x'; len]).repeat(20);
            let script = Script::new([]);
            let config = Arc::new(Config { max_unsent: 1 << 30, write_timeout: None, ..Config::default() });
            let mut ws = open(Stream(&script), role, &config);
            let mut round = |rounds: usize| {
                script.borrow_mut().segments = vec![wire.clone(); rounds].into();
                script.borrow_mut().written = Vec::with_capacity(2 * rounds * wire.len());
                let mut messages = 0;
                let ((), heap) = heap::of(|| {
                    while messages < 20 * rounds {
                        let (message, out) = ws.next().expect("it is right").expect("it is open");
                        out.feed(message).expect("there is room");
                        messages += 1;
                    }
                });
                heap.allocations
            };
            round(10); // the buffers find their size
            assert_eq!(round(100), 0, "{role:?}, {len} bytes");
        }
    }
}

// HOSTILE: 32
pub(crate) fn frames_in_the_segment_of_the_head_over_a_stream() {
    fn receives(mut ws: WebSocket<Stream<'_>>, what: &str) {
        for expected in ["first", "second"] {
            let (message, _) = ws.next().expect(what).expect(what);
            assert_eq!(message, Message::Text(expected), "{what}");
        }
        assert!(ws.next().expect(what).is_none(), "{what}");
        assert!(ws.end().expect("it has ended").clean, "{what}");
    }
    let frames = |role| {
        [frame(role, 0x81, b"first"), frame(role, 0x81, b"second"), frame(role, 0x88, &1000_u16.to_be_bytes())].concat()
    };
    let wire = [REQUEST.as_bytes(), b"\r\n", &frames(Role::Server)].concat();
    for cut in 1..wire.len() {
        let script = Script::new([wire[..cut].to_vec(), wire[cut..].to_vec()]);
        script.borrow_mut().ends = true;
        let ws = blocking::accept(Stream(&script)).expect("it is right");
        receives(ws, &format!("server, cut at {cut}"));
    }
    let request = ClientRequest::new("ws://server.example.com/chat".parse().expect("an address"));
    let script = Script::new([]);
    (script.borrow_mut().answers, script.borrow_mut().ends) = (Some(frames(Role::Client)), true);
    let (ws, _) = Connector::new(request.clone()).connect_on(Stream(&script)).expect("it is answered");
    receives(ws, "client");
}

// HOSTILE: 34
pub(crate) fn streams_that_fail_at_each_step() {
    /// A whole life: handshake, messages of both kinds and sizes, a Ping, a Close. How it ended.
    fn life(script: &RefCell<Script>, role: Role) -> Result<Option<End>, Error> {
        let mut ws = match role {
            Role::Server => blocking::accept(Stream(script))?,
            Role::Client => {
                let request = ClientRequest::new("ws://server.example.com/chat".parse().expect("an address"));
                Connector::new(request.clone()).connect_on(Stream(script))?.0
            }
        };
        ws.ping(b"ours")?;
        ws.send(Message::Binary(&[1; 10_000]))?; // uncopied, where it is not masked
        while let Some((message, out)) = ws.next()? {
            match out.feed(message) {
                // What failed is told once the peer has been heard to its end.
                Ok(()) | Err(Error::Send(SendError::Closing)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ws.end())
    }
    fn script(role: Role) -> RefCell<Script> {
        let frames = [
            frame(role, 0x81, b"text"),
            frame(role, 0x89, b"ping"),
            frame(role, 0x01, b"in two "),
            frame(role, 0x80, b"pieces"),
            frame(role, 0x82, &[2; 9_000]),
            frame(role, 0x88, &1000_u16.to_be_bytes()),
        ];
        let script = Script::new(frames);
        {
            let mut script = script.borrow_mut();
            (script.ends, script.at_once, script.patience) = (true, 3_000, 200);
            match role {
                Role::Server => script.segments.push_front(format!("{REQUEST}\r\n").into_bytes()),
                Role::Client => script.answers = Some(Vec::new()),
            }
        }
        script
    }
    for role in ROLES {
        let right = script(role);
        let end = life(&right, role).expect("nothing fails").expect("it has ended");
        assert!(end.clean);
        let right = right.into_inner();
        for kind in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::Other, ErrorKind::Interrupted] {
            let mut passed = None;
            for n in 0..=right.calls {
                let script = script(role);
                script.borrow_mut().fails = Some((n, kind));
                let result = life(&script, role);
                let script = script.into_inner();
                match result {
                    Err(Error::Io(error)) => {
                        assert_eq!(error.kind(), kind, "{role:?}, call {n}");
                        assert!(
                            passed.is_none() || kind == ErrorKind::Interrupted,
                            "call {n} fails after others passed"
                        );
                    }
                    // What fails once both Closes are there may cost our Close, but no message.
                    Ok(end) => {
                        let end = end.expect("it has ended");
                        assert_eq!(end.received, Some(CloseCode::NORMAL), "{role:?}, call {n}");
                        assert!(!end.clean || script.written.len() == right.written.len(), "{role:?}, call {n}");
                        passed.get_or_insert(n);
                    }
                    result => panic!("{role:?}, call {n}: {result:?}"),
                }
                if role == Role::Server {
                    assert!(right.written.starts_with(&script.written), "{role:?}, call {n}: a frame is torn");
                }
            }
            assert!(passed.is_some(), "{role:?}: the script passes in the end");
        }
        // A stream that ends inside: at each byte of the small frames, and here and there in the large one.
        let wire: Vec<u8> = script(role).into_inner().segments.into_iter().flatten().collect();
        let last = wire.len() - 100;
        for len in (0..wire.len()).filter(|len| *len < 300 || len % 101 == 0 || *len > last) {
            let cut = script(role);
            cut.borrow_mut().segments = [wire[..len].to_vec()].into();
            match life(&cut, role) {
                Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{role:?} at {len}"),
                result => panic!("{role:?} at {len}: {result:?}"),
            }
        }
    }
}

/// Loopback, with buffers that hold less than what is to be sent.
fn tcp_pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
    let (ours, _) = listener.accept().expect("it connects");
    set_socket_send_buffer_size(&ours, 64 << 10).expect("a socket");
    set_socket_recv_buffer_size(&theirs, 64 << 10).expect("a socket");
    (ours, theirs)
}

const CONNECTIONS: usize = 100;

/// So many connections, a few at a time, each with a peer that writes `head` and 10 MiB behind it before it reads: what
/// it received up to the end.
fn floods(head: &[u8], serve: impl Fn(TcpStream) + Sync, check: impl Fn(&[u8]) + Sync) {
    const AT_ONCE: usize = 4;
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
                let flood = vec![0; 1 << 20];
                for _ in 0..CONNECTIONS / AT_ONCE {
                    let (ours, mut theirs) = tcp_pair(&listener);
                    thread::scope(|scope| {
                        scope.spawn(|| serve(ours));
                        theirs.write_all(head).expect("it is taken");
                        (0..10).for_each(|_| theirs.write_all(&flood).expect("it is taken"));
                        theirs.shutdown(std::net::Shutdown::Write).expect("it is open");
                        let mut received = Vec::new();
                        theirs.read_to_end(&mut received).expect("the end, and no reset");
                        check(&received);
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(ended.into_inner(), CONNECTIONS);
}

// HOSTILE: 35
pub(crate) fn a_close_behind_a_flood() {
    let config = Arc::new(Config { max_message: 1_000, ..Config::default() });
    let ours = vec![b'x'; 2 << 20]; // at least 1 MiB more than the socket's buffers hold
    let expected = [frame(Role::Client, 0x82, &ours), frame(Role::Client, 0x88, &1009_u16.to_be_bytes())].concat();
    floods(
        &announce(Role::Server, 0x82, 1_001),
        |socket| {
            let mut ws = open(socket, Role::Server, &config);
            ws.feed(Message::Binary(&ours)).expect("it is queued");
            let error = ws.next().map(drop).expect_err("it is too long");
            assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooLong(_))), "{error:?}");
        },
        |received| assert!(received == expected, "the message, and the Close behind it"),
    );
}

// HOSTILE: 35
pub(crate) fn a_refusal_behind_a_flood() {
    let body = vec![b'x'; 1 << 20];
    floods(
        format!("{REQUEST}\r\n").as_bytes(),
        |socket| {
            let incoming = blocking::receive_request(socket, Arc::default()).expect("it is right");
            incoming.respond(404, &[], &body).expect("it is taken");
        },
        |received| assert!(received.starts_with(b"HTTP/1.1 404 ") && received.ends_with(&body)),
    );
    floods(
        format!("{}\r\n", REQUEST.replace("n: 13", "n: 8")).as_bytes(),
        |socket| {
            let error = blocking::receive_request(socket, Arc::default()).map(drop).expect_err("a wrong version");
            assert!(matches!(error, Error::Handshake(HandshakeError::Request(RequestError::UnsupportedVersion))));
        },
        |received| assert!(received.starts_with(b"HTTP/1.1 426 ") && received.ends_with(b"\n")),
    );
}

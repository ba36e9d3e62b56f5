//! Group M: security considerations (RFC 6455 section 10). Those of the handshake stand in `handshake`.

use std::time::Duration;

use bowsprit::{
    Cause, Chunk, Config, Exceeded, Header, Initiator, Message, OpCode, Outgoing, ProtocolError, Role, SendError,
    Timeout, TransportState,
};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::heap;
use crate::wire::{Endpoint, binary, events, fails, from_peer, nothing, row_both_with, row_with, text};

pub(crate) fn rows(log: &mut Log) {
    log.group(limits);
    log.group(fragments);
    log.group(memory);
    stalls();
    log.group(failing);
    log.group(any_input);
    log.group(secure_addresses);
}

fn limits(log: &mut Log) {
    // REQ: WS-10-02
    let thousand = Config { max_message: 1000, ..Config::default() };
    let mut run = |wire: &[u8], expected| row_both_with(log, "WS-10-02", thousand.clone(), wire, expected);
    run(&hex!("82 7e 03 e9"), fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)))); // 1001, at the header
    run(&[&hex!("82 7e 03 e8")[..], &[0; 1000]].concat(), events([binary(&[0; 1000])]));
    let six_hundred = [&hex!("02 7e 02 58")[..], &[0; 600]].concat();
    let second = |header: &[u8]| [&six_hundred[..], header].concat();
    run(&second(&hex!("80 7e 02 58")), fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
    run(&second(&hex!("80 7e 01 91")), fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)))); // 401
    run(&second(&hex!("80 7e 01 90")), nothing()); // 400
    run(&second(&[&hex!("80 7e 01 90")[..], &[0; 400]].concat()), events([binary(&[0; 1000])]));
    // A control frame in between does not count.
    let pong = [&hex!("8a 7d")[..], &[0; 125]].concat();
    let told = events([crate::wire::pong(&[0; 125]), binary(&[0; 1000])]);
    run(&second(&[&pong[..], &hex!("80 7e 01 90"), &[0; 400]].concat()), told);
    // Each message has the whole limit.
    let full = [&hex!("82 7e 03 e8")[..], &[0; 1000]].concat();
    run(&full.repeat(3), events([binary(&[0; 1000]), binary(&[0; 1000]), binary(&[0; 1000])]));
    // Short messages, in the form of 7 bits, at both sides of either limit; and where the whole frame is there at once.
    for limits in [
        Config { max_message: 5, ..Config::default() },
        Config { max_message: 5, max_frame: Some(100), ..Config::default() },
    ] {
        let too_long = fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
        row_both_with(log, "WS-10-02", limits.clone(), b"\x82\x05abcde", events([binary(b"abcde")]));
        row_both_with(log, "WS-10-02", limits.clone(), b"\x82\x06abcdef", too_long.clone());
        row_both_with(log, "WS-10-02", limits.clone(), b"\x81\x05abcde", events([text("abcde")]));
        row_both_with(log, "WS-10-02", limits, b"\x81\x06abcdef", too_long);
    }
    let short_frames = Config { max_frame: Some(5), ..Config::default() };
    let too_long = fails(1009).because(ProtocolError::FrameTooLong(Exceeded::new(0, 0)));
    row_both_with(log, "WS-10-02", short_frames.clone(), b"\x82\x05abcde", events([binary(b"abcde")]));
    row_both_with(log, "WS-10-02", short_frames.clone(), b"\x82\x06abcdef", too_long.clone());
    row_both_with(log, "WS-10-02", short_frames, b"\x81\x06abcdef", too_long);
    // And in the form of 16 bits.
    let (most, more) = ([&hex!("82 7e 01 00")[..], &[0; 256]].concat(), [&hex!("82 7e 01 01")[..], &[0; 257]].concat());
    let messages = Config { max_message: 256, ..Config::default() };
    row_both_with(log, "WS-10-02", messages.clone(), &most, events([binary(&[0; 256])]));
    row_both_with(
        log,
        "WS-10-02",
        messages,
        &more,
        fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0))),
    );
    let frames_of_256 = Config { max_frame: Some(256), ..Config::default() };
    row_both_with(log, "WS-10-02", frames_of_256.clone(), &most, events([binary(&[0; 256])]));
    row_both_with(
        log,
        "WS-10-02",
        frames_of_256,
        &more,
        fails(1009).because(ProtocolError::FrameTooLong(Exceeded::new(0, 0))),
    );
    // A length is compared in 64 bits: of 2^32 the lower 32 are zero.
    let wide = |first: &str| match first {
        "binary" => hex!("82 7f 00 00 00 01 00 00 00 00"),
        "text" => hex!("81 7f 00 00 00 01 00 00 00 00"),
        _ => hex!("02 7f 00 00 00 01 00 00 00 00"),
    };
    for first in ["binary", "text", "fragment"] {
        let too_long = fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
        row_both_with(log, "WS-10-02", Config::default(), &wide(first), too_long);
        let frames = Config { max_frame: Some(1 << 20), max_message: Config::UNLIMITED, ..Config::default() };
        row_both_with(
            log,
            "WS-10-02",
            frames,
            &wide(first),
            fails(1009).because(ProtocolError::FrameTooLong(Exceeded::new(0, 0))),
        );
    }
    // The length of a masked frame is judged before its key has arrived.
    for wire in [&hex!("82 fe 03 e9")[..], &hex!("81 fe 03 e9"), &hex!("82 ff 00 00 00 00 00 01 00 00")] {
        let too_long = fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
        row_with(log, "WS-10-02", Role::Server, thousand.clone(), wire, too_long);
    }
    let five = Config { max_message: 5, ..Config::default() };
    let too_long = fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
    row_with(log, "WS-10-02", Role::Server, five, &hex!("82 86"), too_long);
    let frames = Config { max_frame: Some(10), ..Config::default() };
    let too_long = fails(1009).because(ProtocolError::FrameTooLong(Exceeded::new(0, 0)));
    row_both_with(log, "WS-10-02", frames.clone(), &hex!("82 0b"), too_long);
    let wire = [&hex!("02 0a")[..], &[0; 10], &hex!("80 0a"), &[0; 10]].concat();
    row_both_with(log, "WS-10-02", frames, &wire, events([binary(&[0; 20])]));
    let defaults = Config::default();
    assert_eq!((defaults.max_message, defaults.max_frame), (64 << 20, None));
}

fn fragments(log: &mut Log) {
    // REQ: WS-10-03
    let few = Config { max_fragments: 5, max_empty_fragments: 3, ..Config::default() };
    let mut run = |wire: &[u8], expected| row_both_with(log, "WS-10-03", few.clone(), wire, expected);
    let too_many = || fails(1008).because(ProtocolError::TooManyFragments);
    run(&hex!("02 01 61 00 01 61 00 01 61 00 01 61 80 01 61"), events([binary(b"aaaaa")]));
    run(&hex!("02 01 61 00 01 61 00 01 61 00 01 61 00 01 61 00 01"), too_many());
    run(&hex!("02 01 61 00 00 00 00 80 00"), events([binary(b"a")]));
    run(&hex!("02 01 61 00 00 00 00 00 00 00 00"), too_many());
    run(&hex!("02 00 00 00 00 01 61 00 00 80 00"), events([binary(b"a")])); // in a row
    // The defaults: 131,072 fragments, 1,024 empty ones in a row; nothing is kept of them.
    for role in ROLES {
        for (fragment, frames) in [(&hex!("00 01 61")[..], 131_072), (&hex!("00 00"), 1_024)] {
            let mut end = Endpoint::new(role);
            end.gets(&hex!("02 01 61"));
            let wire = from_peer(role, fragment);
            let (failed_at, peak) = heap::peak(|| {
                let mut frames = 1..=frames + 1;
                frames.find(|_| {
                    end.reads(&wire);
                    end.error.is_some()
                })
            });
            let first = usize::from(fragment.len() == 3); // the first fragment counts among the 131,072
            assert_eq!(failed_at, Some(frames + 1 - first), "{fragment:?}");
            assert_eq!(end.error, Some(ProtocolError::TooManyFragments));
            assert!(peak <= (frames << 1) + (4 << 10), "{peak} bytes for {frames} fragments");
        }
    }
}

fn memory(log: &mut Log) {
    // REQ: WS-10-05
    let large = Config { max_message: 2 << 30, ..Config::default() };
    for role in ROLES {
        for header in [&hex!("82 7f 00 00 00 00 40 00 00 00")[..], &hex!("01 01 61 00 7f 00 00 00 00 40 00 00 00")] {
            let wire = from_peer(role, &[header, b"0123456789"].concat());
            let mut end = Endpoint::with(role, large.clone());
            let (told, peak) = heap::peak(|| end.reads(&wire));
            assert_eq!((told, end.error), (vec![], None), "a gibibyte is announced, ten bytes are here");
            assert!(peak < 4 << 10, "{peak} bytes of heap");
        }
        log.proved("WS-10-05", role);
    }

    // REQ: WS-10-06
    for role in ROLES {
        let mut end = Endpoint::new(role);
        let message = [0; 1000];
        let mut accepted = 0;
        while end.connection.send(&message, &mut end.output).is_ok() {
            accepted += 1;
            assert!(accepted < 2000, "a peer that never reads has no end");
        }
        assert!(end.output.len() >= 1 << 20 && end.output.len() < (1 << 20) + 1008, "{}", end.output.len());
        let before = end.output.len();
        let refused = [
            end.connection.send(&message, &mut end.output),
            end.connection.send("", &mut end.output),
            end.connection.send(Chunk { data: Message::Text(""), end: true }, &mut end.output),
            end.connection.send(Outgoing::frame(Header::new(OpCode::Binary, 0), b""), &mut end.output),
        ];
        assert_eq!(refused, [Err(SendError::Full); 4], "the caller is told");
        assert_eq!(end.output.len(), before);
        // A Ping and a Close still find room; Pongs do not pile up.
        for _ in 0..1000 {
            end.gets(&hex!("89 01 70"));
        }
        assert!(end.output.len() <= before + 264);
        end.close(Some((1000, ""))).unwrap();
        assert!(end.output.len() <= before + 264);
        // The bound itself is full, and a byte less has room for a whole message.
        for (unsent, accepted) in [(99, Ok(())), (100, Err(SendError::Full))] {
            let mut end = Endpoint::with(role, Config { max_unsent: 100, ..Config::default() });
            let header = if role == Role::Client { 6 } else { 2 };
            end.connection.send(&message[..unsent - header], &mut end.output).unwrap();
            assert_eq!(end.output.len(), unsent);
            assert_eq!(end.connection.send(&message, &mut end.output), accepted);
        }
        // Above it there is room for one Ping, each time that it was reached.
        let mut end = Endpoint::with(role, Config { max_unsent: 100, ..Config::default() });
        for _ in 0..2 {
            end.connection.send(&message, &mut end.output).unwrap();
            assert_eq!(end.connection.send(Outgoing::ping(&[0; 125]), &mut end.output), Ok(()));
            assert_eq!(end.connection.send(Outgoing::ping(b""), &mut end.output), Err(SendError::Full));
            end.sent();
        }
        // Pings that nobody answers are forgotten, the oldest first.
        let (_, peak) = heap::peak(|| {
            for _ in 0..10_000 {
                end.connection.send(Outgoing::ping(&[0; 125]), &mut end.output).unwrap();
                end.connection.wrote(end.output.len(), &mut end.output);
            }
        });
        assert!(peak < 16 << 10, "{peak} bytes of heap");
        // Room comes back as the transport takes bytes.
        let mut end = Endpoint::new(role);
        while end.connection.send(&message, &mut end.output).is_ok() {}
        end.connection.wrote(2000, &mut end.output);
        assert_eq!(end.connection.send(&message, &mut end.output), Ok(()));
        log.proved("WS-10-06", role);
    }
}

/// What is bounded in size is bounded in time as well: no peer holds memory by standing still.
fn stalls() {
    let at = Duration::from_secs;
    for role in ROLES {
        // A peer that takes nothing of what is sent: 30 s, and each byte that it takes starts them anew.
        let mut end = Endpoint::new(role);
        end.arm(at(1));
        assert_eq!(end.connection.poll_timeout(), None, "nothing to wait for");
        end.connection.send("Hello", &mut end.output).unwrap();
        end.arm(at(2));
        end.connection.send("Hello", &mut end.output).unwrap();
        end.arm(at(20)); // more output is no progress
        assert_eq!(end.connection.poll_timeout(), Some(at(32)));
        end.connection.wrote(1, &mut end.output);
        end.arm(at(25));
        end.arm(at(40));
        assert_eq!(end.expires(at(55)), Some(Timeout::Write));
        assert_eq!(end.connection.transport(), TransportState::Closed);
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.code().0, ended.clean, ended.by), (1006, false, Initiator::Local));
        assert_eq!((ended.sent, ended.cause), (None, Cause::Timeout(Timeout::Write)));
        assert_eq!(end.connection.send("more", &mut end.output), Err(SendError::Closing));

        // What is written in time leaves no deadline behind.
        let mut end = Endpoint::new(role);
        end.connection.send("Hello", &mut end.output).unwrap();
        end.arm(at(1));
        end.sent();
        end.arm(at(2));
        assert_eq!(end.connection.poll_timeout(), None);

        // A message that stands still: 60 s, and each byte of its payload starts them anew; a Ping does not.
        let mut end = Endpoint::new(role);
        end.gets(&hex!("01 01 61"));
        end.arm(at(1));
        assert_eq!(end.connection.poll_timeout(), Some(at(61)));
        end.gets(&hex!("00 01 62"));
        end.arm(at(50));
        end.gets(&hex!("8a 00"));
        end.arm(at(70));
        assert_eq!(end.expires(at(110)), Some(Timeout::Message));
        assert_eq!(end.sent(), hex!("88 02 03 f0"), "1008: a policy of ours");
        assert_eq!(end.connection.transport(), TransportState::Shutdown);
        assert_eq!(end.gets(&hex!("80 01 63")), [], "too late");
        assert_eq!(end.connection.end().unwrap().cause, Cause::Timeout(Timeout::Message));

        // A message that is complete leaves no deadline behind; one in a single frame has the same.
        let mut end = Endpoint::new(role);
        end.gets(&hex!("01 01 61"));
        end.arm(at(1));
        end.gets(&hex!("80 01 62"));
        end.arm(at(2));
        assert_eq!(end.connection.poll_timeout(), None);
        end.gets(&hex!("82 05 48 65"));
        end.arm(at(3));
        assert_eq!(end.connection.poll_timeout(), Some(at(63)));
    }
}

fn failing(log: &mut Log) {
    // REQ: WS-10-08
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send("queued", &mut end.output).unwrap();
        end.gets(&hex!("83 00"));
        assert_eq!(end.connection.transport(), TransportState::Shutdown, "flush first, then shut down");
        assert_eq!(end.sent(), b"\x81\x06queued\x88\x02\x03\xea", "the peer learns why, behind what was queued");
        assert_eq!(end.connection.transport(), TransportState::Shutdown);
        end.disconnected();
        assert_eq!(end.connection.transport(), TransportState::Closed);
        log.proved("WS-10-08", role);
    }
}

fn any_input(log: &mut Log) {
    // REQ: WS-10-11
    // Noise of every kind; the property tests and the fuzz targets have more of it.
    for role in ROLES {
        let mut state = 0x9e37_79b9_u32;
        let mut noise = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        };
        for len in 0..2000 {
            let mut wire: Vec<u8> = (0..len % 50).map(|_| noise()).collect();
            if let [first, second, ..] = &mut wire[..] {
                // Half of it gets past the first checks.
                *first &= if len % 2 == 0 { 0x8a } else { 0xff };
                *second = if len % 2 == 0 { *second & 0x0f | (u8::from(role == Role::Server) << 7) } else { *second };
            }
            let mut end = Endpoint::new(role);
            end.reads(&wire);
            assert!(end.input.len() <= wire.len());
        }
        log.proved("WS-10-11", role);
    }
}

fn secure_addresses(log: &mut Log) {
    // REQ: WS-10-09
    let uri: bowsprit::handshake::Uri = "wss://server.example.com/chat".parse().unwrap();
    assert!(uri.is_secure(), "whoever dials knows that it takes TLS");
    #[cfg(all(feature = "blocking", not(feature = "rustls"), unix))]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let uri = format!("wss://{}/", listener.local_addr().unwrap());
        let refused = bowsprit::blocking::connect(&uri).map(drop).unwrap_err();
        assert!(matches!(refused, bowsprit::Error::Handshake(bowsprit::HandshakeError::TlsUnavailable)), "{refused}");
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nothing was dialled");
    }
    log.proved("WS-10-09", Role::Client);
}

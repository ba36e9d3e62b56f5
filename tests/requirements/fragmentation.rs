//! Group H: fragmentation (RFC 6455 section 5.4).

use bowsprit::{Chunk, Chunks, Config, Header, Message, OpCode, Outgoing, ProtocolError, Role, Rsv, SendError};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::wire::{
    Endpoint, binary, closes, events, fails, joined, nothing, ping, pong, row, row_both, sends, talk, text,
};

pub(crate) fn rows(log: &mut Log) {
    log.group(receiving);
    log.group(sending);
    log.group(boundaries_mean_nothing);
}

fn receiving(log: &mut Log) {
    // REQ: WS-5.4-01
    row_both(log, "WS-5.4-01", &hex!("01 03 48 65 6c 80 02 6c 6f"), events([text("Hello")]));
    row_both(log, "WS-5.4-01", &hex!("02 01 01 00 01 02 00 01 03 80 01 04"), events([binary(&[1, 2, 3, 4])]));
    row_both(log, "WS-5.4-01", &hex!("01 03 48 65 6c 00 02 6c 6f"), nothing());

    // REQ: WS-5.4-02
    let unexpected = || fails(1002).because(ProtocolError::UnexpectedContinuation);
    row_both(log, "WS-5.4-02", &hex!("80 01 41"), unexpected());
    row_both(log, "WS-5.4-02", &hex!("00 00"), unexpected());
    row(log, "WS-5.4-02", Role::Server, &hex!("80 81 00 00 00 00 41"), unexpected());
    row_both(log, "WS-5.4-02", &hex!("01 01 41 80 01 42 80 00"), events([text("AB")]) + unexpected());
    row_both(log, "WS-5.4-02", &hex!("81 01 41 00 01 42"), events([text("A")]) + unexpected());

    // REQ: WS-5.4-03
    let interleaved = || fails(1002).because(ProtocolError::ExpectedContinuation);
    row_both(log, "WS-5.4-03", &hex!("01 01 41 81 01 42"), interleaved());
    row_both(log, "WS-5.4-03", &hex!("01 01 41 02 00"), interleaved());
    row_both(log, "WS-5.4-03", &hex!("02 01 41 00 01 42 01 01 43"), interleaved());
    row_both(log, "WS-5.4-03", &hex!("01 00 82 7e 01 00"), interleaved()); // before the payload arrives

    // REQ: WS-5.4-04
    let wire = hex!("01 03 48 65 6c 89 01 70 80 02 6c 6f");
    row_both(log, "WS-5.4-04", &wire, events([ping(b"p"), text("Hello")]) + sends(&hex!("8a 01 70")));
    let wire = hex!("01 01 61 8a 01 71 00 01 62 89 00 89 01 72 80 01 63");
    let expected = events([pong(b"q"), ping(b""), ping(b"r"), text("abc")]) + sends(&hex!("8a 00 8a 01 72"));
    row_both(log, "WS-5.4-04", &wire, expected);
    // In the middle of a character.
    let wire = hex!("01 01 c3 89 01 70 80 01 a9");
    row_both(log, "WS-5.4-04", &wire, events([ping(b"p"), text("é")]) + sends(&hex!("8a 01 70")));
    row_both(log, "WS-5.4-04", &hex!("01 01 61 88 02 03 e8"), closes(Some((1000, ""))));
    for role in ROLES {
        let mut end = Endpoint::new(role);
        assert_eq!(end.gets(&hex!("01 03 48 65 6c 89 01 70")), [ping(b"p")]);
        assert_eq!(end.sent(), hex!("8a 01 70"), "the Pong does not wait for the message");
        assert_eq!(end.gets(&hex!("80 02 6c 6f")), [text("Hello")]);
    }

    // REQ: WS-5.4-05
    for first in hex!("08 09 0a") {
        let fragmented = || fails(1002).because(ProtocolError::FragmentedControl);
        row_both(log, "WS-5.4-05", &[first], fragmented());
        row_both(log, "WS-5.4-05", &[first, 0x00], fragmented());
        row_both(log, "WS-5.4-05", &[0x01, 0x01, 0x41, first, 0x01, 0x70], fragmented());
        // The first byte is judged before the second, whatever is wrong with that.
        row(log, "WS-5.4-05", Role::Server, &[first, 0x00], fragmented());
        row(log, "WS-5.4-05", Role::Client, &[first, 0x80], fragmented());
    }
    for role in ROLES {
        let mut end = Endpoint::new(role);
        for opcode in [OpCode::Close, OpCode::Ping, OpCode::Pong] {
            let header = Header { fin: false, ..Header::new(opcode, 0) };
            assert_eq!(
                end.connection.send(Outgoing::frame(header, b""), &mut end.output),
                Err(SendError::InvalidFrame)
            );
        }
        assert_eq!(end.sent(), b"");
    }

    // REQ: WS-5.4-06
    row_both(log, "WS-5.4-06", &hex!("01 00 00 00 80 00"), events([text("")]));
    row_both(log, "WS-5.4-06", &hex!("02 00 80 01 ff"), events([binary(b"\xff")]));
    row_both(log, "WS-5.4-06", &hex!("02 01 ff 00 00 80 00 82 01 fe"), events([binary(b"\xff"), binary(b"\xfe")]));
    let wire = [&hex!("01 01 61")[..], &hex!("00 01 61").repeat(998), &hex!("80 01 61")].concat();
    row_both(log, "WS-5.4-06", &wire, events([text(&"a".repeat(1000))]));
    let fragment = [&hex!("00 7e 01 00")[..], &[0x5a; 256]].concat();
    let wire = [&hex!("02 01 5a")[..], &fragment.repeat(3), &hex!("80 02 5a 5a")].concat();
    row_both(log, "WS-5.4-06", &wire, events([binary(&[0x5a; 771])]));

    // REQ: WS-5.4-07
    row_both(log, "WS-5.4-07", &hex!("02 01 c3 80 01 28"), events([binary(b"\xc3\x28")]));
    row_both(log, "WS-5.4-07", &hex!("01 01 41 80 01 42"), events([text("AB")]));
    row_both(log, "WS-5.4-07", &hex!("02 01 41 80 01 42 01 01 41 80 00"), events([binary(b"AB"), text("A")]));
}

fn sending(log: &mut Log) {
    // REQ: WS-5.4-08
    for role in ROLES {
        let mut end = Endpoint::new(role);
        for fin in [true, false] {
            let orphan = Header { fin, ..Header::new(OpCode::Continuation, 0) };
            assert_eq!(
                end.connection.send(Outgoing::frame(orphan, b""), &mut end.output),
                Err(SendError::NoMessageInProgress)
            );
        }
        end.connection.send(Chunk { data: Message::Text("Hel"), end: false }, &mut end.output).unwrap();
        end.connection.send(Chunk { data: Message::Text("lo"), end: true }, &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("01 03 48 65 6c 80 02 6c 6f"));

        let fragments = |size| {
            let mut end = Endpoint::with(role, Config { fragment_size: Some(size), ..Config::default() });
            end.connection.send(b"Hello", &mut end.output).unwrap();
            end.sent()
        };
        assert_eq!(fragments(0), fragments(1));
        assert_eq!(fragments(1), hex!("02 01 48 00 01 65 00 01 6c 00 01 6c 80 01 6f"));
        assert_eq!(fragments(2), hex!("02 02 48 65 00 02 6c 6c 80 01 6f"));
        assert_eq!(fragments(4), hex!("02 04 48 65 6c 6c 80 01 6f"));
        assert_eq!(fragments(5), hex!("82 05 48 65 6c 6c 6f"));
        assert_eq!(fragments(6), hex!("82 05 48 65 6c 6c 6f"));
        for size in 1..=9 {
            let peer = if role == Role::Client { Role::Server } else { Role::Client };
            let mut end = Endpoint::with(role, Config { fragment_size: Some(size), ..Config::default() });
            let mut peer = Endpoint::new(peer);
            end.connection.send("Grüße 😀", &mut end.output).unwrap();
            end.connection.send("", &mut end.output).unwrap();
            assert_eq!(talk(&mut end, &mut peer).1, [text("Grüße 😀"), text("")]);
        }
        log.proved("WS-5.4-08", role);
    }
}

fn boundaries_mean_nothing(log: &mut Log) {
    // REQ: WS-5.4-09
    for role in ROLES {
        let chunks = || Chunks { max_message: 100, max_fragments: 100 };
        for wire in [
            &b"\x81\x0912345\xf0\x9f\x98\x80"[..],
            b"\x01\x041234\x80\x055\xf0\x9f\x98\x80",
            b"\x01\x0712345\xf0\x9f\x80\x02\x98\x80",
        ] {
            for cut in 0..wire.len() {
                let wire = crate::wire::from_peer(role, wire);
                let mut end = Endpoint::chunks(role, chunks());
                let mut told = end.reads(&wire[..cut]);
                told.extend(end.reads(&wire[cut..]));
                assert_eq!(joined(told), [text("12345😀")], "the same message, whatever the pieces");
            }
        }
        log.proved("WS-5.4-09", role);
    }

    // REQ: WS-5.4-10
    // What forwards frames for others works on raw frames: a header with reserved bits passes through byte for byte.
    for wire in [
        &hex!("41 03")[..],
        &hex!("30 7e 00 7e"),
        &hex!("c2 7f 00 00 00 00 00 01 00 00"),
        &hex!("89 7d"),
        &hex!("80 00"),
    ] {
        let (header, size) = Header::decode(wire).unwrap().unwrap();
        assert_eq!((&header.encode()[..], size), (wire, wire.len()));
        assert_eq!(header.rsv, Rsv::from_first_byte(wire[0]));
    }
    // And an end that sends whole messages never fragments a control frame.
    for role in ROLES {
        let mut end = Endpoint::with(role, Config { fragment_size: Some(1), ..Config::default() });
        end.gets(&hex!("89 03 61 62 63"));
        end.connection.send(Outgoing::ping(b"abc"), &mut end.output).unwrap();
        end.close(Some((1000, "bye"))).unwrap();
        assert_eq!(end.sent(), hex!("8a 03 61 62 63 89 03 61 62 63 88 05 03 e8 62 79 65"));
        log.proved("WS-5.4-10", role);
    }
}

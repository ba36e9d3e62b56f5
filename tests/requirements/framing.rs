//! Group G: base framing and masking (RFC 6455 sections 5.1 to 5.3 and 5.7).

use std::collections::BTreeSet;

use bowsprit::{Chunk, Config, Header, Mask, Message, OpCode, Outgoing, Prepared, ProtocolError, Role, Rsv, SendError};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::heap;
use crate::wire::{Endpoint, binary, closes, events, fails, frames, masked, nothing, ping, pong, row, row_both};
use crate::wire::{row_both_with, row_with, sends, text};

pub(crate) fn rows(log: &mut Log) {
    log.group(who_masks);
    log.group(reserved_bits_and_opcodes);
    log.group(lengths);
    log.group(cuts_and_sizes);
    log.group(keys);
    log.group(registry);
}

fn who_masks(log: &mut Log) {
    // REQ: WS-5.1-01
    let mut client = Endpoint::new(Role::Client);
    client.connection.send(Outgoing::ping(b""), &mut client.output).unwrap();
    assert_eq!(client.output[..2], hex!("89 80"));
    assert_eq!(client.transmits().len(), 6);
    client.connection.send("Hello", &mut client.output).unwrap();
    client.connection.send(b"", &mut client.output).unwrap();
    client.connection.send(Outgoing::pong(b"x"), &mut client.output).unwrap();
    client.connection.send(&Prepared::text("prepared"), &mut client.output).unwrap();
    client.connection.send(Chunk { data: Message::Text("a"), end: false }, &mut client.output).unwrap();
    client.connection.send(Chunk { data: Message::Text("b"), end: true }, &mut client.output).unwrap();
    client.connection.send(Outgoing::frame(Header::new(OpCode::Binary, 1), b"!"), &mut client.output).unwrap();
    client.gets(&hex!("89 00")); // an automatic Pong
    client.close(None).unwrap();
    let wire = client.transmits();
    assert!(frames(Role::Client, &wire).iter().all(|frame| frame.key.is_some()));
    assert_eq!(wire[..2], hex!("81 85"));
    let unmasked = crate::wire::unmasked(Role::Client, &wire);
    let prepared = [&hex!("81 08")[..], b"prepared"].concat();
    let expected =
        [&hex!("81 05 48 65 6c 6c 6f 82 00 8a 01 78")[..], &prepared, &hex!("01 01 61 80 01 62 82 01 21 8a 00 88 00")];
    assert_eq!(unmasked, expected.concat());
    // The RFC's own vector (section 5.7): "Hello" with the key 37 fa 21 3d.
    let mut hello = *b"Hello";
    Mask(hex!("37 fa 21 3d")).apply(&mut hello);
    assert_eq!(hello, hex!("7f 9f 4d 51 58"));
    log.proved("WS-5.1-01", Role::Client);

    // REQ: WS-5.1-02
    for wire in
        [&hex!("81 05 48 65 6c 6c 6f")[..], &hex!("89 00"), &hex!("88 02 03 e8"), &hex!("81 05"), &hex!("82 7f")]
    {
        row(log, "WS-5.1-02", Role::Server, wire, fails(1002).because(ProtocolError::Unmasked));
    }

    // REQ: WS-5.1-03
    let mut server = Endpoint::new(Role::Server);
    server.connection.send("Hello", &mut server.output).unwrap();
    assert_eq!(server.transmits(), hex!("81 05 48 65 6c 6c 6f"));
    server.connection.send(&Prepared::binary(b"\xff"), &mut server.output).unwrap();
    server.connection.send(Outgoing::ping(b""), &mut server.output).unwrap();
    server.gets(&hex!("89 01 70"));
    server.close(None).unwrap();
    assert_eq!(server.transmits(), hex!("82 01 ff 89 00 8a 01 70 88 00"));
    let mask = Header { mask: Some(Mask([0; 4])), ..Header::new(OpCode::Text, 0) };
    for role in ROLES {
        let mut end = Endpoint::new(role);
        assert_eq!(end.connection.send(Outgoing::frame(mask, b""), &mut end.output), Err(SendError::InvalidFrame));
        let longer = Header::new(OpCode::Binary, 2);
        assert_eq!(end.connection.send(Outgoing::frame(longer, b"a"), &mut end.output), Err(SendError::InvalidFrame));
        assert!(end.output.is_empty());
    }
    log.proved("WS-5.1-03", Role::Server);

    // REQ: WS-5.1-04
    for wire in [
        &hex!("81 85 37 fa 21 3d 7f 9f 4d 51 58")[..],
        &hex!("89 80 00 00 00 00"),
        &hex!("88 82 00 00 00 00 03 e8"),
        &hex!("81 85"),
        &hex!("82 fe"),
    ] {
        row(log, "WS-5.1-04", Role::Client, wire, fails(1002).because(ProtocolError::Masked));
    }

    // REQ: WS-5.1-05
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send("first", &mut end.output).unwrap();
        assert_eq!(end.sent(), b"\x81\x05first", "either side may speak first");
        assert_eq!(end.gets(b"\x01\x01a"), []);
        end.connection.send("amid", &mut end.output).unwrap();
        assert_eq!(end.gets(b"\x80\x01b"), [text("ab")]);
        assert_eq!(end.sent(), b"\x81\x04amid");
        log.proved("WS-5.1-05", role);
    }
}

fn reserved_bits_and_opcodes(log: &mut Log) {
    // REQ: WS-5.2-01
    for role in ROLES {
        let mut end = Endpoint::with(role, Config { fragment_size: Some(3), ..Config::default() });
        end.connection.send("Hello", &mut end.output).unwrap();
        end.connection.send(b"Hello", &mut end.output).unwrap();
        end.connection.send(&Prepared::text("Hello"), &mut end.output).unwrap();
        end.connection.send(Outgoing::ping(b"Hello"), &mut end.output).unwrap();
        end.connection.send(Outgoing::pong(b"Hello"), &mut end.output).unwrap();
        for bits in 1..8 {
            let rsv = Rsv::from_first_byte(bits << 4);
            for opcode in [OpCode::Text, OpCode::Binary, OpCode::Ping, OpCode::Pong, OpCode::Close] {
                let header = Header { rsv, ..Header::new(opcode, 0) };
                assert_eq!(
                    end.connection.send(Outgoing::frame(header, b""), &mut end.output),
                    Err(SendError::InvalidFrame)
                );
            }
        }
        end.close(Some((1000, "bye"))).unwrap();
        let sent = frames(role, &end.transmits());
        assert!(sent.len() >= 8);
        assert!(sent.iter().all(|frame| frame.header[0] & 0x70 == 0));
        log.proved("WS-5.2-01", role);
    }

    // REQ: WS-5.2-02
    for first in hex!("c1 a1 91 f1 c2 a2 92 c0 c8 c9 ca 90 a9 f8 41 22 10") {
        row_both(log, "WS-5.2-02", &[first, 0x00], fails(1002).because(ProtocolError::ReservedBits));
        // Decided from the first byte, whatever the payload.
        row_both(log, "WS-5.2-02", &[first], fails(1002).because(ProtocolError::ReservedBits));
    }
    row(log, "WS-5.2-02", Role::Server, &hex!("c1 80 00 00 00 00"), fails(1002));
    row_both(log, "WS-5.2-02", &hex!("01 01 41 c0 01 42"), fails(1002).because(ProtocolError::ReservedBits));

    // REQ: WS-5.2-03
    for first in hex!("83 84 85 86 87 8b 8c 8d 8e 8f 03 07 0b 0f") {
        let unknown = || fails(1002).because(ProtocolError::UnknownOpCode(first & 0x0f));
        row_both(log, "WS-5.2-03", &[first], unknown());
        row_both(log, "WS-5.2-03", &[first, 0x00], unknown());
        row_both(log, "WS-5.2-03", &[first, 0x01, 0x78], unknown());
        row_both(log, "WS-5.2-03", &[0x01, 0x01, 0x41, first, 0x00], unknown());
    }
}

/// A payload length and the unmasked header of a binary frame that has it.
const LENGTHS: [(usize, &[u8]); 6] = [
    (0, &hex!("82 00")),
    (125, &hex!("82 7d")),
    (126, &hex!("82 7e 00 7e")),
    (127, &hex!("82 7e 00 7f")),
    (65_535, &hex!("82 7e ff ff")),
    (65_536, &hex!("82 7f 00 00 00 00 00 01 00 00")),
];

fn lengths(log: &mut Log) {
    // REQ: WS-5.2-04
    for (len, header) in LENGTHS {
        let payload: Vec<u8> = (0..251).cycle().take(len).collect();
        let wire = [header, &payload].concat();
        row_both(log, "WS-5.2-04", &wire, events([binary(&payload)]));
        for role in ROLES {
            let mut end = Endpoint::new(role);
            end.connection.send(&payload, &mut end.output).unwrap();
            assert!(end.sent() == wire, "{len} bytes as {role:?}");
            end.connection.send(&Prepared::binary(&payload), &mut end.output).unwrap();
            assert!(end.sent() == wire, "{len} bytes prepared as {role:?}");
        }
    }
    // The vectors of section 5.7.
    let hello = || events([text("Hello")]);
    row(log, "WS-5.2-04", Role::Client, &hex!("81 05 48 65 6c 6c 6f"), hello());
    row(log, "WS-5.2-04", Role::Server, &hex!("81 85 37 fa 21 3d 7f 9f 4d 51 58"), hello());
    row(log, "WS-5.2-04", Role::Client, &hex!("01 03 48 65 6c 80 02 6c 6f"), hello());
    let pinged = events([ping(b"Hello")]) + sends(&hex!("8a 05 48 65 6c 6c 6f"));
    row(log, "WS-5.2-04", Role::Client, &hex!("89 05 48 65 6c 6c 6f"), pinged);
    row(log, "WS-5.2-04", Role::Server, &hex!("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), events([pong(b"Hello")]));
    let wire = [&hex!("82 7e 01 00")[..], &[0x5a; 256]].concat();
    row(log, "WS-5.2-04", Role::Client, &wire, events([binary(&[0x5a; 256])]));

    // REQ: WS-5.2-05
    for wire in [
        &hex!("81 7e 00 7c")[..],
        &hex!("82 7e 00 7d"),
        &hex!("82 7e 00 00"),
        &hex!("02 7e 00 01"),
        &hex!("82 7f 00 00 00 00 00 00 ff ff"),
        &hex!("82 7f 00 00 00 00 00 00 00 7e"),
        &hex!("81 7f 00 00 00 00 00 00 00 00"),
    ] {
        row_both(log, "WS-5.2-05", wire, fails(1002).because(ProtocolError::NonMinimalLength));
    }
    let complete = [&hex!("81 7e 00 7c")[..], &[0x61; 124]].concat();
    row_both(log, "WS-5.2-05", &complete, fails(1002).because(ProtocolError::NonMinimalLength));
    // A server sees it before the key has arrived.
    row(log, "WS-5.2-05", Role::Server, &hex!("81 fe 00 7d"), fails(1002).because(ProtocolError::NonMinimalLength));

    // REQ: WS-5.2-06
    let unlimited = Config { max_message: Config::UNLIMITED, ..Config::default() };
    for wire in [hex!("82 7f 80 00 00 00 00 00 00 00"), hex!("82 7f ff ff ff ff ff ff ff ff")] {
        row_both(log, "WS-5.2-06", &wire, fails(1002).because(ProtocolError::LengthOverflow));
        let overflow = fails(1002).because(ProtocolError::LengthOverflow);
        row_both_with(log, "WS-5.2-06", unlimited.clone(), &wire, overflow);
    }

    // REQ: WS-5.2-07
    let longest = hex!("82 7f 7f ff ff ff ff ff ff ff");
    row_both(log, "WS-5.2-07", &longest, fails(1009));
    row_both(log, "WS-5.2-07", &hex!("82 7f 00 00 00 00 04 00 00 01"), fails(1009)); // 64 MiB and one byte
    row_both(log, "WS-5.2-07", &hex!("82 7f 00 00 00 00 04 00 00 00"), nothing()); // 64 MiB
    row_both(log, "WS-5.2-07", &hex!("02 01 61 80 7f 7f ff ff ff ff ff ff ff"), fails(1009));
    // Without limits there is nothing to refuse, and nothing is allocated for what was only announced.
    row_both_with(log, "WS-5.2-07", unlimited.clone(), &longest, nothing());
    let overflowing = hex!("02 01 61 80 7f 7f ff ff ff ff ff ff ff 61");
    row_both_with(log, "WS-5.2-07", unlimited.clone(), &overflowing, nothing());
    for role in ROLES {
        let mut end = Endpoint::with(role, unlimited.clone());
        let (_, peak) = heap::peak(|| end.gets(&longest));
        assert!(peak < 4 << 10, "{peak} bytes for a header");
        assert!(end.input.capacity() < 4 << 10);
    }
}

fn cuts_and_sizes(log: &mut Log) {
    // REQ: WS-5.2-08
    let wire =
        hex!("81 05 48 65 6c 6c 6f 01 03 48 65 6c 89 01 70 80 02 6c 6f 82 00 8a 03 61 62 63 88 05 03 e9 62 79 65");
    let expected = events([text("Hello"), ping(b"p"), text("Hello"), binary(b""), pong(b"abc")])
        + sends(&hex!("8a 01 70"))
        + closes(Some((1001, "bye")));
    row_both(log, "WS-5.2-08", &wire, expected);

    // REQ: WS-5.2-09
    let payload = [0x61; 126];
    let wire =
        [&hex!("82 fe 00 7e 37 fa 21 3d")[..], &masked(&[&hex!("82 7e 00 7e")[..], &payload].concat())[8..]].concat();
    assert_eq!(wire.len(), 134);
    let wire = [&wire[..], &hex!("81 81 00 00 00 00 62")].concat();
    row(log, "WS-5.2-09", Role::Server, &wire, events([binary(&payload), text("b")]));
    let wire = [&hex!("82 7e 00 7e")[..], &payload, &hex!("81 01 62")].concat();
    row(log, "WS-5.2-09", Role::Client, &wire, events([binary(&payload), text("b")]));

    // REQ: WS-5.2-10
    row_both(log, "WS-5.2-10", &hex!("81 00"), events([text("")]));
    row(log, "WS-5.2-10", Role::Server, &hex!("82 80 00 00 00 00"), events([binary(b"")]));
    row_both(log, "WS-5.2-10", &hex!("82 00 81 00 82 00"), events([binary(b""), text(""), binary(b"")]));
}

fn keys(log: &mut Log) {
    // REQ: WS-5.3-01
    let keys = |seed| {
        let config = std::sync::Arc::new(Config::default());
        let mut client = bowsprit::Connection::client(bowsprit::Messages, config, seed);
        let mut wire = bytes::BytesMut::new();
        let mut keys = Vec::new();
        for i in 0..10_000 {
            match i % 3 {
                0 => client.send(Outgoing::ping(b""), &mut wire).unwrap(),
                1 => client.send(Chunk { data: Message::Text("a"), end: i % 2 == 0 }, &mut wire).unwrap(),
                _ => client.send(Outgoing::pong(b""), &mut wire).unwrap(),
            }
            keys.extend(frames(Role::Client, &wire).into_iter().map(|frame| u32::from_be_bytes(frame.key.unwrap())));
            client.wrote(wire.len(), &mut wire);
        }
        assert_eq!(keys.len(), 10_000);
        keys
    };
    let one = keys([1; 32]);
    let distinct = |values: &mut dyn Iterator<Item = u32>| values.collect::<BTreeSet<u32>>().len();
    assert!(distinct(&mut one.iter().copied()) > 9_990, "no constant, no short period");
    assert!(distinct(&mut one.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))) > 9_990, "no counter");
    assert!(distinct(&mut one.windows(2).map(|pair| pair[1] ^ pair[0])) > 9_990);
    for byte in 0..4 {
        assert_eq!(distinct(&mut one.iter().map(|key| key >> (8 * byte) & 0xff)), 256, "every byte is random");
    }
    assert!(keys([2; 32]).iter().zip(&one).filter(|(two, one)| two == one).count() < 10, "the seed decides");
    log.proved("WS-5.3-01", Role::Client);

    // REQ: WS-5.3-02
    let key = hex!("37 fa 21 3d");
    for len in 0..=67_u8 {
        let payload: Vec<u8> = (0..len).map(|i| i.wrapping_mul(37)).collect();
        let naive: Vec<u8> = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        let wire = [&[0x82, 0x80 | len][..], &key, &naive].concat();
        row(log, "WS-5.3-02", Role::Server, &wire, events([binary(&payload)]));
        let mut client = Endpoint::new(Role::Client);
        client.connection.send(&payload, &mut client.output).unwrap();
        let sent = frames(Role::Client, &client.transmits()).remove(0);
        assert_eq!(sent.payload, payload, "what the peer's naive loop makes of it");
    }
    // Each fragment begins at the first byte of its own key.
    let wire = hex!("01 83 37 fa 21 3d 7f 9f 4d 80 82 01 02 03 04 6d 6d");
    row(log, "WS-5.3-02", Role::Server, &wire, events([text("Hello")]));
    log.proved("WS-5.3-02", Role::Client);

    // REQ: WS-5.3-03
    row(log, "WS-5.3-03", Role::Server, &hex!("81 85 00 00 00 00 48 65 6c 6c 6f"), events([text("Hello")]));
    row(log, "WS-5.3-03", Role::Server, &hex!("81 81 ff ff ff ff 9e"), events([text("a")]));

    // REQ: WS-5.3-04
    let hello = events([ping(b"Hello")]) + sends(&hex!("8a 05 48 65 6c 6c 6f"));
    row(log, "WS-5.3-04", Role::Server, &hex!("89 85 37 fa 21 3d 7f 9f 4d 51 58"), hello);
    row(log, "WS-5.3-04", Role::Server, &hex!("88 82 37 fa 21 3d 34 12"), closes(Some((1000, ""))));

    // REQ: WS-5.3-05
    let mut client = Endpoint::new(Role::Client);
    client.connection.send(Chunk { data: Message::Text("one"), end: false }, &mut client.output).unwrap();
    let before = client.output.to_vec();
    client.connection.send(Chunk { data: Message::Text("two"), end: true }, &mut client.output).unwrap();
    assert_eq!(client.output[..before.len()], before, "what was begun is not touched again");
    let sent = frames(Role::Client, &client.transmits());
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].key, sent[1].key);
    log.proved("WS-5.3-05", Role::Client);
}

fn registry(log: &mut Log) {
    // REQ: IANA-01
    for opcode in 0..16_u8 {
        for rsv in 0..8_u8 {
            let wire = [0x80 | rsv << 4 | opcode, 0x00];
            let expected = match (rsv, opcode) {
                (0, 0x0) => fails(1002).because(ProtocolError::UnexpectedContinuation),
                (0, 0x1) => events([text("")]),
                (0, 0x2) => events([binary(b"")]),
                (0, 0x8) => closes(None),
                (0, 0x9) => events([ping(b"")]) + sends(&hex!("8a 00")),
                (0, 0xa) => events([pong(b"")]),
                _ => fails(1002),
            };
            row_both(log, "IANA-01", &wire, expected);
        }
    }
    let config = Config { max_frame: Some(4), ..Config::default() };
    // A frame limit of its own holds for each frame, not for the message.
    // REQ: WS-10-02
    row_with(
        log,
        "WS-10-02",
        Role::Client,
        config,
        &hex!("02 04 61 61 61 61 80 04 61 61 61 61"),
        events([binary(b"aaaaaaaa")]),
    );
}

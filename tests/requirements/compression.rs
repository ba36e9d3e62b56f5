//! Group O: compressed messages (RFC 7692 sections 6 and 7.2), and what group M says of them.

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunk, Config, Deflate, Exceeded, Message, Outgoing, ProtocolError, Role};
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::harness::{Log, ROLES};
use crate::heap::peak;
use crate::negotiation::{AGREED, farthest, hellos};
use crate::wire::{
    Endpoint, Expected, binary, closes, events, fails, frames, from_peer, nothing, ping, row_agreed, row_extended,
    sends, text,
};

pub(crate) fn rows(log: &mut Log) {
    log.group(reserved_bits);
    log.group(fragments);
    log.group(mixed);
    log.group(sending);
    log.group(receiving);
    log.group(no_deflate);
    log.group(limits);
}

const ALONE: Agreed = Agreed { server_no_context_takeover: true, client_no_context_takeover: true, ..AGREED };

#[track_caller]
fn row(log: &mut Log, id: &str, wire: &[u8], expected: Expected) {
    for role in ROLES {
        row_agreed(log, id, role, AGREED, wire, expected.clone());
    }
}

fn hello() -> Expected {
    events([text("Hello")])
}

/// A sending end that compresses every message.
fn sender(role: Role, agreed: Agreed, level: u8) -> Endpoint {
    let deflate = Deflate { level, threshold: 0, ..Deflate::default() };
    Endpoint::agreed(role, Config { compression: Some(deflate), ..Config::default() }, agreed)
}

fn reserved_bits(log: &mut Log) {
    // REQ: PMD-6-01
    row(log, "PMD-6-01", &hex!("c1 07 f2 48 cd c9 c9 07 00 81 05 48 65 6c 6c 6f"), hello() + hello());
    row(log, "PMD-6-01", &hex!("c2 07 f2 48 cd c9 c9 07 00 82 05 48 65 6c 6c 6f"), {
        events([binary(b"Hello"), binary(b"Hello")])
    });

    // REQ: PMD-6-02
    let reserved = || fails(1002).because(ProtocolError::ReservedBits);
    for wire in [
        &hex!("c9 00")[..],
        &hex!("ca 00"),
        &hex!("c8 02 03 e8"),
        &hex!("c8"),
        &hex!("41 03 f2 48 cd c0 04 c9 c9 07 00"),
        &hex!("41 03 f2 48 cd 40 00"),
        &hex!("01 01 61 c0 01 62"),
        &hex!("41 03 f2 48 cd c9 00"),
    ] {
        row(log, "PMD-6-02", wire, reserved());
    }

    // REQ: PMD-6-03
    for first in hex!("a1 91 e1 d1 b1 f1 a2 92 e2 a0 a9") {
        row(log, "PMD-6-03", &[first, 0x00], reserved());
    }
    for first in hex!("c3 c7 cb cf") {
        row(log, "PMD-6-03", &[first, 0x00], fails(1002));
    }
}

fn fragments(log: &mut Log) {
    // REQ: PMD-6-04, PMD-7.2.2-01
    let payload = hex!("f2 48 cd c9 c9 07 00");
    for at in 0..=payload.len() {
        let (one, two) = payload.split_at(at);
        let [len_one, len_two] = [one, two].map(|half| u8::try_from(half.len()).unwrap());
        let wire = [&[0x41, len_one], one, &[0x80, len_two], two].concat();
        row(log, "PMD-6-04", &wire, hello());
        row(log, "PMD-7.2.2-01", &[&wire[..], &hex!("c1 05 f2 00 11 00 00")].concat(), hello() + hello());
        let wire = [&[0x41, len_one], one, &hex!("89 01 70 00 00")[..], &[0x80, len_two], two].concat();
        row(log, "PMD-6-04", &wire, events([ping(b"p"), text("Hello")]) + sends(&hex!("8a 01 70")));
    }
    let each: Vec<u8> = payload[1..6].iter().flat_map(|byte| [0x00, 0x01, *byte]).collect();
    let wire = [&hex!("41 01 f2")[..], &each, &hex!("80 01 00")].concat();
    row(log, "PMD-6-04", &wire, hello());
    row(log, "PMD-6-04", &hex!("41 03 f2 48 cd"), nothing());
    row(log, "PMD-6-04", &hex!("41 03 f2 48 cd 88 02 03 e8"), closes(Some((1000, ""))));

    // REQ: PMD-6-05
    // Stored: c3 28; and é, stored, in two fragments.
    let invalid = || fails(1007).because(ProtocolError::InvalidUtf8);
    row(log, "PMD-6-05", &hex!("c1 08 00 02 00 fd ff c3 28 00"), invalid());
    row(log, "PMD-6-05", &hex!("41 07 00 02 00 fd ff c3 28"), invalid()); // before its end
    row(log, "PMD-6-05", &hex!("c1 07 00 01 00 fe ff c3 00"), invalid()); // a character is cut off
    row(log, "PMD-6-05", &hex!("41 06 00 02 00 fd ff c3 80 02 a9 00"), events([text("é")]));
    row(log, "PMD-6-05", &hex!("c2 08 00 02 00 fd ff c3 28 00"), events([binary(&hex!("c3 28"))]));
}

fn mixed(log: &mut Log) {
    // REQ: PMD-6-06
    for role in ROLES {
        let mut end = Endpoint::agreed(role, Config::default(), AGREED);
        end.connection.send("Hello", &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("81 05 48 65 6c 6c 6f"), "below the threshold");
        end.connection.send(&"a".repeat(1 << 10), &mut end.output).unwrap();
        let sent = end.sent();
        assert_eq!(sent[0], 0xc1);
        assert!(sent.len() < 30);
        log.proved("PMD-6-06", role);
    }

    // REQ: PMD-6-07
    let wire = hex!("c1 07 f2 48 cd c9 c9 07 00 81 03 78 79 7a c1 05 f2 00 11 00 00");
    row(log, "PMD-6-07", &wire, events([text("Hello"), text("xyz"), text("Hello")]));
    for role in ROLES {
        let mut end = sender(role, AGREED, 6);
        end.connection.send("Hello", &mut end.output).unwrap();
        end.connection.send(Outgoing::message(Message::Text("xyz")).uncompressed(), &mut end.output).unwrap();
        end.connection.send("Hello", &mut end.output).unwrap();
        assert_eq!(end.sent(), wire);
    }

    // REQ: WS-10-12
    for role in ROLES {
        let mut end = Endpoint::agreed(role, Config::default(), AGREED);
        let secret = "secret ".repeat(100);
        end.connection.send(Outgoing::message(Message::Text(&secret)).uncompressed(), &mut end.output).unwrap();
        let sent = end.sent();
        assert_eq!((sent[0], &sent[4..]), (0x81, secret.as_bytes()));
        log.proved("WS-10-12", role);
    }
}

fn sending(log: &mut Log) {
    for role in ROLES {
        // REQ: PMD-7.2.1-01
        let mut end = sender(role, AGREED, 6);
        end.connection.send("Hello", &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("c1 07 f2 48 cd c9 c9 07 00"));
        log.proved("PMD-7.2.1-01", role);

        // REQ: PMD-7.2.1-02
        for before in ["", "Hello", "\u{0}"] {
            for agreed in [AGREED, ALONE] {
                let mut end = sender(role, agreed, 6);
                end.connection.send(Outgoing::text(before), &mut end.output).unwrap();
                end.sent();
                for _ in 0..3 {
                    end.connection.send("", &mut end.output).unwrap();
                    assert_eq!(end.sent(), hex!("c1 01 00"));
                }
            }
        }
        log.proved("PMD-7.2.1-02", role);

        // REQ: PMD-7.2.1-06
        let mut end = sender(role, AGREED, 0);
        end.connection.send("Hello", &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"));
        log.proved("PMD-7.2.1-06", role);

        // REQ: PMD-7.2.1-07
        let mut end = sender(role, AGREED, 6);
        end.connection.send(Chunk { data: Message::Text("He"), end: false }, &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("41 08 f2 48 05 00 00 00 ff ff"));
        end.connection.send(Chunk { data: Message::Text("llo"), end: true }, &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("80 05 ca c9 c9 07 00"));
        // With nothing in the last one.
        end.connection.send(Chunk { data: Message::Text("Hello"), end: false }, &mut end.output).unwrap();
        assert!(end.sent().ends_with(&hex!("00 00 ff ff")));
        end.connection.send(Chunk { data: Message::Text(""), end: true }, &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("80 01 00"));
        log.proved("PMD-7.2.1-07", role);

        // REQ: PMD-7.2.1-08
        for bits in 8..=15 {
            let agreed = Agreed { server_max_window_bits: bits, client_max_window_bits: bits, ..AGREED };
            assert!(farthest(role, agreed) <= 1 << bits);
        }
        log.proved("PMD-7.2.1-08", role);

        // REQ: PMD-7.2.1-09
        assert_eq!(hellos(role, ALONE), [hex!("f2 48 cd c9 c9 07 00"); 2]);
        let mut end = sender(role, AGREED, 6);
        end.connection.send("Hello", &mut end.output).unwrap();
        end.connection.send("Hello", &mut end.output).unwrap();
        assert_eq!(end.sent()[9..], hex!("c1 05 f2 00 11 00 00"), "with takeover the first is referred to");
        log.proved("PMD-7.2.1-09", role);

        // REQ: PMD-7.2.2-06
        // At each level the payload is raw: a zlib stream would begin with 78, which is a stored block here.
        let mut decoder = Decoder::default();
        for level in 0..=9 {
            let mut end = sender(role, ALONE, level);
            end.connection.send(&[0x5a; 5_000], &mut end.output).unwrap();
            let wire = end.transmits();
            let frame = &frames(role, &wire)[0];
            assert_ne!(frame.payload[0], 0x78);
            decoder.forget();
            assert_eq!(decoder.message(&frame.payload), Some(vec![0x5a; 5_000]));
        }
        log.proved("PMD-7.2.2-06", role);
    }
    row(log, "PMD-7.2.1-02", &hex!("c1 01 00 c1 01 00 c1 07 f2 48 cd c9 c9 07 00"), {
        events([text(""), text(""), text("Hello")])
    });
    let streamed = hex!("41 08 f2 48 05 00 00 00 ff ff 80 05 ca c9 c9 07 00");
    row(log, "PMD-7.2.1-07", &streamed, hello());
}

fn receiving(log: &mut Log) {
    // REQ: PMD-7.2.1-03
    row(log, "PMD-7.2.1-03", &hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"), hello());
    row(log, "PMD-7.2.1-03", &hex!("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), hello());

    // REQ: PMD-7.2.1-04
    row(log, "PMD-7.2.1-04", &hex!("c1 08 f3 48 cd c9 c9 07 00 00"), hello());
    row(log, "PMD-7.2.1-04", &hex!("c1 0a f3 48 05 00 cb c9 c9 07 00 00"), hello());
    row(log, "PMD-7.2.1-04", &hex!("41 07 f3 48 cd c9 c9 07 00 80 01 00"), hello());

    // REQ: PMD-7.2.1-05
    let again = hex!("c1 05 f2 00 11 00 00");
    for first in [&hex!("c1 08 f3 48 cd c9 c9 07 00 00")[..], &hex!("c1 0a f3 48 05 00 cb c9 c9 07 00 00")] {
        row(log, "PMD-7.2.1-05", &[first, &again, &again].concat(), hello() + hello() + hello());
    }
    // The block whose end is cut off is final and empty, and the next message refers to what was before it.
    let cut_off = hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 01");
    row(log, "PMD-7.2.1-05", &[&cut_off[..], &again, &again].concat(), hello() + hello() + hello());
    // A match inside a message, over its final block.
    row(log, "PMD-7.2.1-05", &hex!("c1 0c f3 48 cd c9 c9 07 00 f2 00 11 00 00"), events([text("HelloHello")]));

    // REQ: PMD-7.2.2-02
    let twice = [&hex!("c1 07 f2 48 cd c9 c9 07 00")[..], &again].concat();
    row(log, "PMD-7.2.2-02", &twice, hello() + hello());

    // REQ: PMD-7.2.2-03
    let corrupt = || fails(1007).because(ProtocolError::InvalidDeflate);
    row(log, "PMD-7.2.2-03", &again, corrupt());
    for role in ROLES {
        row_agreed(log, "PMD-7.2.2-03", role, ALONE, &twice, hello() + corrupt());
    }

    // REQ: PMD-7.2.2-05
    row(log, "PMD-7.2.2-05", &hex!("c1 00 c1 07 f2 48 cd c9 c9 07 00"), events([text(""), text("Hello")]));
    row(log, "PMD-7.2.2-05", &hex!("41 00 00 00 80 00 c1 07 f2 48 cd c9 c9 07 00"), {
        events([text(""), text("Hello")])
    });
}

fn no_deflate(log: &mut Log) {
    // REQ: PMD-7.2.2-04
    let corrupt = || fails(1007).because(ProtocolError::InvalidDeflate);
    for wire in [
        &hex!("c1 01 06")[..],
        &hex!("c1 05 00 05 00 00 00"),
        &hex!("c1 03 f2 48 cd"),
        &hex!("c1 06 f2 48 cd c9 c9 07"),
        &hex!("c1 07 f3 48 cd c9 c9 07 00"),
        &hex!("c1 0b f2 48 cd c9 c9 07 00 de ad be ef"),
        &hex!("41 01 06"),
        &hex!("c2 06 00 09 00 f6 ff 61"),
    ] {
        // Of a message in chunks, what came before may have been delivered; its end is not.
        row(log, "PMD-7.2.2-04", wire, corrupt());
    }
}

fn limits(log: &mut Log) {
    // REQ: WS-10-04
    // 1 MiB of zeros.
    const LIMIT: u64 = 64 << 10;
    let mut payload = Vec::with_capacity(4 << 10);
    let mut engine = flate2::Compress::new(flate2::Compression::best(), false);
    engine.compress_vec(&[0; 1 << 20], &mut payload, flate2::FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - 4);
    assert!(payload.len() < 1_100);
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let wire = [&hex!("c2 7e")[..], &len, &payload].concat();
    let config = Config { max_message: LIMIT, max_frame: Some(Config::UNLIMITED), ..Config::default() };
    let too_long = fails(1009).because(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
    for role in ROLES {
        let wire = from_peer(role, &wire);
        row_extended(log, "WS-10-04", role, config.clone(), &AGREED.into(), &wire, too_long.clone());
        let mut end = Endpoint::agreed(role, config.clone(), AGREED);
        let (told, peak) = peak(|| end.reads(&wire));
        assert_eq!((told, end.error), (vec![], Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0)))));
        assert!(peak as u64 <= LIMIT * 2 + (128 << 10), "{peak} bytes"); // what grows is copied, and counted twice
    }
    // Exactly the limit, and one byte more: stored.
    for (limit, expected) in [(5, hello()), (4, too_long)] {
        let config = Config { max_message: limit, ..Config::default() };
        for role in ROLES {
            let wire = from_peer(role, &hex!("c1 07 f2 48 cd c9 c9 07 00"));
            row_extended(log, "WS-10-04", role, config.clone(), &AGREED.into(), &wire, expected.clone());
        }
    }
}

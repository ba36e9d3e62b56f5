//! Group I: ping and pong (RFC 6455 sections 5.5, 5.5.2 and 5.5.3).

use std::time::Duration;

use bowsprit::{Cause, Config, Header, OpCode, Outgoing, ProtocolError, Role, SendError, Timeout, TransportState};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::wire::{Endpoint, Told, closes, events, fails, frames, nothing, ping, pong, row, row_both, sends};

pub(crate) fn rows(log: &mut Log) {
    log.group(lengths);
    log.group(answers);
    log.group(pings_of_our_own);
    log.group(keep_alive);
}

fn lengths(log: &mut Log) {
    // REQ: WS-5.5-01
    for first in hex!("88 89 8a") {
        for second in [126, 127] {
            let too_long = || fails(1002).because(ProtocolError::ControlTooLong);
            row(log, "WS-5.5-01", Role::Client, &[first, second], too_long());
            row(log, "WS-5.5-01", Role::Server, &[first, 0x80 | second], too_long());
            row_both(log, "WS-5.5-01", &[0x01, 0x01, 0x41, first, second], too_long());
        }
        row_both(log, "WS-5.5-01", &[first, 125], nothing());
    }

    // REQ: WS-5.5-02
    for role in ROLES {
        let mut end = Endpoint::new(role);
        assert_eq!(end.connection.send(Outgoing::ping(&[0; 126]), &mut end.output), Err(SendError::ControlTooLong));
        assert_eq!(end.connection.send(Outgoing::pong(&[0; 126]), &mut end.output), Err(SendError::ControlTooLong));
        assert!(end.output.is_empty());
        assert_eq!(end.connection.transport(), TransportState::Open);
        end.connection.send(Outgoing::ping(&[0x70; 125]), &mut end.output).unwrap();
        assert_eq!(end.sent(), [&hex!("89 7d")[..], &[0x70; 125]].concat());
        end.connection.send(Outgoing::pong(&[0x70; 125]), &mut end.output).unwrap();
        assert_eq!(end.sent(), [&hex!("8a 7d")[..], &[0x70; 125]].concat());
        log.proved("WS-5.5-02", role);
    }
}

fn answers(log: &mut Log) {
    // REQ: WS-5.5.2-01
    let answered = |payload: &[u8]| {
        let len = u8::try_from(payload.len()).unwrap();
        let wire = |first: u8| [&[first, len][..], payload].concat();
        (wire(0x89), events([ping(payload)]) + sends(&wire(0x8a)))
    };
    for payload in [&b"Hello"[..], b"", &hex!("00 ff fe"), &[0xaa; 125]] {
        let (wire, expected) = answered(payload);
        row_both(log, "WS-5.5.2-01", &wire, expected);
    }
    row_both(log, "WS-5.5.2-01", &hex!("81 00 89 01 70 81 00"), {
        events([Told::Text(String::new()), ping(b"p"), Told::Text(String::new())]) + sends(&hex!("8a 01 70"))
    });
    // Our own Close ends our messages, not the duty to answer.
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.close(Some((1000, ""))).unwrap();
        assert_eq!(end.gets(&hex!("89 01 70")), [ping(b"p")]);
        assert_eq!(end.sent(), hex!("88 02 03 e8 8a 01 70"));
    }

    // REQ: WS-5.5.2-02
    let pings = hex!("89 01 30 89 01 31 89 01 32 89 01 33 89 01 34 89 01 35 89 01 36 89 01 37 89 01 38 89 01 39");
    let pongs = hex!("8a 01 30 8a 01 31 8a 01 32 8a 01 33 8a 01 34 8a 01 35 8a 01 36 8a 01 37 8a 01 38 8a 01 39");
    let told = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"].map(|payload| ping(payload));
    row_both(log, "WS-5.5.2-02", &pings, events(told) + sends(&pongs));
    for role in ROLES {
        // A peer that pings and never reads: beyond 16 KiB only the newest Ping is answered.
        let mut end = Endpoint::new(role);
        for i in 0..1000_u32 {
            let payload = [&i.to_be_bytes()[..], &[0x70; 121]].concat();
            assert_eq!(end.gets(&[&[0x89, 125][..], &payload].concat()), [ping(&payload)]);
            assert!(end.output.len() <= (16 << 10) + 2 * 131, "{} bytes after {i} pings", end.output.len());
        }
        let sent = frames(role, &end.transmits());
        let numbers: Vec<u32> =
            sent.iter().map(|frame| u32::from_be_bytes(frame.payload[..4].try_into().unwrap())).collect();
        let (newest, first) = numbers.split_last().unwrap();
        assert_eq!(*newest, 999);
        assert!(first.len() >= 16_384 / 131, "everything below 16 KiB is answered");
        assert!((0..).zip(first).all(|(i, number)| i == *number), "in order");

        // The Pong that waits enters once the transport takes anything, and the next one behind all that was there.
        let mut end = busy(role);
        assert_eq!(end.gets(&hex!("89 01 61 89 01 62")), [ping(b"a"), ping(b"b")]);
        let before = end.output.len();
        end.connection.wrote(1, &mut end.output);
        let pong = end.output.len() - (before - 1);
        assert_eq!(pong, if role == Role::Client { 7 } else { 3 }, "one Pong");
        end.gets(&hex!("89 01 63"));
        end.connection.wrote(1, &mut end.output);
        assert_eq!(end.output.len(), before - 2 + pong, "the second one waits");
        end.connection.wrote(before - 2 + pong, &mut end.output);
        assert_eq!(end.sent(), hex!("8a 01 63"));
    }

    // REQ: WS-5.5.2-03
    row_both(log, "WS-5.5.2-03", &hex!("88 02 03 e8 89 00"), closes(Some((1000, ""))));
    row_both(
        log,
        "WS-5.5.2-03",
        &hex!("89 01 70 88 00 89 01 71"),
        events([ping(b"p")]) + sends(&hex!("8a 01 70")) + closes(None),
    );
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.close(None).unwrap();
        end.gets(&hex!("88 00 89 01 70"));
        assert_eq!(end.sent(), hex!("88 00"));

        // Not even one that was still waiting when the Close came, or when the connection failed.
        for (last, code) in [(hex!("88 00"), vec![]), (hex!("83 00"), vec![0x03, 0xea])] {
            let mut end = busy(role);
            end.gets(&hex!("89 01 70"));
            end.gets(&last);
            let sent = frames(role, &end.transmits());
            assert_eq!(sent.len(), 2, "the message and the Close");
            assert_eq!((sent[1].header[0], &sent[1].payload), (0x88, &code));
        }
    }

    // REQ: WS-5.5.3-01
    row_both(log, "WS-5.5.3-01", &hex!("8a 00"), events([pong(b"")]));
    row_both(log, "WS-5.5.3-01", &hex!("8a 00 8a 03 61 62 63"), events([pong(b""), pong(b"abc")]));
}

/// An end with so much to send that Pongs wait.
fn busy(role: Role) -> Endpoint {
    let mut end = Endpoint::new(role);
    end.connection.send(&[0; 20 << 10], &mut end.output).unwrap();
    end
}

fn pings_of_our_own(log: &mut Log) {
    // REQ: WS-5.5.2-04
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send(Outgoing::ping(b"\x00\xff"), &mut end.output).unwrap();
        assert_eq!(end.sent(), hex!("89 02 00 ff"));
        end.close(None).unwrap();
        assert_eq!(end.connection.send(Outgoing::ping(b""), &mut end.output), Err(SendError::Closing));
        assert_eq!(end.sent(), hex!("88 00"));
        end.gets(&hex!("88 00"));
        assert_eq!(end.connection.send(Outgoing::ping(b""), &mut end.output), Err(SendError::Closing));
        assert_eq!(end.connection.send(Outgoing::pong(b""), &mut end.output), Err(SendError::Closing));
        assert_eq!(end.sent(), b"");
        log.proved("WS-5.5.2-04", role);
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn keep_alive(log: &mut Log) {
    let config = || Config {
        ping_interval: Some(seconds(5)),
        pong_timeout: Some(seconds(12)),
        message_timeout: None,
        write_timeout: None,
        ..Config::default()
    };
    for role in ROLES {
        // REQ: WS-5.5.3-02
        let mut end = Endpoint::with(role, config());
        end.arm(seconds(0));
        let mut pings = Vec::new();
        for at in [5, 10, 15] {
            assert_eq!(end.expires(seconds(at)), None);
            let sent = frames(role, &end.transmits());
            assert_eq!((sent.len(), sent[0].header[0]), (1, 0x89));
            pings.push(sent[0].payload.clone());
            end.arm(seconds(at));
        }
        // A Pong with a payload of its own satisfies nothing; the Pong to the second Ping answers the first as well.
        end.gets(b"\x8a\x05other");
        end.gets(&[&[0x8a, u8::try_from(pings[1].len()).unwrap()], &pings[1][..]].concat());
        end.arm(seconds(16));
        assert_eq!(end.connection.latency(), Some(seconds(6)), "the second went out at 10");
        for at in [20, 25] {
            assert_eq!(end.expires(seconds(at)), None, "the first Ping would have expired at 17, the second at 22");
            end.transmits();
            end.arm(seconds(at));
        }
        // The third is still waiting, and the last byte arrived at 16: 16 + 12.
        assert_eq!(end.expires(seconds(28)), Some(Timeout::Pong));
        assert_eq!(end.connection.transport(), TransportState::Shutdown);
        assert_eq!(end.sent(), hex!("88 02 03 e9"), "1006 is told, never sent");
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.code().0, ended.clean), (1006, false));
        assert_eq!(ended.cause, Cause::Timeout(Timeout::Pong));
        log.proved("WS-5.5.3-02", role);

        // Of two Pings alike, the Pong answers the second.
        let mut end = Endpoint::new(role);
        let raw = Header::new(OpCode::Ping, 4);
        end.connection.send(Outgoing::ping(b"same"), &mut end.output).unwrap();
        end.sent();
        end.arm(seconds(1));
        end.connection.send(Outgoing::frame(raw, b"same"), &mut end.output).unwrap();
        end.sent();
        end.arm(seconds(5));
        end.gets(b"\x8a\x04same");
        end.arm(seconds(7));
        assert_eq!(end.connection.latency(), Some(seconds(2)));

        // Once a Close is out, nobody waits for a Pong, and no Ping goes out: the close deadline is the only one.
        let mut end = Endpoint::with(role, config());
        end.arm(seconds(0));
        assert_eq!(end.expires(seconds(5)), None);
        end.close(None).unwrap();
        end.sent();
        end.arm(seconds(8));
        assert_eq!(end.expires(seconds(18)), Some(Timeout::Close), "the Pong was due at 17");

        // An interval of nothing still lets the caller sleep.
        let mut end = Endpoint::with(role, Config { ping_interval: Some(seconds(0)), ..config() });
        end.arm(seconds(1));
        assert_eq!(end.connection.handle_timeout(seconds(1), &mut end.output), None);
        assert!(end.connection.poll_timeout() > Some(seconds(1)));
    }
}

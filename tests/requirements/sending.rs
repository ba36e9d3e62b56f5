//! Group L: sending and receiving (RFC 6455 section 6).

use bowsprit::{Chunk, CloseCode, Header, Message, OpCode, Outgoing, Prepared, Role, SendError, Uncopied};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::wire::{Endpoint, Told, binary, events, from_peer, ping, row_both, text, unmasked};

pub(crate) fn rows(log: &mut Log) {
    log.group(only_while_open);
    log.group(order);
    log.group(half_written);
}

fn only_while_open(log: &mut Log) {
    // REQ: WS-6-01
    // Before it is open there is no `Connection` that could send.
    for role in ROLES {
        type Ends = fn(&mut Endpoint);
        let ends: [(Ends, &[u8]); 4] = [
            (|end| end.close(None).unwrap(), &hex!("88 00")),
            (|end| assert_eq!(end.gets(&hex!("88 00")), [Told::Close(None)]), &hex!("88 00")),
            (|end| assert_eq!(end.gets(&hex!("83 00")), []), &hex!("88 02 03 ea")),
            (|end| end.disconnected(), &[]),
        ];
        for (ends, sent) in ends {
            let mut end = Endpoint::new(role);
            end.connection.send("open", &mut end.output).unwrap();
            end.sent();
            ends(&mut end);
            let refused = [
                end.connection.send("a", &mut end.output),
                end.connection.send(b"a", &mut end.output),
                end.connection.send(Message::Text("a"), &mut end.output),
                end.connection.send(Chunk { data: Message::Text("a"), end: false }, &mut end.output),
                end.connection.send(&Prepared::text("a"), &mut end.output),
            ];
            assert_eq!(refused, [Err(SendError::Closing); 5]);
            assert_eq!(end.sent(), sent);
        }

        // What an event finds closing, its outbox refuses; what it closes is closed.
        let mut end = Endpoint::new(role);
        end.input.extend_from_slice(&from_peer(role, &hex!("8a 00 88 00")));
        let mut batch = end.connection.receive(&mut end.input, &mut end.output);
        let (_, mut outbox) = batch.next().unwrap().unwrap();
        outbox.close(Some(CloseCode::GOING_AWAY.into())).unwrap();
        let (_, mut outbox) = batch.next().unwrap().unwrap();
        let refused = [
            outbox.send("a"),
            outbox.send(b"a"),
            outbox.send(Message::Text("a")),
            outbox.send(Chunk { data: Message::Text("a"), end: true }),
            outbox.send(&Prepared::text("a")),
            outbox.send(Outgoing::ping(b"")),
            outbox.send(Outgoing::pong(b"")),
            outbox.send(Outgoing::frame(Header::new(OpCode::Text, 0), b"")),
            outbox.close(None),
        ];
        assert_eq!(refused, [Err(SendError::Closing); 9]);
        drop(batch);
        assert_eq!(end.sent(), hex!("88 02 03 e9"));
        log.proved("WS-6-01", role);
    }
}

fn order(log: &mut Log) {
    // REQ: WS-6-02
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send(Chunk { data: Message::Text("a"), end: false }, &mut end.output).unwrap();
        let refused = [
            end.connection.send("x", &mut end.output),
            end.connection.send(&Prepared::text("x"), &mut end.output),
            end.connection.send(Chunk { data: Message::Binary(b"x"), end: true }, &mut end.output),
        ];
        assert_eq!(refused, [Err(SendError::MessageInProgress); 3], "the first message has no FIN yet");
        end.connection.send(Outgoing::ping(b"p"), &mut end.output).unwrap();
        end.gets(&hex!("89 01 71"));
        end.connection.send(Chunk { data: Message::Text("b"), end: false }, &mut end.output).unwrap();
        end.connection.send(Chunk { data: Message::Text(""), end: true }, &mut end.output).unwrap();
        end.connection.send(b"c", &mut end.output).unwrap();
        end.connection.send(Message::Text("d"), &mut end.output).unwrap();
        let expected = hex!("01 01 61 89 01 70 8a 01 71 00 01 62 80 00 82 01 63 81 01 64");
        assert_eq!(end.sent(), expected);

        // While an event is lent, its outbox has the same verbs over the same output.
        end.input.extend_from_slice(&from_peer(role, &hex!("8a 00")));
        let mut batch = end.connection.receive(&mut end.input, &mut end.output);
        let (_, mut outbox) = batch.next().unwrap().unwrap();
        outbox.send("a").unwrap();
        outbox.send(b"b").unwrap();
        outbox.send(Message::Text("c")).unwrap();
        outbox.send(Chunk { data: Message::Text("d"), end: false }).unwrap();
        outbox.send(Outgoing::ping(b"e")).unwrap();
        outbox.send(Outgoing::pong(b"f")).unwrap();
        outbox.send(Chunk { data: Message::Text("g"), end: true }).unwrap();
        outbox.send(&Prepared::binary(b"h")).unwrap();
        outbox.send(Outgoing::frame(Header::new(OpCode::Binary, 1), b"i")).unwrap();
        assert_eq!(outbox.send(Outgoing::ping(&[0; 126])), Err(SendError::ControlTooLong));
        drop(batch);
        let expected = hex!("81 01 61 82 01 62 81 01 63 01 01 64 89 01 65 8a 01 66 80 01 67 82 01 68 82 01 69");
        assert_eq!(end.sent(), expected);

        // Header first: a server's payload needs no copy, a client's has to be masked.
        let begun = end.connection.begin(Message::Binary(&[0; 200]), &end.output).unwrap();
        let expected = (role == Role::Server).then_some([&hex!("82 7e 00 c8")[..], &[0; 200]]);
        assert_eq!(begun.as_ref().map(Uncopied::slices), expected);
        assert_eq!(end.sent(), b"");
        log.proved("WS-6-02", role);
    }

    // REQ: WS-6-03
    row_both(log, "WS-6-03", &hex!("81 01 61 82 01 62"), events([text("a"), binary(b"b")]));
    let wire = hex!("01 01 61 80 01 62 02 01 63 80 00 81 00");
    row_both(log, "WS-6-03", &wire, events([text("ab"), binary(b"c"), text("")]));
}

fn half_written(log: &mut Log) {
    // REQ: WS-6-04
    for role in ROLES {
        let mut end = Endpoint::new(role);
        let mut wire = Vec::new();
        let mut sent = Vec::new();
        for i in 0..600_u32 {
            // The transport takes a single byte; then a message, a Ping of the peer, a Ping of our own.
            match i {
                0 | 20 | 40 => {
                    end.connection.send("Hello", &mut end.output).unwrap();
                    sent.extend_from_slice(&hex!("81 05 48 65 6c 6c 6f"));
                }
                5 | 21 | 47 | 48 => {
                    assert_eq!(end.gets(&hex!("89 02 70 71")), [ping(b"pq")]);
                    sent.extend_from_slice(&hex!("8a 02 70 71"));
                }
                6 | 23 | 60 => {
                    end.connection.send(Outgoing::ping(b"x"), &mut end.output).unwrap();
                    sent.extend_from_slice(&hex!("89 01 78"));
                }
                70 => {
                    end.close(Some((1000, ""))).unwrap();
                    sent.extend_from_slice(&hex!("88 02 03 e8"));
                }
                _ => {}
            }
            if let Some(byte) = end.output.first() {
                wire.push(*byte);
                end.connection.wrote(1, &mut end.output);
            }
        }
        assert!(end.output.is_empty());
        assert_eq!(unmasked(role, &wire), sent, "whole frames, in order");

        // The peer reads the same, byte by byte.
        let mut peer = Endpoint::new(if role == Role::Client { Role::Server } else { Role::Client });
        let told: Vec<Told> = wire.iter().flat_map(|byte| peer.reads(&[*byte])).collect();
        assert_eq!(told.iter().filter(|told| **told == text("Hello")).count(), 3);
        assert_eq!(told.len(), 11);
        assert_eq!(peer.error, None);
        log.proved("WS-6-04", role);
    }
}

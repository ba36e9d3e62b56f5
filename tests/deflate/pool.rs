//! Connections that share their engines.

use std::sync::Arc;
use std::thread;

use bowsprit::extension::permessage_deflate::{Agreed, Pool};
use bowsprit::{Chunk, Config, Connection, Deflate, Event, Message, Messages, Outgoing, ProtocolError, Role};
use bytes::BytesMut;
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::support::{AGREED, ROLES, Random, bytes_of, frame, payloads, receive};

const ALONE: Agreed = Agreed { server_no_context_takeover: true, client_no_context_takeover: true, ..AGREED };

fn end(role: Role, agreed: Agreed, level: u8, pool: Option<&Pool>) -> Connection {
    let deflate = Deflate { level, threshold: 0, pool: pool.cloned(), ..Deflate::default() };
    let config = Arc::new(Config { compression: Some(deflate), ..Config::default() });
    let connection = match role {
        Role::Client => Connection::client(Messages, config, [7; 32]),
        Role::Server => Connection::server(Messages, config),
    };
    connection.with_extensions(&agreed.into())
}

/// Each message is DEFLATE that stands on its own, whoever had the engine before, and while others are in the middle of
/// theirs; and no larger than from an engine of its own. (Not the same bytes: which of several matches an engine takes
/// may depend on what it saw before its reset.)
#[test]
fn no_match_leaves_its_message_whoever_had_the_engine_before() {
    let secret = b"the password is swordfish, the password is swordfish; ".repeat(20);
    for budget in [0, 300 << 10, 1 << 20, 100 << 20] {
        let pool = Pool::new(budget);
        let mut random = Random::new(budget as u64);
        let settings: Vec<(Role, Agreed, u8)> = (0..16_u8)
            .map(|n| {
                let bits = 8 + n / 2 % 8;
                let agreed = Agreed { server_max_window_bits: bits, client_max_window_bits: bits, ..ALONE };
                (ROLES[usize::from(n % 2)], agreed, 1 + n % 9)
            })
            .collect();
        let ends = |pool| -> Vec<Connection> {
            settings.iter().map(|(role, agreed, level)| end(*role, *agreed, *level, pool)).collect()
        };
        let (mut pooled, mut own) = (ends(Some(&pool)), ends(None));
        let mut begun: Vec<Option<[Vec<u8>; 2]>> = vec![None; pooled.len()];
        let (mut total, mut most) = ([0, 0], 0);
        for _ in 0..1_000 {
            let n = random.below(pooled.len());
            let at = random.below(secret.len());
            let piece = &secret[at..][..random.below(secret.len() - at)];
            let (whole, last) = (begun[n].is_none() && random.below(2) == 0, random.below(3) == 0);
            let sent = [&mut own[n], &mut pooled[n]].map(|connection| {
                let mut output = BytesMut::new();
                if whole {
                    connection.send(Outgoing::binary(piece), &mut output).unwrap();
                } else {
                    connection.send(Chunk { data: Message::Binary(piece), end: last }, &mut output).unwrap();
                }
                payloads(settings[n].0, &output).remove(0).1
            });
            total = [total[0] + sent[0].len(), total[1] + sent[1].len()];
            let [message, payload] = begun[n].get_or_insert_default();
            message.extend_from_slice(piece);
            payload.extend_from_slice(&sent[1]);
            if whole || last {
                let mut decoder = Decoder::default();
                assert_eq!(decoder.message(payload).as_ref(), Some(&*message), "{:?}", settings[n]);
                let bits = settings[n].1.server_max_window_bits;
                assert!(decoder.farthest <= 1 << bits, "{} in {bits} bits", decoder.farthest);
                begun[n] = None;
            }
            assert!(pool.kept() <= budget);
            most = most.max(pool.kept());
        }
        assert_eq!(most > 0, budget > 0);
        assert!(total[0].abs_diff(total[1]) <= total[0] / 200, "{total:?}");
    }
}

/// A match that reaches behind the beginning of its message, into what an engine may have seen of another connection.
#[test]
fn no_message_sees_the_window_of_another() {
    let secret = frame_of(b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    // What gives Hello again where the secret is still there; and at distances of all sizes.
    let mut peeks = vec![hex!("f2 00 11 00 00").to_vec()];
    for distance in [1, 2, 3, 4, 5, 25, 257, 1_025, 16_385, 24_577] {
        peeks.push(far_match(distance));
    }
    // Whole; in pieces, with a final block; cut off by the end of the connection; corrupt.
    let begun = |role| frame(role, 0x42, b"\xf2\x48\xcd\xc9\xc9\x07");
    for peek in &peeks {
        for role in ROLES {
            let pool = Pool::new(1 << 20);
            for before in [
                secret(role),
                frame_of(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")(role),
                begun(role),
                frame_of(b"\xf2\x48\xcd\xc9\xc9\x07")(role),
                frame_of(b"\xf2\x48\xcd\xc9\xc9\x07\xff\xff\xff")(role),
            ] {
                let mut other = end(role, ALONE, 6, Some(&pool));
                let _ = receive(&mut other, &before);
                // Also while the other one is there.
                let mut peeking = end(role, ALONE, 6, Some(&pool));
                let told = receive(&mut peeking, &frame_of(peek)(role));
                assert_eq!(told, Err(ProtocolError::InvalidDeflate), "{peek:02x?} behind {before:02x?}");
                drop(other);
                let mut peeking = end(role, ALONE, 6, Some(&pool));
                let told = receive(&mut peeking, &frame_of(peek)(role));
                assert_eq!(told, Err(ProtocolError::InvalidDeflate), "{peek:02x?} behind {before:02x?}");
                // And nothing is lost for who keeps to the rules.
                let mut right = end(role, ALONE, 6, Some(&pool));
                assert_eq!(receive(&mut right, &secret(role)), Ok(vec![b"Hello".to_vec()]));
                assert!(pool.kept() > 0);
            }
        }
    }
}

/// A final block in the middle of a message keeps the window of that message, also in an engine that had others.
#[test]
fn a_shared_engine_keeps_the_window_behind_a_final_block() {
    let pool = Pool::new(1 << 20);
    let payload = hex!("f3 48 cd c9 c9 07 00 f2 00 11 00 00");
    for role in ROLES {
        for _ in 0..3 {
            let mut connection = end(role, ALONE, 6, Some(&pool));
            for _ in 0..3 {
                let told = receive(&mut connection, &frame_of(&payload)(role));
                assert_eq!(told, Ok(vec![b"HelloHello".to_vec()]));
            }
        }
    }
}

#[test]
fn messages_go_there_and_back_on_many_threads() {
    let pool = Pool::new(2 << 20);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let pool = pool.clone();
            thread::spawn(move || {
                let mut client = end(Role::Client, ALONE, 6, Some(&pool));
                let mut server = end(Role::Server, ALONE, 6, Some(&pool));
                let mut output = BytesMut::new();
                for round in 0..200 {
                    let message = format!("thread {n}, round {round}; ").repeat(round);
                    client.send(&message, &mut output).unwrap();
                    assert_eq!(receive(&mut server, &output.split()), Ok(vec![message.clone().into_bytes()]));
                    server.send(&message, &mut output).unwrap();
                    assert_eq!(receive(&mut client, &output.split()), Ok(vec![message.into_bytes()]));
                    assert!(pool.kept() <= 2 << 20);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(pool.kept() > 0);
}

#[test]
fn a_window_that_is_taken_over_stays_with_its_connection() {
    let pool = Pool::new(1 << 20);
    let one_way = Agreed { client_no_context_takeover: true, ..AGREED };
    let mut client = end(Role::Client, one_way, 6, Some(&pool));
    let mut server = end(Role::Server, one_way, 6, Some(&pool));
    let mut output = BytesMut::new();
    for (n, expected) in [b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00".len(), 7].into_iter().enumerate() {
        server.send("Hello", &mut output).unwrap();
        assert_eq!(output.len(), expected, "message {n}");
        assert_eq!(receive(&mut client, &output.split()), Ok(vec![b"Hello".to_vec()]));
        assert_eq!(pool.kept(), 0);
    }
    // The other way both engines are shared.
    let mut kept = 0;
    for _ in 0..2 {
        client.send("Hello", &mut output).unwrap();
        assert!(pool.kept() > kept / 2);
        assert_eq!(receive(&mut server, &output.split()), Ok(vec![b"Hello".to_vec()]));
        assert!(kept == 0 || kept == pool.kept(), "the same engines again");
        kept = pool.kept();
    }
}

/// What is unused for the longest time makes room, and what fits in no budget is not kept.
#[test]
fn the_budget_is_kept() {
    let sends = |level, pool: &Pool| {
        let mut output = BytesMut::new();
        end(Role::Server, ALONE, level, Some(pool)).send("Hello", &mut output).unwrap();
    };
    let pool = Pool::new(usize::MAX);
    sends(1, &pool);
    let one = pool.kept();
    sends(1, &pool);
    assert_eq!(pool.kept(), one, "the same engine again");
    sends(2, &pool);
    assert_eq!(pool.kept(), 2 * one);
    for (budget, engines) in [(0, 0), (one - 1, 0), (one, 1), (2 * one - 1, 1), (2 * one, 2)] {
        let pool = Pool::new(budget);
        for level in [1, 2, 3, 1, 2, 2, 3] {
            sends(level, &pool);
        }
        assert_eq!(pool.kept(), engines * one);
    }
}

#[test]
fn it_is_a_handle() {
    fn is_shared_between_threads<T: Send + Sync>() {}
    is_shared_between_threads::<Pool>();
    let (one, other) = (Pool::new(1), Pool::new(1));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
    assert_eq!(format!("{one:?}"), "Pool { budget: 1, kept: 0 }");
}

#[test]
fn a_message_without_a_byte_takes_no_engine() {
    let pool = Pool::new(1 << 20);
    for role in ROLES {
        let (mut one, mut other) = (end(role, ALONE, 6, Some(&pool)), end(role, ALONE, 6, Some(&pool)));
        let hello = frame(role, 0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        assert_eq!(receive(&mut other, &hello), Ok(vec![b"Hello".to_vec()]));
        let kept = pool.kept();
        let empty = [frame(role, 0xc1, b""), frame(role, 0x41, b""), frame(role, 0x80, b"")].concat();
        assert_eq!(receive(&mut one, &empty), Ok(vec![vec![], vec![]]));
        assert_eq!(pool.kept(), kept);
    }
}

#[test]
fn a_message_in_progress_has_its_engine() {
    let pool = Pool::new(1 << 20);
    let mut waiting: Vec<Connection> = (0..5).map(|_| end(Role::Client, ALONE, 6, Some(&pool))).collect();
    for connection in &mut waiting {
        assert_eq!(receive(connection, &frame(Role::Client, 0x41, b"\xf2\x48\xcd")), Ok(vec![]));
    }
    assert_eq!(pool.kept(), 0);
    for connection in &mut waiting {
        let (mut input, mut output) =
            (BytesMut::from(&frame(Role::Client, 0x80, b"\xc9\xc9\x07\x00")[..]), BytesMut::new());
        let mut batch = connection.receive(&mut input, &mut output);
        assert!(matches!(batch.next(), Ok(Some((Event::Data(Message::Text("Hello")), _)))));
    }
    assert!(pool.kept() > 4 * (40 << 10));
}

/// A compressed binary message for an end of some role.
fn frame_of(payload: &[u8]) -> impl Fn(Role) -> Vec<u8> {
    move |role| frame(role, 0xc2, payload)
}

/// A block with fixed codes that holds a match of 3 bytes at this distance, which has extra bits of zero alone, and
/// the head of an empty block.
fn far_match(distance: usize) -> Vec<u8> {
    // RFC 1951 section 3.2.5: two codes for each number of extra bits.
    let (mut symbol, mut extra, mut base) = (0_u8, 0, 1);
    while base != distance {
        symbol += 1;
        base += 1 << extra;
        extra = (symbol / 2).saturating_sub(1);
        assert!(base <= 32_768);
    }
    let mut bits = vec![0, 1, 0]; // not final, fixed codes
    bits.extend([0, 0, 0, 0, 0, 0, 1]); // length 3
    bits.extend((0..5).rev().map(|at| symbol >> at & 1));
    bits.extend(vec![0; extra.into()]);
    bits.extend([0; 7]); // the end of the block
    bits.extend([0; 3]); // an empty one
    bytes_of(&bits)
}

//! Messages of every kind, in any order, from each end to the other.

use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunk, Config, Connection, Deflate, Event, Message, Messages, Outgoing, Prepared};
use bytes::BytesMut;

use crate::support::Random;

#[test]
fn every_mix_of_messages_arrives() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let agreed = Agreed {
            server_no_context_takeover: random.below(3) == 0,
            client_no_context_takeover: random.below(3) == 0,
            server_max_window_bits: 8 + random.byte() % 8,
            client_max_window_bits: 8 + random.byte() % 8,
        };
        let threshold = [0, 64, 300][random.below(3)];
        let config = Arc::new(Config {
            compression: Some(Deflate { level: random.byte() % 10, threshold, ..Deflate::default() }),
            fragment_size: [None, None, Some(1), Some(100), Some(4_000)][random.below(5)],
            ..Config::default()
        });
        let mut one = Connection::client(Messages, config.clone(), [7; 32]).with_extensions(&agreed.into());
        let mut other = Connection::server(Messages, config).with_extensions(&agreed.into());
        let (mut to_other, mut to_one) = (BytesMut::new(), BytesMut::new());
        let (mut expected_of_other, mut expected_of_one) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            expected_of_other.extend(send(&mut one, &mut to_other, &mut random));
            expected_of_one.extend(send(&mut other, &mut to_one, &mut random));
            // What has arrived, some of it; what is left lies there until the next time.
            hear(&mut other, &mut to_other, &mut expected_of_other, &mut random);
            hear(&mut one, &mut to_one, &mut expected_of_one, &mut random);
        }
        assert_eq!((expected_of_one.len(), expected_of_other.len()), (0, 0), "seed {seed}");
    }
}

/// Sends something; the message, unless it is nothing that arrives as one.
fn send(sender: &mut Connection, output: &mut BytesMut, random: &mut Random) -> Option<Vec<u8>> {
    let message = message(random);
    match random.below(10) {
        0 => sender.send(Outgoing::ping(b"ping"), output).unwrap(),
        1 => sender.release_compression(),
        2 => {
            sender.send(Outgoing::message(Message::Binary(&message)).uncompressed(), output).unwrap();
            return Some(message);
        }
        3 => {
            sender.send(&Prepared::binary(&message).deflated(6), output).unwrap();
            return Some(message);
        }
        4..=6 => {
            let mut rest = &message[..];
            while !rest.is_empty() && random.below(8) > 0 {
                let piece = rest.split_off(..random.below(rest.len() + 1)).unwrap();
                sender.send(Chunk { data: Message::Binary(piece), end: false }, output).unwrap();
                match random.below(6) {
                    0 => sender.send(Outgoing::ping(b"between"), output).unwrap(),
                    // Nothing is released in the middle of a message.
                    1 => sender.release_compression(),
                    _ => {}
                }
            }
            sender.send(Chunk { data: Message::Binary(rest), end: true }, output).unwrap();
            return Some(message);
        }
        _ => {
            sender.send(&message, output).unwrap();
            return Some(message);
        }
    }
    None
}

/// Nothing, text that compresses well, or noise.
fn message(random: &mut Random) -> Vec<u8> {
    let len = [0, 1, 70, 1_000, 30_000][random.below(5)];
    let len = random.below(len + 1);
    match random.below(3) {
        0 => (0..len).map(|_| random.byte()).collect(),
        1 => (0..len).map(|_| b"abcd"[random.below(4)]).collect(),
        _ => b"the same words as in the message before, ".iter().copied().cycle().take(len).collect(),
    }
}

fn hear(receiver: &mut Connection, input: &mut BytesMut, expected: &mut Vec<Vec<u8>>, random: &mut Random) {
    let mut answers = BytesMut::new();
    let mut arrived = BytesMut::new();
    while !input.is_empty() {
        let n = (random.below(5_000) + 1).min(input.len());
        arrived.unsplit(input.split_to(n));
        let mut heard = 0;
        let mut batch = receiver.receive(&mut arrived, &mut answers);
        while let Some((event, _)) = batch.next().expect("it is right") {
            match event {
                Event::Data(Message::Binary(message)) => {
                    assert_eq!(message, expected[heard]);
                    heard += 1;
                }
                Event::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
        drop(batch);
        expected.drain(..heard);
        if random.below(10) == 0 {
            receiver.release_compression();
        }
    }
    assert!(arrived.is_empty());
}

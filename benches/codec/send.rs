//! Sending: appended to an output that is counted and dropped.

use std::hint::black_box;
use std::sync::Arc;

use bowsprit::{Config, Connection, Messages, Outgoing};
use bytes::BytesMut;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::floor::codec;
use crate::harness::{Harness, Row, Run};

pub(crate) fn rows(harness: &Harness) {
    for (name, client, len, target) in [
        ("send, client, 8 B", true, 8, 13.0 / 11.4),
        ("send, client, 125 B", true, 125, 18.0 / 16.8),
        ("send, client, 1 KiB", true, 1 << 10, 32.0 / 28.0),
        ("send, client, 16 KiB", true, 16 << 10, 440.0 / 429.0),
        ("send, server, 8 B", false, 8, 13.0 / 10.1),
        ("send, server, 125 B", false, 125, 25.0 / 23.0),
    ] {
        harness.row(name, || Row { ours: ours(client, len), base: floor(client, len), target, others: Vec::new() });
    }
}

/// From here on the output is dropped.
const WRITE: usize = 64 << 10;

fn ours(client: bool, len: usize) -> Run {
    let payload = vec![0x55; len];
    let config = Arc::new(Config::default());
    let mut connection = match client {
        true => Connection::client(Messages, config, [0; 32]),
        false => Connection::server(Messages, config),
    };
    let mut output = BytesMut::with_capacity(2 * WRITE);
    Box::new(move |messages| {
        for _ in 0..messages {
            connection.send(Outgoing::binary(black_box(&payload)), &mut output).expect("there is room");
            if output.len() >= WRITE {
                connection.wrote(black_box(&output[..]).len(), &mut output);
            }
        }
        messages
    })
}

/// Its keys are drawn beforehand.
fn floor(client: bool, len: usize) -> Run {
    let payload = vec![0x55; len];
    let mut random = ChaCha12Rng::seed_from_u64(4);
    let keys: Vec<u32> = (0..1024).map(|_| random.next_u32()).collect();
    let mut output = Vec::with_capacity(2 * WRITE);
    Box::new(move |messages| {
        for i in 0..messages {
            let key = client.then(|| keys[(i % 1024) as usize]);
            codec::send(&mut output, 2, black_box(&payload), key);
            if output.len() >= WRITE {
                black_box(&output[..]);
                output.clear();
            }
        }
        messages
    })
}

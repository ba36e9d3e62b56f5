//! Receiving: at most 64 KiB a read from a cyclic wire of frames, many messages a read.

use std::hint::black_box;
use std::sync::Arc;

use bowsprit::{Config, Connection, Event, Message, Messages};
use bytes::BytesMut;

use crate::harness::{Harness, Row, Run};
use crate::traffic::{LARGE, READ, Traffic, copy, floor};

pub(crate) fn rows(harness: &Harness) {
    for (name, len, target) in [
        ("receive, server, 8 B", 8, 12.0 / 10.6),
        ("receive, server, 32 B", 32, 13.0 / 11.3),
        ("receive, server, 125 B", 125, 24.0 / 20.6),
        ("receive, server, 1 KiB", 1 << 10, 65.0 / 57.5),
        ("receive, server, 16 KiB", 16 << 10, 0.93),
    ] {
        harness.row(name, || versus_floor(&Traffic::binary(len), READ, target));
    }
    // A message and its header at a time: all of it stays in the fastest cache.
    const ONE: usize = (16 << 10) + 64;
    for (name, server) in [("receive, server, 16 KiB in 16 KiB", true), ("receive, client, 16 KiB in 16 KiB", false)] {
        harness.row(name, || {
            let traffic = Traffic { server, ..Traffic::binary(16 << 10) };
            let others = vec![("copy", copy(&traffic, ONE))];
            Row { others, ..versus_floor(&traffic, ONE, 0.6) }
        });
    }
    harness.row("receive, server, 256 KiB (to copy)", || {
        let traffic = Traffic::binary(256 << 10);
        let others = vec![("floor", floor(&traffic))];
        Row { ours: ours(&traffic, READ), base: copy(&traffic, READ), target: 1.05, others }
    });
    for (name, server, len) in LARGE {
        harness.row(name, || versus_floor(&Traffic { server, ..Traffic::binary(len) }, READ, 1.1));
    }
    harness.row("receive, server, 16 x 4 KiB", || {
        versus_floor(&Traffic { fragments: 16, ..Traffic::binary(64 << 10) }, READ, 4.0 / 3.5)
    });
    for (name, len, target) in [
        ("receive, client, 8 B", 8, 10.0 / 8.1),
        ("receive, client, 125 B", 125, 14.0 / 11.3),
        ("receive, client, 1 KiB", 1 << 10, 56.0 / 49.0),
    ] {
        harness.row(name, || versus_floor(&Traffic { server: false, ..Traffic::binary(len) }, READ, target));
    }
    for (name, len, target) in [
        ("receive, ASCII text, 32 B", 32, 17.0 / 14.5),
        ("receive, ASCII text, 125 B", 125, 46.0 / 44.0),
        ("receive, ASCII text, 1 KiB", 1 << 10, 95.0 / 85.0),
    ] {
        harness.row(name, || versus_floor(&Traffic::text("The quick brown fox. ", len), READ, target));
    }
    for (name, len, target) in [
        ("receive, multi-byte text, 32 B", 32, 35.0 / 31.0),
        ("receive, multi-byte text, 125 B", 125, 55.0 / 49.0),
        ("receive, multi-byte text, 1 KiB", 1 << 10, 165.0 / 156.0),
        ("receive, multi-byte text, 16 KiB", 16 << 10, 2.3 / 2.8),
    ] {
        harness.row(name, || versus_floor(&Traffic::text("Größe 漢字 и 🙂 ", len), READ, target));
    }
}

fn versus_floor(traffic: &Traffic, read: usize, target: f64) -> Row {
    Row { ours: ours(traffic, read), base: floor(traffic), target, others: Vec::new() }
}

fn ours(traffic: &Traffic, read: usize) -> Run {
    let (mut wire, len) = (traffic.wire(), traffic.payload.len());
    let config = Arc::new(Config::default());
    let mut connection = match traffic.server {
        true => Connection::server(Messages, config),
        false => Connection::client(Messages, config, [0; 32]),
    };
    let (mut input, mut output) = (BytesMut::with_capacity(2 * READ), BytesMut::new());
    let mut room = input.capacity();
    Box::new(move |messages| {
        let mut done = 0;
        while done < messages {
            // A short remainder moves to the front; a long one only when there is no capacity left.
            if input.len() < read / 2 {
                let _ = input.try_reclaim(room - input.len());
            } else if input.len() == input.capacity() {
                input.reserve(READ);
            }
            room = room.max(input.capacity());
            let read = read.min(input.capacity() - input.len());
            input.extend_from_slice(wire.read(read));
            let mut batch = connection.receive(&mut input, &mut output);
            while let Some((event, _)) = batch.next().expect("the peer keeps the rules") {
                let payload = match event {
                    Event::Data(Message::Text(text)) => text.as_bytes(),
                    Event::Data(Message::Binary(bytes)) => bytes,
                    _ => unreachable!("only data was sent"),
                };
                assert_eq!(black_box(payload).len(), len);
                done += 1;
            }
        }
        done
    })
}

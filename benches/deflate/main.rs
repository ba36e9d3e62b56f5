//! Compressed messages there and back, against the engine alone: `cargo bench --bench deflate`.

#[cfg(unix)]
mod json;

#[cfg(unix)]
#[path = "../harness/mod.rs"]
mod harness;

#[cfg(unix)]
fn main() {
    let harness = harness::Harness::from_args();
    for (kind, messages) in [("records", json::records as fn(usize) -> Vec<String>), ("regular", json::regular)] {
        for (size, len) in [("1 KiB", 1 << 10), ("16 KiB", 16 << 10)] {
            for level in [6, 1] {
                harness.row(&format!("deflate, {size} of {kind}, level {level}"), || harness::Row {
                    ours: there_and_back::ours(messages(len), level),
                    base: there_and_back::engine(messages(len), level),
                    target: 1.05,
                    others: Vec::new(),
                });
            }
        }
    }
}

#[cfg(not(unix))]
fn main() {
    println!("nothing to measure: the clock is one of Unix");
}

/// From a server to a client, with context takeover.
#[cfg(unix)]
mod there_and_back {
    use std::hint::black_box;
    use std::sync::Arc;

    use bowsprit::extension::permessage_deflate::{Agreed, Parameters};
    use bowsprit::{Config, Connection, Deflate, Event, Message, Messages, Outgoing};
    use bytes::BytesMut;
    use zlib_rs::{DeflateFlush, InflateFlush};

    use crate::harness::Run;

    pub(crate) fn ours(messages: Vec<String>, level: u8) -> Run {
        let agreed = Agreed {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let deflate = Deflate { level, parameters: Parameters::default(), ..Deflate::default() };
        let config = Arc::new(Config { compression: Some(deflate), ..Config::default() });
        let mut server = Connection::server(Messages, config.clone()).with_extensions(&agreed.into());
        let mut client = Connection::client(Messages, config, [1; 32]).with_extensions(&agreed.into());
        let (mut wire, mut output, mut nothing) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        let mut turn = 0;
        Box::new(move |count| {
            for _ in 0..count {
                turn = (turn + 1) % messages.len();
                let message = &messages[turn];
                server.send(Outgoing::text(black_box(message)), &mut output).expect("there is room");
                wire.extend_from_slice(&output);
                server.wrote(output.len(), &mut output);
                let mut batch = client.receive(&mut wire, &mut nothing);
                let Ok(Some((Event::Data(Message::Text(text)), _))) = batch.next() else {
                    panic!("the message comes back")
                };
                assert_eq!(text.len(), message.len());
                black_box(text);
            }
            count
        })
    }

    pub(crate) fn engine(messages: Vec<String>, level: u8) -> Run {
        let len = messages[0].len();
        let mut compress = zlib_rs::Deflate::new(level.into(), false, 15);
        let mut decompress = zlib_rs::Inflate::new(false, 15);
        let (mut wire, mut text) = (vec![0; 2 * len], vec![0; 2 * len]);
        let mut turn = 0;
        Box::new(move |count| {
            for _ in 0..count {
                turn = (turn + 1) % messages.len();
                let message = &messages[turn];
                let (sent, received) = (compress.total_out(), decompress.total_out());
                compress
                    .compress(black_box(message.as_bytes()), &mut wire, DeflateFlush::SyncFlush)
                    .expect("an engine at work");
                let wire = &wire[..usize::try_from(compress.total_out() - sent).expect("it fits")];
                decompress.decompress(wire, &mut text, InflateFlush::SyncFlush).expect("it is right");
                assert_eq!(decompress.total_out() - received, message.len() as u64);
                black_box(&text);
            }
            count
        })
    }
}

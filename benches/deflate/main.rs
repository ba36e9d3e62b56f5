//! Compressed messages there and back, against the engine alone: `cargo bench --bench deflate`.

#[cfg(unix)]
#[path = "../harness/mod.rs"]
mod harness;

#[cfg(unix)]
fn main() {
    let harness = harness::Harness::from_args();
    for (name, len, level) in [
        ("deflate, 1 KiB JSON, level 6", 1 << 10, 6),
        ("deflate, 1 KiB JSON, level 1", 1 << 10, 1),
        ("deflate, 16 KiB JSON, level 6", 16 << 10, 6),
        ("deflate, 16 KiB JSON, level 1", 16 << 10, 1),
    ] {
        harness.row(name, || harness::Row {
            ours: there_and_back::ours(len, level),
            base: there_and_back::engine(len, level),
            target: 1.05,
            others: Vec::new(),
        });
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
    use bowsprit::{Config, Connection, Deflate, Event, Messages};
    use bytes::BytesMut;
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

    use crate::harness::Run;

    /// 64 different messages of JSON, `len` bytes each.
    fn messages(len: usize) -> Vec<String> {
        let mut number = 1_u32;
        let message = |_| {
            let mut json = String::from("[");
            while json.len() < len {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (id, price, name) =
                    (number >> 12, number % 9_973, ["alpha", "beta", "gamma", "delta"][number as usize >> 30]);
                json +=
                    &format!(r#"{{"id":{id},"name":"{name}","price":{price}.5,"tags":["new","sale"],"active":true}},"#);
            }
            json.truncate(len);
            json
        };
        (0..64).map(message).collect()
    }

    pub(crate) fn ours(len: usize, level: u8) -> Run {
        let messages = messages(len);
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
                server.text(black_box(message), &mut output).expect("there is room");
                wire.extend_from_slice(&output);
                server.wrote(output.len(), &mut output);
                let mut batch = client.receive(&mut wire, &mut nothing);
                let Ok(Some((Event::Text(text), _))) = batch.next() else { panic!("the message comes back") };
                assert_eq!(text.len(), message.len());
                black_box(text);
            }
            count
        })
    }

    pub(crate) fn engine(len: usize, level: u8) -> Run {
        let messages = messages(len);
        let mut compress = Compress::new(Compression::new(level.into()), false);
        let mut decompress = Decompress::new(false);
        let (mut wire, mut text) = (Vec::with_capacity(2 * len), Vec::with_capacity(2 * len));
        let mut turn = 0;
        Box::new(move |count| {
            for _ in 0..count {
                turn = (turn + 1) % messages.len();
                let message = &messages[turn];
                wire.clear();
                text.clear();
                compress.compress_vec(black_box(message.as_bytes()), &mut wire, FlushCompress::Sync).expect("it fits");
                decompress.decompress_vec(&wire, &mut text, FlushDecompress::Sync).expect("it is right");
                assert_eq!(text.len(), message.len());
                black_box(&text);
            }
            count
        })
    }
}

//! Attacks through permessage-deflate. The peer's engine is flate2's: the same code, used on its own.

use std::sync::LazyLock;
use std::time::Duration;

use bowsprit::extension::permessage_deflate::{Agreed, Pool};
use bowsprit::handshake::{
    AcceptOptions, ClientHandshake, ClientRequest, RequestError, ResponseError, ServerHandshake,
};
use bowsprit::{
    Chunks, Config, Connection, Deflate, Delivery, Exceeded, HandshakeError, Message, Messages, Outgoing, Prepared,
    ProtocolError, Role,
};
use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::heap;
use crate::heard::{Heard, heard};
use crate::wire::{End, ROLES, close_code, frame, frames};

const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const ALONE: Agreed = Agreed { server_no_context_takeover: true, client_no_context_takeover: true, ..AGREED };

const UNLIMITED_CHUNKS: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };

fn end<D: Delivery>(role: Role, delivery: D, config: Config, agreed: Agreed) -> End<D> {
    let mut end = End::with(role, delivery, config);
    end.connection = end.connection.with_extensions(&agreed.into());
    end
}

/// The payload of a message, from this engine.
fn compressed(engine: &mut Compress, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(data.len() + data.len() / 8 + 64);
    engine.compress_vec(data, &mut payload, FlushCompress::Sync).expect("an engine at work");
    assert!(payload.len() < payload.capacity(), "all of it is out");
    payload.truncate(payload.len() - 4);
    payload
}

/// Zeros, 1,000 of which make a byte.
fn zeros(len: usize) -> Vec<u8> {
    compressed(&mut Compress::new(Compression::best(), false), &vec![0; len])
}

const BOMB: usize = 100 << 20;

static ZEROS: LazyLock<Vec<u8>> = LazyLock::new(|| zeros(BOMB));

/// The payload in fragments of this length.
fn fragments(role: Role, payload: &[u8], len: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for (n, piece) in payload.chunks(len).enumerate() {
        let last = (n + 1) * len >= payload.len();
        wire.extend(frame(role, if n == 0 { 0x42 } else { 0x00 } | if last { 0x80 } else { 0 }, piece));
    }
    wire
}

// HOSTILE: 9
pub(crate) fn bombs() {
    const INFLATER: usize = 128 << 10;
    assert!(ZEROS.len() < BOMB / 1_000);
    // A final block in front: the window is kept twice for a moment.
    let behind_final = [&zeros(40 << 10)[..], &[0x00, 0x00, 0xff, 0xff, 0x03, 0x00], &ZEROS].concat();
    for role in ROLES {
        for limit in [1_usize, 1_000, 64 << 10, 1 << 20, 10 << 20] {
            let config = Config {
                max_message: limit as u64,
                max_decoded_message: Config::UNLIMITED,
                max_frame: Some(Config::UNLIMITED),
                ..Config::default()
            };
            for payload in [&*ZEROS, &behind_final] {
                for wire in
                    [frame(role, 0xc2, payload), fragments(role, payload, 100), fragments(role, payload, 1 << 10)]
                {
                    let mut end = end(role, Messages, config.clone(), AGREED);
                    end.input.reserve(wire.len());
                    let (error, heap) = heap::of(|| end.reads(&wire));
                    assert_eq!(error, Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
                    assert!(heap.peak <= limit + INFLATER, "{} bytes for a limit of {limit}", heap.peak);
                    assert_eq!(close_code(role, &end.output), Some(1009));
                }
            }
        }
        // The limit is kept to the byte.
        for limit in [1_usize, 1_000, 100_000] {
            let config = Config { max_message: limit as u64, max_frame: Some(Config::UNLIMITED), ..Config::default() };
            let chunks = Chunks { max_message: limit as u64, ..UNLIMITED_CHUNKS };
            for (len, expected) in
                [(limit, None), (limit + 1, Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0))))]
            {
                for wire in [frame(role, 0xc2, &zeros(len)), fragments(role, &zeros(len), 1)] {
                    let mut whole = end(role, Messages, config.clone(), AGREED);
                    assert_eq!(whole.reads(&wire).err(), expected, "{len} of {limit}");
                    let mut pieces = end(role, chunks, config.clone(), AGREED);
                    assert_eq!(pieces.reads(&wire).err(), expected, "{len} of {limit}, in chunks");
                }
            }
        }
        // In chunks it goes by, 512 bytes and what they inflate to at a time, in a buffer that doubles.
        let config = Config { max_frame: Some(Config::UNLIMITED), ..Config::default() };
        let wire = frame(role, 0xc2, &ZEROS);
        let mut end = end(role, UNLIMITED_CHUNKS, config, AGREED);
        end.input.reserve(wire.len());
        let (events, heap) = heap::of(|| end.reads(&wire));
        assert!(events.is_ok());
        assert!(heap.peak <= 2 * 512 * 1_032 + INFLATER, "{} bytes", heap.peak);
    }
}

// HOSTILE: 36
pub(crate) fn empty_final_blocks_without_end() {
    const LEN: usize = 1 << 20;
    let config = Config { max_message: 128 << 20, max_frame: Some(Config::UNLIMITED), ..Config::default() };
    let too_many = Some(ProtocolError::TooManyFinalBlocks);
    for (pattern, error) in [
        (&b"\x03\x00"[..], too_many),
        (b"\x01\x00\x00\xff\xff", too_many),
        // Empty blocks that are not final: any number of them, and nothing comes out.
        (b"\x00\x00\x00\xff\xff", None),
        (b"\x02\x08\x20\x80\x00", None),
    ] {
        for role in ROLES {
            // In one read, also after 32 MiB of plain data, whose buffer stays; in small reads; in fragments.
            for (len, before, read, fragment) in
                [(LEN, 0, LEN, LEN), (LEN, 32 << 20, LEN, LEN), (LEN / 8, 0, 64, LEN), (LEN / 8, 0, LEN, 16)]
            {
                let payload = [&pattern.repeat(len / pattern.len())[..], b"\x00"].concat();
                let wire = fragments(role, &payload, fragment.min(payload.len()));
                let mut end = end(role, Messages, config.clone(), AGREED);
                if before > 0 {
                    assert_eq!(end.reads(&fragments_uncompressed(role, before)), Ok(1));
                }
                let mut events = Ok(0);
                for piece in wire.chunks(read) {
                    events = end.reads(piece);
                    if events.is_err() {
                        break;
                    }
                }
                assert_eq!(events.err(), error, "{pattern:x?}");
                assert_eq!(close_code(role, &end.output), error.map(|_| 1008));
            }
        }
    }
}

/// A binary message in two fragments, which leaves its buffer behind.
fn fragments_uncompressed(role: Role, len: usize) -> Vec<u8> {
    [frame(role, 0x02, &vec![0x5a; len / 2]), frame(role, 0x80, &vec![0x5a; len / 2])].concat()
}

// HOSTILE: 41
pub(crate) fn a_compressed_fragment_and_then_silence() {
    const CONNECTIONS: usize = 20;
    // What `Config::max_decoded_message` says: the message, and the decompressor.
    let ceiling = (4 << 20) + (128 << 10);
    assert_eq!(Config::default().max_decoded_message, 4 << 20);
    for role in ROLES {
        for len in [4 << 20, 64 << 20] {
            let payload = zeros(len);
            assert!(payload.len() <= 66_000);
            let fragment = frame(role, 0x42, &payload);
            let mut ends: Vec<End> = (0..CONNECTIONS).map(|_| end(role, Messages, Config::default(), AGREED)).collect();
            let ((), heap) = heap::of(|| {
                for end in &mut ends {
                    let result = end.reads(&fragment);
                    let expected =
                        if len > 4 << 20 { Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))) } else { Ok(0) };
                    assert_eq!(result, expected);
                    end.input = BytesMut::new();
                }
            });
            println!("{CONNECTIONS} connections, {} bytes that inflate to {len}: {heap:?}", fragment.len());
            assert!(heap.peak <= CONNECTIONS * ceiling, "{heap:?}");
        }
        // Exactly the limit passes, one byte more does not; where it is lifted, the limit of all messages holds.
        for (decoded, all, passes) in [(1_000, 2_000, 1_000), (2_000, 1_000, 1_000), (Config::UNLIMITED, 500, 500)] {
            let config = Config { max_message: all, max_decoded_message: decoded, ..Config::default() };
            for (len, expected) in
                [(passes, Ok(1)), (passes + 1, Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))))]
            {
                let wire = frame(role, 0xc2, &zeros(len));
                assert_eq!(end(role, Messages, config.clone(), AGREED).reads(&wire), expected);
            }
            // It is nothing to messages that no extension encoded.
            let plain = usize::try_from(all).expect("it is small");
            assert_eq!(end(role, Messages, config, AGREED).reads(&frame(role, 0x82, &vec![0; plain])), Ok(1));
        }
    }
}

// HOSTILE: 10
pub(crate) fn bad_window_bits() {
    const VALUES: [&str; 22] = [
        "=0",
        "=7",
        "=16",
        "=256",
        "=08",
        "=\"08\"",
        "=\"\"",
        "=",
        "=-1",
        "=+9",
        "=9.0",
        "=0x9",
        "=1e1",
        "=265",
        "=65544",
        "=4294967304",
        "=18446744073709551624",
        "=999999999999999999999999",
        "=9;9",
        "=a",
        "=\" 9\"",
        "=9 9",
    ];
    let config = || Config { compression: Some(Deflate::default()), ..Config::default() };
    let mut values: Vec<String> = VALUES.map(str::to_owned).into();
    // Twice, and none, where there has to be one.
    values.extend(
        ["=9; server_max_window_bits=9", "=9; client_max_window_bits=9; client_max_window_bits"].map(str::to_owned),
    );
    for value in &values {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let element = format!("permessage-deflate; {name}{value}");
            let same = format!("; {name}{}", value.split_once("; ").map_or("", |_| "=9"));
            let element = if value.contains("; ") { format!("{element}{same}") } else { element };
            let request = format!(
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Extensions: {element}\r\n\r\n"
            );
            let mut handshake = ServerHandshake::new(config().into(), Duration::ZERO);
            let mut output = BytesMut::new();
            match handshake.receive(&mut BytesMut::from(&request[..])) {
                Ok(request) => {
                    let request = request.expect("it is whole");
                    let accepted = request.accept(&AcceptOptions::new(), &mut output).expect("it is only declined");
                    assert_eq!(accepted.extensions().deflate(), None, "{element}");
                    assert!(!String::from_utf8_lossy(&output).contains("permessage"), "{element}");
                }
                Err(error) => assert_eq!(error, HandshakeError::Request(RequestError::Extensions), "{element}"),
            }

            let asked: ClientRequest = "ws://a/".try_into().expect("a URI");
            let mut handshake =
                ClientHandshake::start(&asked, *b"the sample nonce", config().into(), Duration::ZERO, &mut output);
            let response = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: {element}\r\n\r\n"
            );
            let refused = handshake.receive(&mut BytesMut::from(&response[..]));
            assert_eq!(refused, Err(HandshakeError::Response(ResponseError::Extensions)), "{element}");
        }
    }
}

// HOSTILE: 11
pub(crate) fn reserved_bits_where_one_is_agreed() {
    fn meets<D: Delivery>(delivery: D, role: Role, before: &[u8], first: u8, expected: Result<(), ()>) {
        let mut end = end(role, delivery, Config::default(), AGREED);
        end.reads(before).expect("it is right");
        let result = end.reads(&[first]);
        assert_eq!(result.is_ok(), expected.is_ok(), "{first:#x} after {before:x?}");
        if expected.is_err() {
            assert_eq!(close_code(role, &end.output), Some(1002));
        }
    }
    for role in ROLES {
        let befores =
            [vec![], frame(role, 0x81, b"whole"), frame(role, 0x01, b"begun"), frame(role, 0x41, b"\xf2\x48")];
        for (before, inside) in befores.into_iter().zip([false, false, true, true]) {
            for first in 0x10..=0xff_u8 {
                if first & 0x70 == 0 {
                    continue;
                }
                // On the first frame of a message, alone.
                let legal = first & 0x70 == 0x40 && matches!(first & 0x0f, 0x1 | 0x2) && !inside;
                let expected = if legal { Ok(()) } else { Err(()) };
                meets(Messages, role, &before, first, expected);
                meets(UNLIMITED_CHUNKS, role, &before, first, expected);
            }
        }
    }
}

/// What an end makes of the wire, cut in two at `at`.
fn told<D: Delivery>(role: Role, delivery: D, agreed: Agreed, wire: &[u8], at: usize) -> Heard {
    heard(&mut end(role, delivery, Config::default(), agreed).connection, &[&wire[..at], &wire[at..]])
}

// HOSTILE: 12
pub(crate) fn bytes_behind_a_final_block() {
    let (hello, last) = (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf3\x48\xcd\xc9\xc9\x07\x00");
    let corrupt = Some(ProtocolError::InvalidDeflate);
    for (payload, expected, error) in [
        // A final block, and the empty one that every message ends with.
        ([&last[..], b"\x00"].concat(), &b"Hello"[..], None),
        // In the middle of a message: what follows is part of it.
        ([&last[..], hello].concat(), b"HelloHello", None),
        // Two streams, and three.
        ([&last[..], last, b"\x00"].concat(), b"HelloHello", None),
        ([&last[..], b"\x03\x00\x03\x00", last, b"\x00"].concat(), b"HelloHello", None),
        // One that refers to the stream before it.
        ([&last[..], b"\xf2\x00\x11\x00\x00"].concat(), b"HelloHello", None),
        // Garbage: a block of a type that there is not, stored data without its end, the end of a zlib stream.
        ([&last[..], b"\xff\xff\xff\xff"].concat(), b"", corrupt),
        ([&last[..], b"\x00\x05\x00\xfa\xff\x41"].concat(), b"", corrupt),
        ([&last[..], b"\x05\x8c\x01\xf5"].concat(), b"", corrupt),
        // A message inside the message.
        ([&last[..], b"\xc1\x07", hello].concat(), b"", corrupt),
    ] {
        for role in ROLES {
            let wire = [frame(role, 0xc1, &payload), frame(role, 0x81, b"plain"), frame(role, 0xc1, hello)].concat();
            let messages: Vec<Vec<u8>> = match error {
                None => [expected, b"plain", b"Hello"].map(<[u8]>::to_vec).into(),
                Some(_) => vec![],
            };
            for at in 0..wire.len() {
                for agreed in [AGREED, ALONE] {
                    assert_eq!(told(role, Messages, agreed, &wire, at), (messages.clone(), error), "{payload:x?}");
                    assert_eq!(told(role, UNLIMITED_CHUNKS, agreed, &wire, at), (messages.clone(), error));
                }
            }
        }
    }
}

/// Text that compresses, data that does not, nothing at all, and what was there before.
fn mix() -> Vec<Vec<u8>> {
    let noise: Vec<u8> =
        (0_u32..400).map(|n| n.wrapping_mul(0x9e37_79b9).rotate_left(n % 31).to_be_bytes()[1]).collect();
    let text = b"a message, and another message, and the message before ".repeat(4);
    vec![text.clone(), noise.clone(), vec![], text.clone(), vec![0; 500], vec![], noise, text]
}

// HOSTILE: 13
pub(crate) fn windows_that_lose_step() {
    for agreed in [AGREED, ALONE] {
        for role in ROLES {
            // The peer compresses all but every third, some in fragments, with control frames and plain messages between.
            let mut engine = Compress::new(Compression::default(), false);
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for (n, message) in mix().into_iter().enumerate() {
                if agreed == ALONE {
                    engine.reset();
                }
                match n % 3 {
                    0 => wire.extend(frame(role, 0xc2, &compressed(&mut engine, &message))),
                    1 => {
                        let payload = compressed(&mut engine, &message);
                        let pings = [&fragments(role, &payload, 97)[..], &frame(role, 0x89, b"ping")].concat();
                        wire.extend(pings);
                    }
                    _ => wire.extend(frame(role, 0x82, &message)),
                }
                expected.push(message);
                // The message that no engine makes.
                wire.extend(frame(role, 0xc2, b""));
                expected.push(vec![]);
            }
            for at in 0..wire.len() {
                assert_eq!(told(role, Messages, agreed, &wire, at), (expected.clone(), None), "cut at {at}");
                assert_eq!(told(role, UNLIMITED_CHUNKS, agreed, &wire, at), (expected.clone(), None), "cut at {at}");
            }

            // And what we send, the peer's engine understands.
            for level in [1, 6, 9] {
                let deflate = Deflate { level, ..Deflate::default() };
                let config = Config { compression: Some(deflate), ..Config::default() };
                let mut end = end(role, Messages, config, agreed);
                let mut engine = Decompress::new(false);
                for (n, message) in mix().iter().cycle().take(40).enumerate() {
                    if n % 3 == 2 {
                        end.connection
                            .send(Outgoing::message(Message::Binary(message)).uncompressed(), &mut end.output)
                            .expect("open");
                    } else {
                        end.connection.send(Outgoing::binary(message), &mut end.output).expect("open");
                    }
                    if n == 25 {
                        end.connection.release_compression();
                    }
                    let sent = frames(role, &end.writes_all());
                    assert_eq!(sent.len(), 1);
                    if sent[0].first == 0x82 {
                        assert_eq!(&sent[0].payload, message);
                        continue;
                    }
                    assert_eq!(sent[0].first, 0xc2);
                    if agreed == ALONE {
                        engine.reset(false);
                    }
                    let mut inflated = Vec::with_capacity(message.len() + 1);
                    let payload = [&sent[0].payload[..], b"\x00\x00\xff\xff"].concat();
                    engine.decompress_vec(&payload, &mut inflated, FlushDecompress::Sync).expect("it is DEFLATE");
                    assert_eq!(&inflated, message);
                }
            }
        }
    }
}

// HOSTILE: 31
pub(crate) fn idle_compression() {
    let message = br#"{"id":17,"name":"bowsprit","tags":["a","b"],"values":[1,2,3]}"#.repeat(17);
    let smallest = Agreed { server_max_window_bits: 9, client_max_window_bits: 9, ..ALONE };
    let pool = Pool::new(1 << 20);
    for (name, agreed, level, pool, sends, receives) in [
        ("default", AGREED, 6, None, 384 << 10, 84 << 10),
        ("no takeover", ALONE, 6, None, 384 << 10, 84 << 10),
        ("smallest", smallest, 1, None, 256 << 10, 84 << 10),
        ("no takeover, pool", ALONE, 6, Some(pool), 1 << 10, 1 << 10),
    ] {
        let deflate = Deflate { level, pool, ..Deflate::default() };
        let config = Config { compression: Some(deflate), ..Config::default() };
        let make = || -> Connection { end(Role::Server, Messages, config.clone(), agreed).connection };
        let held = |connection: Connection| heap::held_by(connection);
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let receive = |connection: &mut Connection, input: &mut BytesMut, output: &mut BytesMut| {
            let payload = compressed(&mut Compress::new(Compression::best(), false), &message);
            input.extend_from_slice(&frame(Role::Server, 0xc2, &payload));
            let mut batch = connection.receive(input, output);
            while batch.next().expect("it is right").is_some() {}
        };

        let idle = held(make());
        let mut sender = make();
        sender.send(&message, &mut output).expect("open");
        sender.shrink();
        let mut receiver = make();
        receive(&mut receiver, &mut input, &mut output);
        receiver.shrink();
        let mut released = make();
        released.send(&message, &mut output).expect("open");
        receive(&mut released, &mut input, &mut output);
        released.shrink();
        let both = {
            let mut both = make();
            both.send(&message, &mut output).expect("open");
            receive(&mut both, &mut input, &mut output);
            both.shrink();
            held(both)
        };
        released.release_compression();
        let (sender, receiver, released) = (held(sender), held(receiver), held(released));
        println!("{name}: idle {idle}, sent {sender}, received {receiver}, both {both}, released {released} bytes");
        assert!(idle <= 1 << 10, "{idle}");
        assert!(sender <= sends, "{sender}");
        assert!(receiver <= receives, "{receiver}");
        let kept = if agreed.client_no_context_takeover { 0 } else { 2 * message.len() };
        assert!(released <= (1 << 10) + kept, "{released}");
    }
}

// HOSTILE: 31
pub(crate) fn idle_connections_that_share_engines() {
    const CONNECTIONS: usize = 1_000;
    let message = br#"{"id":17,"name":"bowsprit","tags":["a","b"],"values":[1,2,3]}"#.repeat(17);
    let smallest = Agreed { server_max_window_bits: 9, client_max_window_bits: 9, ..ALONE };
    for (name, agreed, level) in [("no takeover", ALONE, 6), ("smallest", smallest, 1)] {
        for budget in [0, 1 << 20, 16 << 20] {
            let pool = Pool::new(budget);
            let deflate = Deflate { level, pool: Some(pool.clone()), ..Deflate::default() };
            let config = Config { compression: Some(deflate), ..Config::default() };
            for role in ROLES {
                let payload = compressed(&mut Compress::new(Compression::best(), false), &message);
                let (mut input, mut output) = (BytesMut::with_capacity(4 << 10), BytesMut::with_capacity(4 << 10));
                let mut connections: Vec<Connection> =
                    (0..CONNECTIONS).map(|_| end(role, Messages, config.clone(), agreed).connection).collect();
                let ((), heap) = heap::of(|| {
                    for connection in &mut connections {
                        connection.send(&message, &mut output).expect("open");
                        output.clear();
                        input.extend_from_slice(&frame(role, 0xc2, &payload));
                        let mut batch = connection.receive(&mut input, &mut output);
                        while batch.next().expect("it is right").is_some() {}
                        drop(batch);
                        connection.shrink();
                    }
                });
                let growth = usize::try_from(heap.growth).unwrap_or(0);
                println!(
                    "{name}, {role:?}, budget {budget}: {CONNECTIONS} connections grew by {growth} bytes, at most by {}; \
                     the pool keeps {}",
                    heap.peak,
                    pool.kept()
                );
                // Nothing but what the pool keeps, whose own list is small.
                assert!(growth <= pool.kept() + (1 << 10), "{growth}");
                assert!(pool.kept() <= budget);
                // One message at a time: one engine of each kind, whether it is kept or not.
                assert!(heap.peak <= 512 << 10, "{}", heap.peak);
                drop(connections);
            }
            let kept = pool.kept();
            drop(config);
            // And that is what it says.
            let held = heap::held_by(pool);
            assert!(held <= kept + (1 << 10) && kept <= held + held / 20, "{held} bytes, said to be {kept}");
        }
    }
}

// HOSTILE: 31
pub(crate) fn broadcasts_that_are_kept() {
    const MESSAGES: usize = 200;
    let mut server = end(Role::Server, Messages, Config::default(), ALONE).connection;
    let mut output = BytesMut::with_capacity(4 << 10);
    let mut kept = Vec::with_capacity(MESSAGES);
    let ((), heap) = heap::of(|| {
        for at in 0..MESSAGES {
            let news = Prepared::text(&format!("news {at} ").repeat(20)).deflated(6);
            server.send(&news, &mut output).expect("open");
            assert_eq!(news.encodings(), 2);
            output.clear();
            kept.push(news);
        }
    });
    println!("{MESSAGES} messages, compressed and kept: {} bytes allocated", heap.total);
    // An engine of 380 KiB for the first of them, and for those that find it in use by another thread.
    assert!(heap.total < 4 << 20, "{}", heap.total);
    assert!(heap.growth < 1 << 20, "{}", heap.growth);
}

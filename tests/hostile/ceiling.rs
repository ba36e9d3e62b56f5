//! Random peers against each kind of configuration: what a connection holds stays below what its configuration states.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::driver::{Drive, Driver, OwnBuffers, Step};
use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bowsprit::{Chunks, Config, Connection, Deflate, Delivery, Messages, Outgoing, Prepared, Role};
use bytes::BytesMut;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use flate2::{Compress, Compression, FlushCompress};

use crate::heap;
use crate::wire::{ROLES, announce, frame, masked};

const LONGEST: usize = 300_000;

fn config() -> Config {
    Config { max_message: LONGEST as u64, max_unsent: 50_000, ..Config::default() }
}

// HOSTILE: 55
pub(crate) fn random_peers_below_the_ceiling() {
    let plain = config();
    let compressed = Config { compression: Some(Deflate::default()), ..config() };
    let small_windows = Config {
        compression: Some(Deflate { level: 1, ..Deflate::default() }),
        max_decoded_message: 100_000,
        ..config()
    };
    let in_fragments = Config { fragment_size: Some(1_000), ..config() };
    let pinging = Config { ping_interval: Some(Duration::from_millis(1)), pong_timeout: None, ..config() };
    for (name, config, compress) in [
        ("plain", plain, false),
        ("compressed", compressed, true),
        ("small windows", small_windows, true),
        ("in fragments", in_fragments, false),
        ("pinging", pinging, false),
    ] {
        let ceiling = config.max_memory(LONGEST);
        let config = Arc::new(config);
        for role in if compress { &ROLES[1..] } else { &ROLES[..] } {
            let peak = (0..60_u64).map(|seed| life(Messages, &config, *role, compress, seed)).max().unwrap_or(0);
            println!("{name}, {role:?}: at most {peak} bytes of {ceiling}");
            assert!(peak as u64 <= ceiling, "{name}, {role:?}: {peak} bytes");
            // A ceiling that nothing comes near says nothing.
            assert!(peak as u64 >= ceiling / 4, "{name}, {role:?}: {peak} bytes of {ceiling}");
            let chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: 1_000 };
            let peak = (0..15_u64).map(|seed| life(chunks, &config, *role, compress, seed)).max().unwrap_or(0);
            println!("{name}, {role:?}, in chunks: at most {peak} bytes");
            assert!(peak as u64 <= ceiling, "{name}, {role:?}, in chunks: {peak} bytes");
        }
    }
}

/// One connection from its first byte to its last; the most heap that it held.
fn life(delivery: impl Delivery, config: &Arc<Config>, role: Role, compress: bool, seed: u64) -> usize {
    let mut random = Random(ChaCha12Rng::seed_from_u64(seed));
    let wire = wire(&mut random, role, compress);
    let answer = vec![0x55; random.below(LONGEST + 1)];
    let prepared = Prepared::binary(&answer[..]);
    let extensions = compress.then(|| agreement(config));
    let ((), heap) = heap::of(|| {
        let connection = match role {
            Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
            Role::Server => Connection::server(delivery, config.clone()),
        };
        let connection = match &extensions {
            Some(agreement) => connection.with_extensions(agreement),
            None => connection,
        };
        let mut driver = Driver::new(connection, &[], BytesMut::new(), OwnBuffers);
        // How willingly the peer reads.
        let reads = random.below(11);
        let mut unread = &wire[..];
        let mut now = Duration::ZERO;
        for _ in 0..10_000 {
            match driver.poll(|| now) {
                Step::Ready => {
                    let outgoing = match random.below(4) {
                        0 => Outgoing::prepared(&prepared),
                        1 => Outgoing::binary(&answer[..answer.len() / 100]),
                        2 => Outgoing::ping(b"there?"),
                        _ => Outgoing::binary(&answer),
                    };
                    let _ = driver.feed(outgoing); // often there is no room
                }
                Step::Read => {
                    let buffer = driver.read_buffer();
                    let n = buffer.len().min(unread.len()).min(1 << random.below(17));
                    buffer[..n].copy_from_slice(&unread[..n]);
                    unread = &unread[n..];
                    if n > 0 {
                        driver.received(n);
                    }
                    if n == 0 || random.below(5) == 0 {
                        driver.read_blocked();
                    }
                }
                Step::Write if random.below(10) < reads => {
                    let n = driver.to_write().len().min(1 << random.below(17));
                    driver.written(n);
                }
                Step::Write | Step::ShutdownWrite => driver.write_blocked(),
                Step::Flush => driver.flushed(),
                Step::Wait { .. } => {
                    if unread.is_empty() && random.below(10) == 0 {
                        break;
                    }
                    now += Duration::from_millis(10);
                }
                Step::Closed => break,
            }
        }
    });
    heap.peak
}

/// What a hostile peer sends: right frames, and some that are not, cut off at the end.
fn wire(random: &mut Random, role: Role, compress: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut engine = Compress::new(Compression::best(), false);
    for _ in 0..=random.below(11) {
        let len = match random.below(5) {
            0 => LONGEST,
            1 => LONGEST - random.below(200),
            _ => random.below(LONGEST / 2),
        };
        match random.below(10) {
            0 | 1 => wire.extend(frame(role, 0x82, &vec![1; len])),
            2 => {
                // In fragments, of which the last may be missing.
                let pieces = 1 + random.below(39);
                for n in 0..pieces {
                    wire.extend(frame(role, if n == 0 { 0x02 } else { 0x00 }, &vec![1; len / pieces]));
                }
                if random.below(3) > 0 {
                    wire.extend(frame(role, 0x80, b""));
                }
            }
            3 | 4 if compress => {
                let level = random.below(2);
                let data: Vec<u8> = if level == 0 { vec![0; len] } else { (0..len).map(|_| random.byte()).collect() };
                let mut payload = Vec::with_capacity(data.len() + data.len() / 8 + 64);
                engine.compress_vec(&data, &mut payload, FlushCompress::Sync).expect("an engine at work");
                payload.truncate(payload.len() - 4);
                let (begin, rest) = payload.split_at(payload.len() / 2);
                wire.extend(frame(role, 0x42, begin));
                wire.extend(frame(role, 0x80, rest));
            }
            5 | 6 => (0..=random.below(499)).for_each(|_| wire.extend(frame(role, 0x89, &[7; 125]))),
            7 => (0..=random.below(499)).for_each(|_| wire.extend(frame(role, 0x8a, &[7; 125]))),
            8 => {
                // A long frame of which not all comes.
                wire.extend(announce(role, 0x82, len as u64));
                wire.extend(masked(role, &vec![1; len / (1 + random.below(4))]));
                break;
            }
            _ if random.below(4) == 0 => wire.extend((0..100).map(|_| random.byte())),
            _ => wire.extend(frame(role, 0x81, "näher ".repeat(len / 10).as_bytes())),
        }
    }
    if random.below(3) == 0 {
        wire.extend(frame(role, 0x88, &[0x03, 0xe8]));
    }
    wire
}

fn agreement(config: &Arc<Config>) -> bowsprit::extension::Agreement {
    let mut head = BytesMut::from(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
    let mut handshake = ServerHandshake::new(config.clone(), Duration::ZERO);
    let request = handshake.receive(&mut head).expect("it is right").expect("it is whole");
    let accepted = request.accept(&AcceptOptions::new(), &mut BytesMut::new()).expect("it is right");
    accepted.extensions().clone()
}

struct Random(ChaCha12Rng);

impl Random {
    /// From zero up to below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u32()).expect("32 bits") % end
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u32().to_le_bytes()[0]
    }
}

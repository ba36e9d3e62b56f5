//! Attacks on the machines: no socket, no clock.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::{
    Chunk, Chunks, Close, CloseCode, Config, Connection, Delivery, Event, Exceeded, Header, Message, Messages, OpCode,
    Outbound, Outgoing, Prepared, ProtocolError, Role, SendError, Timeout, TransportState,
};
use bytes::BytesMut;

use crate::heap;
use crate::wire::{End, ROLES, announce, close_code, frame, frames, masked};

const UNLIMITED_CHUNKS: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };

// HOSTILE: 2
pub(crate) fn a_length_that_nothing_follows() {
    fn peak<D: Delivery>(role: Role, delivery: D, wire: &[u8], config: &Config) -> usize {
        let mut end = End::with(role, delivery, config.clone());
        let (events, heap) = heap::of(|| end.reads(wire));
        assert_eq!(events, Ok(0));
        heap.peak
    }
    let unlimited = Config { max_message: Config::UNLIMITED, ..Config::default() };
    for (config, len) in [(Config::default(), 64 << 20), (unlimited, (1 << 63) - 1)] {
        for role in ROLES {
            for first in [0x81, 0x82, 0x01, 0x02] {
                let wire = announce(role, first, len);
                let continued = [frame(role, first & 0x7f, b""), announce(role, 0x80, len)].concat();
                for wire in [wire, continued] {
                    let peaks = [peak(role, Messages, &wire, &config), peak(role, UNLIMITED_CHUNKS, &wire, &config)];
                    assert!(peaks.iter().all(|peak| *peak < 4 << 10), "{peaks:?} for {len} announced bytes");
                }
            }
        }
    }
}

// HOSTILE: 3
pub(crate) fn pings_from_a_peer_that_never_reads() {
    const PINGS: u32 = 400_000;
    for role in ROLES {
        // A peer that reads nothing, and one that reads a byte a ping.
        for reads in [0, 1] {
            let mut end = End::new(role, Config::default());
            let mut ping = frame(role, 0x89, &[0; 125]);
            let number = ping.len() - 4..; // of the ping: the end of its payload
            let mask = masked(role, &[0; 125])[121..].to_vec();
            let bound = (16 << 10) + 2 * (125 + if role == Role::Client { 6 } else { 2 });
            let mut sent = Vec::with_capacity(PINGS as usize + (64 << 10));
            let ((), heap) = heap::of(|| {
                for n in 0..PINGS {
                    for (byte, (n, mask)) in ping[number.clone()].iter_mut().zip(n.to_be_bytes().iter().zip(&mask)) {
                        *byte = n ^ mask;
                    }
                    assert_eq!(end.reads(&ping), Ok(1));
                    assert!(end.output.len() <= bound, "{} bytes are unsent", end.output.len());
                    sent.extend_from_slice(&end.output[..reads]);
                    end.connection.wrote(reads, &mut end.output);
                }
            });
            // Output that is taken byte by byte, and the buffer that it lies in.
            assert!(heap.peak <= 128 << 10, "{heap:?}");
            sent.extend(end.writes_all());
            let answered: Vec<u32> = frames(role, &sent)
                .iter()
                .map(|pong| {
                    assert_eq!((pong.first, pong.payload.len()), (0x8a, 125));
                    u32::from_be_bytes(*pong.payload.last_chunk().expect("125 bytes"))
                })
                .collect();
            assert!(answered.is_sorted_by(|one, other| one < other), "in the order of the pings");
            assert_eq!(answered.last(), Some(&(PINGS - 1)), "the newest is answered in the end");
        }
    }
}

// HOSTILE: 3
pub(crate) fn pings_behind_a_full_queue() {
    for role in ROLES {
        let mut end = End::new(role, Config::default());
        while end.connection.send(&[0; 1000], &mut end.output).is_ok() {}
        let full = end.output.len();
        assert!(full < (1 << 20) + 1008);
        for n in 0..10_000_u32 {
            assert_eq!(end.reads(&frame(role, 0x89, &n.to_be_bytes())), Ok(1));
            assert_eq!(end.output.len(), full, "the Pong waits outside the queue");
        }
        let sent = end.writes_all();
        let pongs: Vec<_> = frames(role, &sent).into_iter().filter(|frame| frame.first == 0x8a).collect();
        assert_eq!(pongs.len(), 1, "the newest alone");
        assert_eq!(pongs[0].payload, 9_999_u32.to_be_bytes());
    }
}

// HOSTILE: 4
pub(crate) fn lengths_at_the_edges_of_integers() {
    fn meets<D: Delivery>(delivery: D, role: Role, config: &Config, wire: &[u8], expected: Option<ProtocolError>) {
        let mut end = End::with(role, delivery, config.clone());
        // Byte by byte, and then something behind it.
        let mut error = None;
        for byte in wire.iter().chain(&[0; 1000]) {
            error = error.or(end.reads(&[*byte]).err());
        }
        assert_eq!(error, expected, "{role:?} {wire:02x?}");
        let code = expected.map(|error| error.close_code().0);
        assert_eq!(close_code(role, &end.output), code);
        let then = if expected.is_some() { TransportState::Shutdown } else { TransportState::Open };
        assert_eq!(end.connection.transport(), then);
    }
    let unlimited = Config { max_message: Config::UNLIMITED, ..Config::default() };
    let lengths = [31, 32, 63].map(|bits| 1_u64 << bits).into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
    for len in lengths.chain([(1 << 63) - 2, u64::MAX - 1, u64::MAX]) {
        let (limited, free) = match len {
            // RFC 6455 section 5.2: the most significant bit is 0.
            0x8000_0000_0000_0000.. => (Some(ProtocolError::LengthOverflow), Some(ProtocolError::LengthOverflow)),
            _ => (Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0))), None),
        };
        let frames = Config { max_frame: Some(64 << 20), ..unlimited.clone() };
        let of_frame = limited.map(|error| {
            if error == ProtocolError::MessageTooLong(Exceeded::new(0, 0)) {
                ProtocolError::FrameTooLong(Exceeded::new(0, 0))
            } else {
                error
            }
        });
        for role in ROLES {
            let whole = announce(role, 0x82, len);
            // A continuation: the lengths of both fragments are added.
            let continued = [frame(role, 0x02, b"some"), announce(role, 0x80, len)].concat();
            for wire in [whole, continued] {
                meets(Messages, role, &Config::default(), &wire, limited);
                meets(Messages, role, &frames, &wire, of_frame);
                meets(Messages, role, &unlimited, &wire, free);
                meets(UNLIMITED_CHUNKS, role, &Config::default(), &wire, free);
                meets(UNLIMITED_CHUNKS, role, &frames, &wire, of_frame);
                meets(Chunks { max_message: 1 << 20, ..UNLIMITED_CHUNKS }, role, &unlimited, &wire, limited);
            }
        }
    }
}

// HOSTILE: 5
pub(crate) fn random_bytes_that_must_not_spin() {
    // `End::reads` counts the calls: each that gives an event consumes, and there is none without bytes.
    fn attack<D: Delivery>(end: &mut End<D>, wire: &[u8], random: &mut Random) {
        let mut rest = wire;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
            rest = behind;
            let before = end.input.len();
            let failed = end.reads(piece).is_err();
            // What is kept is a frame without its end, nothing that could be an event of its own.
            assert!(!failed || end.input.is_empty(), "after a failure all input is discarded");
            let kept = end.input.len();
            assert!(kept <= before + piece.len());
            let again = end.reads(b"");
            assert!(failed == again.is_err() && again.unwrap_or(0) == 0, "nothing without more bytes");
            assert_eq!(end.input.len(), kept);
        }
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let role = ROLES[round % 2];
        let mut wire = Vec::new();
        for _ in 0..1 + random.below(8) {
            match random.below(8) {
                0 => wire.extend((0..random.below(40)).map(|_| random.byte())),
                _ => {
                    let firsts = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88];
                    let payload: Vec<u8> = (0..random.below(130)).map(|_| random.byte() & 0x7f).collect();
                    wire.extend(frame(role, firsts[random.below(firsts.len())], &payload));
                }
            }
        }
        if random.below(2) == 0 && !wire.is_empty() {
            let at = random.below(wire.len());
            wire[at] ^= 1 << random.below(8);
        }
        attack(&mut End::new(role, Config::default()), &wire, &mut random);
        attack(&mut End::with(role, UNLIMITED_CHUNKS, Config::default()), &wire, &mut random);
    }
}

// HOSTILE: 5
pub(crate) fn deadlines_of_zero() {
    const NOW: Option<Duration> = Some(Duration::ZERO);
    let config = Config {
        close_timeout: NOW,
        write_timeout: NOW,
        message_timeout: NOW,
        ping_interval: NOW,
        pong_timeout: NOW,
        ..Config::default()
    };
    for role in ROLES {
        for wire in [vec![], frame(role, 0x01, b"begun"), frame(role, 0x88, b"")] {
            let mut end = End::new(role, config.clone());
            end.reads(&wire).expect("it is right");
            let mut now = Duration::ZERO;
            let mut steps = 0;
            while end.connection.transport() != TransportState::Closed {
                if end.connection.wants_time(&end.output) {
                    end.connection.arm(now, &end.output);
                }
                now = now.max(end.connection.poll_timeout().expect("something is due"));
                end.connection.handle_timeout(now, &mut end.output);
                steps += 1;
                assert!(steps < 10, "it spins at {now:?}");
            }
        }
    }
}

// HOSTILE: 6
pub(crate) fn masking_keys_that_could_be_guessed() {
    fn keys(seed: [u8; 32], fragment_size: Option<usize>) -> Vec<[u8; 4]> {
        const FRAMES: usize = 10_000;
        let config = Config { max_unsent: usize::MAX, fragment_size, ..Config::default() };
        let mut outbound = Outbound::client(Arc::new(config), seed);
        let mut output = BytesMut::new();
        let prepared = Prepared::text("prepared");
        let raw = Header::new(OpCode::Binary, 3);
        while output.len() < 40 * FRAMES {
            outbound.send("text, of which each frame has a key", &mut output).expect("open");
            outbound.send(&prepared, &mut output).expect("open");
            outbound.send(Chunk { data: Message::Binary(b"chunk"), end: false }, &mut output).expect("open");
            outbound.send(Outgoing::ping(b"ping"), &mut output).expect("open");
            outbound.send(Chunk { data: Message::Binary(b"end"), end: true }, &mut output).expect("open");
            outbound.send(Outgoing::frame(raw, b"raw"), &mut output).expect("open");
            outbound.send(Outgoing::pong(b""), &mut output).expect("open");
        }
        frames(Role::Client, &output).iter().map(|frame| frame.key.expect("masked")).take(FRAMES).collect()
    }
    let whole = keys([7; 32], None);
    let split = keys([7; 32], Some(5));
    let mut other_seed = [7; 32];
    other_seed[31] ^= 1;
    let other = keys(other_seed, None);
    for keys in [&whole, &split, &other] {
        let numbers: Vec<u32> = keys.iter().map(|key| u32::from_be_bytes(*key)).collect();
        let n = numbers.len();
        // 10,000 of 2^32: two are the same in one of 86 runs, four never.
        assert!(numbers.iter().collect::<HashSet<_>>().len() >= n - 2, "keys come back");
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "one key for two frames");
        // Each bit of the keys, of what changes from key to key, and of their differences: half the time, within six
        // standard deviations.
        let changes = numbers.windows(2).map(|pair| pair[0] ^ pair[1]).collect::<Vec<_>>();
        let differences = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect::<Vec<_>>();
        for numbers in [&numbers, &changes, &differences] {
            for bit in 0..32 {
                let set = numbers.iter().filter(|number| *number >> bit & 1 == 1).count();
                assert!(set.abs_diff(numbers.len() / 2) < 6 * n.isqrt() / 2, "bit {bit} is set {set} times");
            }
        }
        // Each value of each byte: 39 times; more than 39 + 8 * 6.2 never.
        for place in 0..4 {
            let mut counts = [0; 256];
            keys.iter().for_each(|key| counts[usize::from(key[place])] += 1);
            assert!(counts.iter().all(|count| (5..90).contains(count)), "byte {place}: {counts:?}");
        }
    }
    let same = whole.iter().zip(&other).filter(|(one, other)| one == other).count();
    assert!(same <= 2, "another seed gives other keys");
}

// HOSTILE: 7
pub(crate) fn a_message_that_never_ends() {
    fn endless<D: Delivery>(mut end: End<D>, role: Role, limit: u64, fragment: usize, what: &str) {
        let continuation = frame(role, 0x00, &vec![b'x'; fragment]);
        let mut bytes = 0;
        let (error, heap) = heap::of(|| {
            end.reads(&frame(role, 0x02, b"")).expect("it begins");
            loop {
                let read = end.reads(&continuation).and_then(|_| end.reads(&frame(role, 0x89, b"in between")));
                match read {
                    Ok(_) => bytes += fragment as u64,
                    Err(error) => return error,
                }
                assert!(bytes <= limit, "{what}: {bytes} bytes");
                end.writes_all();
            }
        });
        assert_eq!(error, ProtocolError::MessageTooLong(Exceeded::new(0, 0)), "{what}");
        assert_eq!(bytes, limit / fragment as u64 * fragment as u64, "{what}: up to the limit all is taken");
        assert_eq!(close_code(role, &end.output), Some(1009));
        // The message so far, in a buffer that doubles, and the frame in the input.
        assert!(heap.peak as u64 <= 2 * limit + 4 * fragment as u64 + (4 << 10), "{what}: {heap:?}");
        assert!(heap.growth <= 4 * fragment.cast_signed() + (4 << 10), "{what}: a failed message is let go, {heap:?}");
    }
    const LIMIT: u64 = 1 << 20;
    let config = Config { max_message: LIMIT, ..Config::default() };
    for role in ROLES {
        for fragment in [100, 4 << 10, 300_000] {
            endless(End::new(role, config.clone()), role, LIMIT, fragment, "messages");
            let chunks = Chunks { max_message: LIMIT, ..UNLIMITED_CHUNKS };
            endless(End::with(role, chunks, config.clone()), role, LIMIT, fragment, "chunks");
        }
        // The last byte too much, at its header; and exactly the limit.
        let mut end = End::new(role, config.clone());
        let most = frame(role, 0x02, &vec![0; (1 << 20) - 1]);
        assert_eq!(end.reads(&most), Ok(0));
        assert_eq!(end.reads(&frame(role, 0x80, b"x")), Ok(1));
        assert_eq!(end.reads(&most), Ok(0));
        assert_eq!(end.reads(&announce(role, 0x80, 2)), Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
    }
}

// HOSTILE: 8
pub(crate) fn a_million_tiny_fragments() {
    // The work is linear: a fragment is looked at when it is there and not before, and its byte is moved once into a
    // buffer that doubles. The heap bounds the moving (all allocations together are at most what the bytes fill), and
    // `End::reads` bounds the calls. That the bytes are validated once each is counted where the machine stands.
    const FRAGMENTS: usize = 131_072;
    fn attack<D: Delivery>(mut end: End<D>, role: Role, first: u8, fragments: [&[u8]; 2], refused_at: usize) {
        let wire = fragments.map(|payload| frame(role, 0x00, payload));
        let mut bytes = 0;
        let mut sent = 0;
        let (error, heap) = heap::of(|| {
            end.reads(&frame(role, first, b"")).expect("it begins");
            for n in 1..1_000_000 {
                sent = n;
                bytes += fragments[n % 2].len();
                if let Err(error) = end.reads(&wire[n % 2]) {
                    return Some(error);
                }
            }
            None
        });
        assert_eq!(error, Some(ProtocolError::TooManyFragments));
        assert_eq!(sent, refused_at);
        assert_eq!(close_code(role, &end.output), Some(1008));
        assert!(heap.peak <= bytes.next_power_of_two() + 1024, "{bytes} bytes: {heap:?}");
        assert!(heap.total <= bytes.next_power_of_two() + 1024, "{bytes} bytes: {heap:?}");
        assert!(heap.growth <= 1024, "a failed message is let go: {heap:?}");
    }
    for role in ROLES {
        for first in [0x01, 0x02] {
            let chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: 131_072 };
            // The first fragment, which is empty, counts; 1,024 empty ones in a row are allowed.
            for (fragments, refused_at) in
                [([&b"x"[..], b"y"], FRAGMENTS), ([b"", b""], 1_024), ([b"", b"x"], FRAGMENTS)]
            {
                attack(End::new(role, Config::default()), role, first, fragments, refused_at);
                attack(End::with(role, chunks, Config::default()), role, first, fragments, refused_at);
            }
        }
    }
}

// HOSTILE: 11
pub(crate) fn reserved_bits_everywhere() {
    for role in ROLES {
        for bits in [0x40, 0x20, 0x10, 0x70] {
            for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
                for fin in [0x80, 0x00] {
                    let first = fin | bits | opcode;
                    // First of a connection, first of a message, and inside one.
                    for before in [vec![], frame(role, 0x81, b"whole"), frame(role, 0x01, b"begun")] {
                        let mut end = End::new(role, Config::default());
                        end.reads(&before).expect("it is right");
                        let error = end.reads(&[first]).expect_err("at the first byte");
                        assert_eq!(error, ProtocolError::ReservedBits, "{first:#x} after {before:x?}");
                        assert_eq!(close_code(role, &end.output), Some(1002));
                        let mut chunks = End::with(role, UNLIMITED_CHUNKS, Config::default());
                        chunks.reads(&before).expect("it is right");
                        assert_eq!(chunks.reads(&[first]), Err(ProtocolError::ReservedBits));
                    }
                }
            }
        }
    }
}

/// Two, three and four bytes a character, so that fragments of 64 bytes cut them everywhere.
fn some_text(len: usize) -> String {
    let mut text = "aé€𝄞".repeat(len / 10);
    text.push_str(&"x".repeat(len - text.len()));
    text
}

// HOSTILE: 14
pub(crate) fn text_in_tiny_fragments() {
    // Each byte is validated once: counted in steps where the machine stands. Here: it is all right, the heap is that
    // of one growing buffer, and a bad byte is found in the fragment that brings it.
    const LEN: usize = 4 << 20;
    let text = some_text(LEN);
    for role in ROLES {
        let mut end = End::new(role, Config::default());
        let mut wire = Vec::new();
        for (n, piece) in text.as_bytes().chunks(64).enumerate() {
            wire.extend(frame(role, if n == 0 { 0x01 } else { 0x00 }, piece));
        }
        wire.extend(frame(role, 0x80, b""));
        let (events, heap) = heap::of(|| {
            let mut events = 0;
            for piece in wire.chunks(64 << 10) {
                end.input.extend_from_slice(piece);
                let mut batch = end.connection.receive(&mut end.input, &mut end.output);
                while let Some((event, _)) = batch.next().expect("it is right") {
                    assert!(event == Event::Data(Message::Text(&text)), "the text arrives as it was sent");
                    events += 1;
                }
            }
            events
        });
        assert_eq!(events, 1);
        assert!(heap.total <= 2 * LEN + (256 << 10), "{heap:?}");

        let mut end = End::new(role, Config::default());
        assert_eq!(end.reads(&frame(role, 0x01, &text.as_bytes()[..640])), Ok(0));
        for cut in [&b"\xf0"[..], b"\x9d", b"\x84"] {
            assert_eq!(end.reads(&frame(role, 0x00, cut)), Ok(0));
        }
        assert_eq!(end.reads(&frame(role, 0x00, b"\xff")), Err(ProtocolError::InvalidUtf8));
    }
}

// HOSTILE: 14
pub(crate) fn text_in_tiny_reads() {
    // One frame in reads of 64 bytes. What has been read is overwritten until the end is near: a machine that looked
    // at it again, to unmask or to validate it, would find no text there.
    const LEN: usize = 1 << 20;
    let text = some_text(LEN);
    for role in ROLES {
        let mut end = End::new(role, Config::default());
        end.input.reserve(LEN + 14);
        let header = announce(role, 0x81, LEN as u64);
        assert_eq!(end.reads(&header), Ok(0));
        let wire = masked(role, text.as_bytes());
        let ((), heap) = heap::of(|| {
            for piece in wire[..LEN - 1].chunks(64) {
                let from = end.input.len();
                assert_eq!(end.reads(piece), Ok(0));
                end.input[from..].fill(0xff);
            }
        });
        assert_eq!(heap.allocations, 0, "it stays where it is");
        end.input[header.len()..].copy_from_slice(&text.as_bytes()[..LEN - 1]);
        end.input.extend_from_slice(&wire[LEN - 1..]);
        let mut batch = end.connection.receive(&mut end.input, &mut end.output);
        let (event, _) = batch.next().expect("it is right").expect("it is whole");
        assert!(event == Event::Data(Message::Text(&text)));
    }
}

// HOSTILE: 15
pub(crate) fn an_oversized_close_reason() {
    let long = "€".repeat(42); // 126 bytes
    for role in ROLES {
        let mut end = End::new(role, Config::default());
        for reason in [&long, &"x".repeat(124), &"x".repeat(70_000)] {
            let close = Close { code: CloseCode::NORMAL, reason };
            assert_eq!(close.encode().map(|_| ()), Err(SendError::ReasonTooLong));
            let payload = [&1000_u16.to_be_bytes(), reason.as_bytes()].concat();
            let raw = Outgoing::frame(Header::new(OpCode::Close, payload.len() as u64), &payload);
            let (refused, heap) = heap::of(|| end.connection.send(raw, &mut end.output));
            assert_eq!(refused, Err(SendError::ReasonTooLong));
            assert_eq!((end.output.len(), heap.total), (0, 0), "nothing is sent, nothing is held");
            assert_eq!((end.connection.end(), end.connection.transport()), (None, TransportState::Open));
        }
        // The longest goes out as it is, and nothing beyond it.
        let close = Some(Close { code: CloseCode::NORMAL, reason: &long[..123] });
        end.connection.close(close, &mut end.output).expect("it fits");
        let sent = frames(role, &end.output);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].payload, [&b"\x03\xe8"[..], &long.as_bytes()[..123]].concat());
    }
}

// HOSTILE: 52
pub(crate) fn a_close_reason_that_is_too_long_to_send() {
    fn close(reason: &str) -> Option<Close<'_>> {
        Some(Close { code: CloseCode(4000), reason })
    }
    for role in ROLES {
        for (reason, cut) in [
            ("x".repeat(124), "x".repeat(123)),
            ("x".repeat(70_000), "x".repeat(123)),
            ("é".repeat(62), "é".repeat(61)),
            ("😀".repeat(31), "😀".repeat(30)),
        ] {
            let (mut end, mut peer) = (End::new(role, Config::default()), End::new(role.peer(), Config::default()));
            end.connection.close(close(&reason), &mut end.output).expect("the reason is cut");
            peer.input.extend_from_slice(&end.output);
            let mut batch = peer.connection.receive(&mut peer.input, &mut peer.output);
            let told = batch.next().expect("the frame is valid").map(|(event, _)| event);
            assert_eq!(told, Some(Event::Close(close(&cut))), "{role:?}");
            drop(batch);
            assert_eq!(peer.connection.end().map(|end| end.code()), Some(CloseCode(4000)), "not 1006");
            assert_eq!(peer.connection.close_reason(), cut);
            end.input.extend_from_slice(&peer.output);
            assert!(end.connection.receive(&mut end.input, &mut end.output).next().is_ok());
            assert!(end.connection.end().is_some_and(|end| end.clean));
        }
    }
}

// HOSTILE: 18
pub(crate) fn ten_million_unsolicited_pongs() {
    const AT_ONCE: usize = 10_000;
    for (role, pongs, payload) in [(Role::Client, 9_000_000, &b""[..]), (Role::Server, 1_000_000, b"unasked")] {
        // With pings of ours unanswered, so that the answers are looked for.
        let mut end = End::new(role, Config::default());
        for n in 0..100_u8 {
            end.connection.send(Outgoing::ping(&[n]), &mut end.output).expect("there is room");
        }
        end.connection.arm(Duration::ZERO, &end.output);
        end.writes_all();
        let wire = frame(role, 0x8a, payload).repeat(AT_ONCE);
        end.input.reserve(2 * wire.len());
        let ((), heap) = heap::of(|| {
            for _ in 0..pongs / AT_ONCE {
                assert_eq!(end.reads(&wire), Ok(AT_ONCE));
            }
        });
        assert_eq!((heap.peak, heap.allocations), (0, 0), "flat");
        assert!(end.output.is_empty(), "a Pong is not answered");
    }
}

// HOSTILE: 19
pub(crate) fn an_oversized_control_frame() {
    fn refuses<D: Delivery>(mut end: End<D>, role: Role, first: u8, len: u8) {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        assert_eq!(end.reads(&[first]), Ok(0));
        assert_eq!(end.reads(&[mask | len]), Err(ProtocolError::ControlTooLong), "at the second byte");
        assert_eq!(close_code(role, &end.output), Some(1002));
    }
    let unlimited = Config {
        max_message: Config::UNLIMITED,
        max_fragments: u32::MAX,
        max_empty_fragments: u16::MAX,
        max_unsent: usize::MAX,
        ..Config::default()
    };
    for role in ROLES {
        for first in [0x88, 0x89, 0x8a] {
            for len in [126, 127] {
                for config in [&Config::default(), &unlimited] {
                    refuses(End::new(role, config.clone()), role, first, len);
                    refuses(End::with(role, UNLIMITED_CHUNKS, config.clone()), role, first, len);
                    // Also inside a message.
                    let mut end = End::new(role, config.clone());
                    assert_eq!(end.reads(&frame(role, 0x02, b"begun")), Ok(0));
                    refuses(end, role, first, len);
                }
            }
        }
    }
}

// HOSTILE: 20
pub(crate) fn a_peer_that_never_lets_go() {
    const SECOND: Duration = Duration::from_secs(1);
    /// A way out of the open state, and the time that it takes at most to begin.
    type Exit = (&'static str, Duration, fn(&mut End, Role));
    let exits: [Exit; 9] = [
        ("our Close", Duration::ZERO, |end, _| end.connection.close(None, &mut end.output).expect("open")),
        ("our Close behind a queue", Duration::ZERO, |end, _| {
            end.connection.send(&[0; 1 << 20], &mut end.output).expect("open");
            end.connection.close(None, &mut end.output).expect("open");
        }),
        ("the peer's Close", Duration::ZERO, |end, role| {
            end.reads(&frame(role, 0x88, b"")).expect("it is right");
        }),
        ("both Closes", Duration::ZERO, |end, role| {
            end.connection.close(None, &mut end.output).expect("open");
            end.reads(&frame(role, 0x88, b"")).expect("it is right");
        }),
        ("a broken rule", Duration::ZERO, |end, _| {
            end.reads(&[0x83]).expect_err("an unknown opcode");
        }),
        ("silence", Duration::from_secs(40), |_, _| {}),
        ("an unanswered ping", Duration::from_secs(25 + 20), |end, role| {
            end.connection.arm(Duration::ZERO, &end.output);
            end.reads(&frame(role, 0x8a, b"no answer")).expect("it is right");
        }),
        ("a stalled message", Duration::from_secs(60), |end, role| {
            end.reads(&frame(role, 0x01, b"begun")).expect("it is right");
        }),
        ("stalled output", Duration::from_secs(30), |end, _| {
            end.connection.send(&[0; 1000], &mut end.output).expect("open");
        }),
    ];
    let config = Config {
        idle_timeout: Some(Duration::from_secs(40)),
        ping_interval: Some(Duration::from_secs(25)),
        ..Config::default()
    };
    for role in ROLES {
        for (what, begins, leave) in exits {
            // What the peer does each second, to be waited for: nothing, read a byte, send pings and data without end.
            for (reads, sends) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let mut end = End::new(role, config.clone());
                leave(&mut end, role);
                let mut left = None; // when the open state was left
                let mut now = Duration::ZERO;
                let arm = |end: &mut End, now| {
                    if end.connection.wants_time(&end.output) {
                        end.connection.arm(now, &end.output);
                    }
                    end.connection.poll_timeout()
                };
                while end.connection.transport() != TransportState::Closed {
                    if end.connection.end().is_some() {
                        left.get_or_insert(now);
                    }
                    let due = arm(&mut end, now).expect("a deadline stands");
                    now = (now + SECOND).min(due.max(now));
                    end.connection.handle_timeout(now, &mut end.output);
                    if end.connection.end().is_some() {
                        // Only now, so that the peer's doing does not undo the reason to leave.
                        end.writes(reads);
                        let more = [frame(role, 0x89, b"ping"), frame(role, 0x81, b"text")].concat();
                        let _ = end.reads(&more.repeat(sends));
                    }
                    // What waits before the Close, or the Close itself, is the write deadline's business: 30 s without 4 KiB. Then
                    // come 10 s for the peer's.
                    assert!(now <= begins + (30 + 10 + 1) * SECOND, "{what}, {role:?}: still there after {now:?}");
                }
                assert!(end.connection.end().is_some_and(|end| !end.clean || what == "both Closes" || reads > 0));
                let left = left.unwrap_or(now);
                assert!(left <= begins && now - left <= (30 + 10) * SECOND, "{what}: from {left:?} to {now:?}");
                assert_eq!(end.connection.send("late", &mut end.output), Err(SendError::Closing));
            }
        }
    }
    // The deadlines of the open state end it for their own reasons.
    let expired = |leave: fn(&mut End)| {
        let mut end = End::new(Role::Server, Config::default());
        leave(&mut end);
        end.connection.arm(Duration::ZERO, &end.output);
        let due = end.connection.poll_timeout().expect("a deadline stands");
        end.connection.handle_timeout(due, &mut end.output)
    };
    assert_eq!(expired(|end| end.connection.send(b"x", &mut end.output).unwrap()), Some(Timeout::Write));
    let begun = |end: &mut End| assert_eq!(end.reads(&frame(Role::Server, 0x01, b"x")), Ok(0));
    assert_eq!(expired(begun), Some(Timeout::Message));
}

// HOSTILE: 28
pub(crate) fn nothing_configured() {
    // Every field is named, so that none is added without being judged here.
    let Config {
        max_head,
        max_head_fields,
        max_message,
        max_decoded_message,
        max_frame,
        max_fragments,
        max_empty_fragments,
        max_unsent,
        fragment_size,
        handshake_timeout,
        close_timeout,
        write_timeout,
        message_timeout,
        idle_timeout,
        ping_interval,
        pong_timeout,
        #[cfg(feature = "deflate")]
        compression,
        extensions,
    } = Config::default();
    assert_eq!((max_head, max_head_fields), (16 << 10, 100));
    assert_eq!((max_message, max_decoded_message, max_frame), (64 << 20, 4 << 20, None));
    assert_eq!((max_fragments, max_empty_fragments), (131_072, 1_024));
    assert_eq!(max_unsent, 1 << 20);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!((handshake_timeout, close_timeout), (seconds(10), seconds(10)));
    assert_eq!((write_timeout, message_timeout, pong_timeout), (seconds(30), seconds(60), seconds(20)));
    // Off, and no protection: one decides how often to ask, one how to cut what is sent.
    assert_eq!((idle_timeout, ping_interval, fragment_size), (None, None, None));
    #[cfg(feature = "deflate")]
    assert_eq!(compression, None);
    assert_eq!(extensions, []);
    // "Unlimited" is a value that somebody writes down.
    assert!(max_message < Config::UNLIMITED);
}

/// What a connection of the core takes, heap included.
fn weight(end: End) -> usize {
    size_of::<Connection>() + heap::held_by(end)
}

// HOSTILE: 30
pub(crate) fn one_huge_message_and_then_silence() {
    let huge = vec![b'x'; 8 << 20];
    let whole = frame(Role::Server, 0x81, &huge);
    let mut fragments = frame(Role::Server, 0x01, b"");
    huge.chunks(64 << 10).for_each(|piece| fragments.extend(frame(Role::Server, 0x00, piece)));
    fragments.extend(frame(Role::Server, 0x80, b""));
    for wire in [whole, fragments] {
        let mut end = End::new(Role::Server, Config::default());
        for piece in wire.chunks(64 << 10) {
            end.input.extend_from_slice(piece);
            let mut batch = end.connection.receive(&mut end.input, &mut end.output);
            while let Some((event, mut outbox)) = batch.next().expect("it is right") {
                let Event::Data(Message::Text(text)) = event else { panic!("{event:?}") };
                outbox.send(Outgoing::text(text)).expect("there is room");
            }
        }
        assert_eq!(end.writes_all().len(), huge.len() + 10);
        // The machine's part; the configuration is shared, input and output are the caller's.
        end.connection.shrink();
        let _config = end.connection.config().clone();
        (end.input, end.output) = (BytesMut::new(), BytesMut::new());
        let weight = weight(end);
        assert!(weight <= 256, "{weight} bytes");
    }
}

// HOSTILE: 31
pub(crate) fn idle_machines() {
    let config = Arc::new(Config::default());
    let (connection, heap) = heap::of(|| Connection::server(Messages, config.clone()));
    println!("a server's connection: {} bytes, {} of heap", size_of_val(&connection), heap.growth);
    assert_eq!((heap.growth, heap.allocations), (0, 0), "the configuration is shared");
    assert!(size_of_val(&connection) <= 256);

    let mut end = End { connection, input: BytesMut::new(), output: BytesMut::new() };
    for n in 0..10 {
        let text = some_text(100 * n);
        end.reads(&frame(Role::Server, 0x81, text.as_bytes())).expect("it is right");
        end.reads(&frame(Role::Server, 0x01, text.as_bytes())).expect("it is right");
        end.reads(&frame(Role::Server, 0x80, text.as_bytes())).expect("it is right");
        end.reads(&frame(Role::Server, 0x89, b"ping")).expect("it is right");
        end.connection.send(&text, &mut end.output).expect("open");
        end.connection.arm(Duration::from_secs(n as u64), &end.output);
        end.writes_all();
    }
    end.connection.arm(Duration::from_secs(10), &end.output);
    assert_eq!(end.connection.poll_timeout(), None, "no deadline is armed");
    end.connection.shrink();
    (end.input, end.output) = (BytesMut::new(), BytesMut::new());
    let weight = weight(end);
    assert!(weight <= 256, "{weight} bytes");
}

// HOSTILE: 31
pub(crate) fn messages_that_cost_allocations() {
    let payload = vec![b'x'; 4 << 10];
    for role in ROLES {
        let whole = frame(role, 0x81, &payload);
        let mut fragments = frame(role, 0x01, &payload);
        for n in 1..16 {
            fragments.extend(frame(role, if n < 15 { 0x00 } else { 0x80 }, &payload));
        }
        for (wire, fragment_size) in [(whole, None), (fragments, Some(4 << 10))] {
            let config = Config { fragment_size, ..Config::default() };
            let mut end = End::new(role, config);
            let mut round = |messages: usize| {
                for _ in 0..messages {
                    end.input.extend_from_slice(&wire);
                    let mut batch = end.connection.receive(&mut end.input, &mut end.output);
                    while let Some((event, mut outbox)) = batch.next().expect("it is right") {
                        let Event::Data(Message::Text(text)) = event else { panic!("{event:?}") };
                        outbox.send(Outgoing::text(text)).expect("there is room");
                    }
                    drop(batch);
                    let written = end.output.len();
                    assert!(written > payload.len());
                    end.connection.wrote(written, &mut end.output);
                }
            };
            round(10); // the buffers find their size
            let ((), heap) = heap::of(|| round(100));
            assert_eq!(heap.allocations, 0, "{role:?}, fragments {fragment_size:?}");
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound
    }
}

// HOSTILE: 39
pub(crate) fn an_input_that_its_owner_changes_between_two_reads() {
    type Change = fn(&mut BytesMut, usize);
    // Where the payload begins, and what is done to it and what is before it.
    const CHANGES: [Change; 9] = [
        |input, start| input[start..].fill(0xff),
        |input, start| {
            if let Some(byte) = input[start..].first_mut() {
                *byte ^= 0x80;
            }
        },
        |input, start| input[start..].fill(0xc3),
        |input, start| input.truncate(start),
        |input, _| input.truncate(1),
        |input, _| input.clear(),
        |input, _| input[0] = 0x82,
        |input, _| input[0] = 0x01,
        |input, start| {
            input[0] = 0x89;
            input[start..].fill(0xc3);
        },
    ];
    fn attack<D: Delivery>(delivery: D, role: Role, config: &Config, wire: &[u8], changes: [(usize, Change); 2]) {
        let start = wire.len() - 120;
        let mut end = End::with(role, delivery, config.clone());
        let mut from = 0;
        for (to, change) in [Some(changes[0]), Some(changes[1]), None].map(|cut| cut.unwrap_or((wire.len(), |_, _| {})))
        {
            end.input.extend_from_slice(&wire[from..to.max(from)]);
            from = to.max(from);
            let mut batch = end.connection.receive(&mut end.input, &mut end.output);
            loop {
                let chunk: Chunk<'_> = match batch.next() {
                    Ok(Some((Event::Data(data), _))) => data.into(),
                    Ok(Some(_)) => continue,
                    Ok(None) => break,
                    Err(_) => return,
                };
                let Message::Text(text) = chunk.data else { continue };
                assert!(str::from_utf8(text.as_bytes()).is_ok(), "{:x?}", text.as_bytes());
            }
            drop(batch);
            if end.input.len() >= start {
                change(&mut end.input, start);
            }
        }
    }
    let payload = "\u{e9}".repeat(60);
    for role in ROLES {
        // What follows may complete a character that was begun.
        let frames = [frame(role, 0x81, payload.as_bytes()), frame(role, 0x82, payload.as_bytes())];
        for wire in frames {
            let start = wire.len() - 120;
            for first in [start, start + 1, start + 2, start + 7, wire.len() - 1] {
                for second in [first, first + 1, wire.len() - 1] {
                    for one in CHANGES {
                        for two in CHANGES {
                            let changes = [(first, one), (second, two)];
                            attack(Messages, role, &Config::default(), &wire, changes);
                            attack(UNLIMITED_CHUNKS, role, &Config::default(), &wire, changes);
                        }
                    }
                }
            }
        }
    }
    // To the letter: 200 bytes of text, of which the first 100 are no UTF-8 any more when the rest arrives.
    for role in ROLES {
        let wire = frame(role, 0x81, &[b'a'; 200]);
        let start = wire.len() - 200;
        let mut end = End::new(role, Config::default());
        assert_eq!(end.reads(&wire[..start + 100]), Ok(0));
        end.input[start..].fill(0xff);
        assert_eq!(end.reads(&wire[start + 100..]), Err(ProtocolError::InvalidUtf8));
        assert_eq!(close_code(role, &end.output), Some(1007));
    }
}

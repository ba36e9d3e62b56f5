//! Bounds on what comes out, and on the memory that it takes.

use std::sync::LazyLock;

use bowsprit::{Chunks, CloseCode, Config, Connection, Delivery, Exceeded, Messages, ProtocolError, Role};
use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};

use crate::all;
use crate::heap;
use crate::support::{ROLES, agreed, connection, hear, sends};

const BOMB: usize = 100 << 20;

/// Zeros, 1,000 of which make a byte: a payload, stripped.
fn zeros(len: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(len / 900 + 64);
    Compress::new(Compression::best(), false).compress_vec(&vec![0; len], &mut payload, FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - 4);
    payload
}

static ZEROS: LazyLock<Vec<u8>> = LazyLock::new(|| zeros(BOMB));

/// A frame as the peer of `role` sends it, masked with zeros.
fn frame(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if role == Role::Server { 0x80 } else { 0 };
    let mut wire = vec![first, mask | 127];
    match payload.len() {
        short @ ..126 => wire[1] = mask | u8::try_from(short).unwrap(),
        len @ 126..0x1_0000 => {
            wire[1] = mask | 126;
            wire.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => wire.extend((len as u64).to_be_bytes()),
    }
    if role == Role::Server {
        wire.extend([0; 4]);
    }
    wire.extend_from_slice(payload);
    wire
}

fn reads<D: Delivery>(
    end: &mut Connection<D>,
    input: &mut BytesMut,
    output: &mut BytesMut,
) -> Result<(), ProtocolError> {
    let mut batch = end.receive(input, output);
    while batch.next()?.is_some() {}
    Ok(())
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    const INFLATER: usize = 128 << 10;
    assert!(ZEROS.len() < BOMB / 1_000);
    // A final block in front: the window is kept twice for a moment.
    let behind_final = [&zeros(40 << 10)[..], &[0x00, 0x00, 0xff, 0xff, 0x03, 0x00], &ZEROS].concat();
    for role in ROLES {
        for limit in [1_usize, 1_000, 64 << 10, 1 << 20, 10 << 20] {
            let config = Config { max_message: limit as u64, max_frame: Some(Config::UNLIMITED), ..all() };
            // In one frame; and in fragments of 10,000 bytes each, compressed and not.
            let small = zeros(10_000);
            let mut fragments = frame(role, 0x42, &small);
            for n in 0..BOMB / 20_000 {
                fragments.extend(frame(role, 0x40, &small));
                fragments.extend(if n % 100 == 0 { frame(role, 0x00, &[0; 10_000]) } else { Vec::new() });
            }
            fragments.extend(frame(role, 0xc0, &ZEROS));
            for wire in [frame(role, 0xc2, &ZEROS), frame(role, 0xc2, &behind_final), fragments] {
                let agreement = agreed(&config, role, "deflate-frame");
                let mut end = connection(role, Messages, &config, &agreement);
                let (mut input, mut output) = (BytesMut::with_capacity(wire.len() + 1_024), BytesMut::new());
                input.extend_from_slice(&wire);
                let (error, heap) = heap::of(|| reads(&mut end, &mut input, &mut output));
                assert_eq!(error, Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
                assert!(heap.peak <= limit + INFLATER, "{} bytes for a limit of {limit}", heap.peak);
            }
        }
    }
    assert_eq!(ProtocolError::MessageTooLong(Exceeded::new(0, 0)).close_code(), CloseCode::MESSAGE_TOO_BIG);
}

#[test]
fn in_chunks_a_bomb_costs_no_more_than_a_piece() {
    for role in ROLES {
        let config = Config { max_frame: Some(Config::UNLIMITED), ..all() };
        let agreement = agreed(&config, role, "x-webkit-deflate-frame");
        let chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };
        let mut end = connection(role, chunks, &config, &agreement);
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        input.extend_from_slice(&frame(role, 0xc2, &ZEROS));
        let (read, heap) = heap::of(|| reads(&mut end, &mut input, &mut output));
        assert_eq!(read, Ok(()));
        // 512 bytes at a time, 1,032 of each; the buffer doubles.
        assert!(heap.peak <= (128 << 10) + 2 * 512 * 1_032, "{} bytes", heap.peak);
    }
}

#[test]
fn a_message_of_exactly_the_limit_passes() {
    for (len, fits) in [(999, true), (1_000, true), (1_001, false)] {
        let message = vec![7; len];
        for answer in ["deflate-frame", "fragment; maxLength=100, deflate-frame"] {
            let frames = sends(&all(), answer, |end, output| end.send(&message, output));
            let limited = Config { max_message: 1_000, ..all() };
            let agreement = agreed(&limited, Role::Client, answer);
            let (messages, error) = hear(connection(Role::Client, Messages, &limited, &agreement), &[&frames]);
            assert_eq!((messages == [&message[..]], error.is_none()), (fits, fits), "{len}: {error:?}");
            assert!(fits || error == Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
        }
    }
}

#[test]
fn an_idle_connection_holds_no_engine() {
    for role in ROLES {
        let agreement = agreed(&all(), role, "deflate-frame");
        let (end, _) = heap::of(|| connection(role, Messages, &all(), &agreement));
        let held = heap::held_by(end);
        assert!(held < 2 << 10, "{held} bytes");
    }
}

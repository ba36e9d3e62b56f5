//! Compressed messages, both roles and both deliveries, against flate2 itself and against themselves over other cuts.
//!
//! A seed is [`Setup`], 17 bytes, and behind it data: of a message, or its compressed payload as it stands.

#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunk, Chunks, Config, Connection, Delivery, Event, Header, Messages, OpCode, ProtocolError, Rsv};
use bowsprit_fuzz::cuts::Cuts;
use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    data: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    client: bool,
    alone: bool,
    text: bool,
    /// Of the compressor; from 10 on, the data is a payload as it stands.
    level: u8,
    /// Where the payload is changed, and how; 0: not at all.
    mutation: (u16, u8),
    /// The length of the fragments; 0: one frame.
    fragment: u8,
    limit: u8,
    cuts: Cuts,
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, data } = input;
    // Two messages: what the first does to the window shows in the second.
    let mut engine = Compress::new(Compression::new(u32::from(setup.level % 10)), false);
    let payloads: Vec<Vec<u8>> = data
        .split_at_checked(data.len() / 2)
        .into_iter()
        .flat_map(|(one, two)| [one, two])
        .enumerate()
        .map(|(n, half)| {
            let mut payload = half.to_vec();
            if setup.level % 20 < 10 {
                if setup.alone {
                    engine.reset();
                }
                payload = Vec::with_capacity(half.len() + half.len() / 8 + 64);
                engine.compress_vec(half, &mut payload, FlushCompress::Sync).expect("an engine at work");
                payload.truncate(payload.len().saturating_sub(4));
            }
            let (at, how) = setup.mutation;
            let len = payload.len().max(1);
            if let Some(byte) = payload.get_mut((usize::from(at) + n) % len) {
                *byte ^= how;
            }
            payload
        })
        .collect();

    // Small, or what 2 KiB can never reach.
    let limit = if setup.limit % 2 == 0 { 4 << 20 } else { u64::from(setup.limit) * 8 };
    let config = Arc::new(Config { max_message: limit, max_frame: Some(Config::UNLIMITED), ..Config::default() });
    let chunks = Chunks { max_message: limit, max_fragments: config.max_fragments };
    let wire = setup.wire(&payloads);

    let whole = setup.run(Messages, &config, Cuts::NONE, &wire);
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(setup.run(Messages, &config, cuts, &wire), whole, "{cuts:?}");
        assert_eq!(setup.run(chunks, &config, cuts, &wire), whole, "{cuts:?}, in chunks");
    }
    setup.check(&payloads, limit, &whole);
});

type Outcome = (Vec<Vec<u8>>, Option<ProtocolError>);

impl Setup {
    fn wire(&self, payloads: &[Vec<u8>]) -> BytesMut {
        let mut wire = BytesMut::new();
        let opcode = if self.text { OpCode::Text } else { OpCode::Binary };
        for payload in payloads {
            let size = if self.fragment == 0 { payload.len().max(1) } else { usize::from(self.fragment) };
            let count = payload.len().div_ceil(size).max(1);
            for n in 0..count {
                let piece = &payload[n * size..payload.len().min((n + 1) * size)];
                let first = n == 0;
                let header = Header {
                    fin: n + 1 == count,
                    rsv: if first { Rsv::RSV1 } else { Rsv::NONE },
                    mask: (!self.client).then_some(bowsprit::mask::Mask([0x37, 0xfa, 0x21, 0x3d])),
                    ..Header::new(if first { opcode } else { OpCode::Continuation }, piece.len() as u64)
                };
                wire.extend_from_slice(&header.encode());
                let start = wire.len();
                wire.extend_from_slice(piece);
                if let Some(mask) = header.mask {
                    mask.apply(&mut wire[start..]);
                }
            }
        }
        wire
    }

    fn run<D: Delivery>(&self, delivery: D, config: &Arc<Config>, cuts: Cuts, wire: &[u8]) -> Outcome {
        let agreed = Agreed {
            server_no_context_takeover: self.alone,
            client_no_context_takeover: self.alone,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let connection = match self.client {
            true => Connection::client(delivery, config.clone(), [7; 32]),
            false => Connection::server(delivery, config.clone()),
        };
        let mut connection = connection.with_extensions(&agreed.into());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let (mut messages, mut begun, mut start) = (Vec::new(), Vec::new(), 0);
        for end in cuts.ends(wire.len()) {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let mut batch = connection.receive(&mut input, &mut output);
            loop {
                match batch.next() {
                    Ok(Some((Event::Data(item), _))) => {
                        let chunk: Chunk<'_> = item.into();
                        begun.extend_from_slice(chunk.data.as_bytes());
                        assert!(begun.len() as u64 <= config.max_message);
                        if chunk.end {
                            messages.push(std::mem::take(&mut begun));
                        }
                    }
                    Ok(Some((event, _))) => panic!("nobody sent {event:?}"),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
            drop(batch);
            // What is given back was not needed.
            connection.shrink();
            connection.release_compression();
        }
        (messages, None)
    }

    /// What flate2 makes of the payloads, where it knows: it stops at a final block, and does not see what is cut off.
    fn check(&self, payloads: &[Vec<u8>], limit: u64, (messages, error): &Outcome) {
        let mut engine = Decompress::new(false);
        let mut failed = *error;
        let mut messages = messages.iter();
        for payload in payloads {
            if self.alone {
                engine.reset(false);
            }
            let message = messages.next();
            if payload.is_empty() {
                assert_eq!(message.map(Vec::len), Some(0), "a message without a byte is an empty one");
                continue;
            }
            let mut inflated = Vec::with_capacity(3 << 19); // 1,032 times the longest input
            let mut status = engine.decompress_vec(payload, &mut inflated, FlushDecompress::Sync);
            // Where the payload is cut off, what is to end it may become something, too.
            let own = inflated.len() as u64;
            if matches!(status, Ok(Status::Ok | Status::BufError)) {
                status = engine.decompress_vec(&[0x00, 0x00, 0xff, 0xff], &mut inflated, FlushDecompress::Sync);
            }
            match (message, status) {
                (_, Ok(Status::StreamEnd)) => return,
                (Some(message), Ok(_)) => assert_eq!(message, &inflated),
                (Some(message), Err(error)) => panic!("{error} in what became {} bytes", message.len()),
                (None, status) => {
                    let error = failed.take().expect("a message is lost");
                    let invalid = self.text && str::from_utf8(&inflated).is_err();
                    match error {
                        ProtocolError::MessageTooLong(_) => assert!(inflated.len() as u64 > limit),
                        ProtocolError::InvalidUtf8 => assert!(invalid),
                        ProtocolError::InvalidDeflate => {
                            // Right up to its end, as far as flate2 sees: it was cut off.
                            assert!(status.is_err() || own <= limit);
                        }
                        ProtocolError::TooManyFragments => {}
                        // flate2 stops at the first one.
                        ProtocolError::TooManyFinalBlocks => panic!("there is none"),
                        error => panic!("{error:?}"),
                    }
                    return;
                }
            }
        }
        assert_eq!((messages.next(), failed), (None, None));
    }
}

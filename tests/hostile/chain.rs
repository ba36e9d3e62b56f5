//! Attacks through several extensions at once.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::{
    Agreement, Decode, Element, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit, Param,
};
use bowsprit::handshake::AcceptOptions;
use bowsprit::handshake::ServerHandshake;
use bowsprit::{
    Chunk, Chunks, Config, Deflate, Delivery, Event, Exceeded, Message, Messages, ProtocolError, Role, Rsv,
};
use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};

use crate::heap;
use crate::wire::{End, ROLES, close_code, frame};

/// Whatever goes through comes out as it is, by way of a coder.
#[derive(Debug)]
struct Copy;

impl Extension for Copy {
    fn name(&self) -> &str {
        "x-copy"
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::messages(|| (Copy, Copy))))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        None
    }
}

impl Encode for Copy {
    fn begin(&mut self, _: OutgoingUnit) -> Option<Rsv> {
        Some(Rsv::NONE)
    }

    fn encode(&mut self, piece: &[u8], _end: bool, output: &mut Vec<u8>) {
        output.extend_from_slice(piece);
    }
}

impl Decode for Copy {
    fn begin(&mut self, _: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(true)
    }

    fn decode(&mut self, piece: &[u8], _end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        output.extend_from_slice(piece);
        Ok(())
    }
}

fn agreement(config: &Config, offers: &str) -> Agreement {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n"
    );
    let mut handshake = ServerHandshake::new(config.clone().into(), Duration::ZERO);
    let request = handshake.receive(&mut BytesMut::from(&*head)).unwrap().expect("it is whole");
    let accepted = request.accept(&AcceptOptions::new(), &mut BytesMut::new()).unwrap();
    assert_eq!(accepted.extensions().names().count(), 2, "both are accepted");
    accepted.extensions().clone()
}

// HOSTILE: 9
pub(crate) fn bombs_behind_an_extension() {
    const BOMB: usize = 70 << 20;
    let mut payload = Vec::with_capacity(BOMB / 900);
    Compress::new(Compression::best(), false).compress_vec(&vec![0; BOMB], &mut payload, FlushCompress::Sync).unwrap();
    for limit in [1_usize, 1_000, 1 << 20, 64 << 20] {
        let config = Config {
            max_message: limit as u64,
            max_decoded_message: Config::UNLIMITED,
            max_frame: Some(Config::UNLIMITED),
            compression: Some(Deflate::default()),
            extensions: vec![Arc::new(Copy)],
            ..Config::default()
        };
        for offers in ["x-copy, permessage-deflate", "permessage-deflate, x-copy"] {
            let agreement = agreement(&config, offers);
            for role in ROLES {
                let wire = frame(role, 0xc2, &payload[..payload.len() - 4]);
                let mut end = End::with(role, Messages, config.clone());
                end.connection = end.connection.with_extensions(&agreement);
                end.input.reserve(wire.len());
                let (error, heap) = heap::of(|| end.reads(&wire));
                assert_eq!(error, Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
                // The engine, and what 1 KiB inflates to, before and behind the other one.
                let most = limit + (128 << 10) + 4 * 1_032 * (1 << 10);
                assert!(heap.peak <= most, "{} bytes for a limit of {limit}", heap.peak);
                assert_eq!(close_code(role, &end.output), Some(1009));
            }
        }
    }
}

/// A decoder that copies, and does to the output what it must not.
#[derive(Clone, Copy, Debug)]
struct Changes(fn(&mut Vec<u8>), bool);

impl Extension for Changes {
    fn name(&self) -> &str {
        "x-changes"
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let one = *self;
        let coders = move || (Copy, one);
        Some((Vec::new(), if self.1 { Negotiated::frames(coders) } else { Negotiated::messages(coders) }))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        None
    }
}

impl Decode for Changes {
    fn begin(&mut self, _: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(true)
    }

    fn decode(&mut self, piece: &[u8], _end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        output.extend_from_slice(piece);
        (self.0)(output);
        Ok(())
    }
}

// HOSTILE: 40
pub(crate) fn decoders_that_change_what_was_there() {
    const CHANGES: [fn(&mut Vec<u8>); 8] = [
        |output| output.fill(0xff),
        |output| output[0] = 0xc3,
        |output| output.truncate(1),
        Vec::clear,
        |output| drop(std::mem::take(output)),
        |output| output.resize(1 << 20, 0xff),
        |output| output.insert(0, 0xbf),
        |output| {
            output.pop();
        },
    ];
    fn attack<D: Delivery>(delivery: D, role: Role, config: &Config, agreement: &Agreement, wire: &[u8], piece: usize) {
        let mut end = End::with(role, delivery, config.clone());
        end.connection = end.connection.with_extensions(agreement);
        for piece in wire.chunks(piece) {
            end.input.extend_from_slice(piece);
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
        }
    }
    let text = "\u{e9}".repeat(40);
    for change in CHANGES {
        for frames in [false, true] {
            for max_message in [64 << 20, 100] {
                let config = Config {
                    max_message,
                    extensions: vec![Arc::new(Changes(change, frames)), Arc::new(Copy)],
                    ..Config::default()
                };
                for offers in ["x-changes, x-copy", "x-copy, x-changes"] {
                    let agreement = agreement(&config, offers);
                    for role in ROLES {
                        let (one, two) = text.as_bytes().split_at(33);
                        let wire = [frame(role, 0x01, one), frame(role, 0x80, two), frame(role, 0x81, text.as_bytes())]
                            .concat();
                        for piece in [1, 2, 7, 20, wire.len()] {
                            attack(Messages, role, &config, &agreement, &wire, piece);
                            let chunks = Chunks { max_message, max_fragments: 100 };
                            attack(chunks, role, &config, &agreement, &wire, piece);
                        }
                    }
                }
            }
        }
    }
}

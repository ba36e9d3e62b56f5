//! Attacks through several extensions at once.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::{Agreement, Decode, Element, Encode, Extension, Incoming, Outgoing, Param, Terms};
use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bowsprit::{Config, Deflate, Messages, ProtocolError, Rsv};
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

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Terms)> {
        Some((Vec::new(), Terms::messages(|| (Copy, Copy))))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Terms> {
        None
    }
}

impl Encode for Copy {
    fn begin(&mut self, _: Outgoing) -> Option<Rsv> {
        Some(Rsv::NONE)
    }

    fn encode(&mut self, piece: &[u8], _end: bool, output: &mut Vec<u8>) {
        output.extend_from_slice(piece);
    }
}

impl Decode for Copy {
    fn begin(&mut self, _: Incoming) -> Result<bool, ProtocolError> {
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
                assert_eq!(error, Err(ProtocolError::MessageTooLong));
                // The engine, and what 1 KiB inflates to, before and behind the other one.
                let most = limit + (128 << 10) + 4 * 1_032 * (1 << 10);
                assert!(heap.peak <= most, "{} bytes for a limit of {limit}", heap.peak);
                assert_eq!(close_code(role, &end.output), Some(1009));
            }
        }
    }
}

//! What a peer sends in the benchmarks, and the floors that receive it.

use std::hint::black_box;
use std::io::Read;

use bowsprit::{Header, Mask, OpCode};
use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::floor::codec::Rx;
use crate::harness::Run;

/// At most so many bytes come at once.
pub(crate) const READ: usize = 64 << 10;

/// Messages that are longer than a read: the name of the row, whether a server receives them, their length.
pub(crate) const LARGE: [(&str, bool, usize); 4] = [
    ("receive, server, 256 KiB", true, 256 << 10),
    ("receive, server, 1 MiB", true, 1 << 20),
    ("receive, client, 256 KiB", false, 256 << 10),
    ("receive, client, 1 MiB", false, 1 << 20),
];

pub(crate) fn floor(traffic: &Traffic) -> Run {
    let (mut wire, len) = (traffic.wire(), traffic.payload.len());
    let mut rx = Rx::new(traffic.server, 2 * READ);
    Box::new(move |messages| {
        for _ in 0..messages {
            let (_, payload) = rx.next(&mut wire);
            assert_eq!(black_box(payload).len(), len);
        }
        messages
    })
}

/// The copy of the reads alone, into a buffer for one message.
pub(crate) fn copy(traffic: &Traffic, read: usize) -> Run {
    let (mut wire, len) = (traffic.wire(), traffic.payload.len());
    let mut buffer = vec![0; len + READ];
    Box::new(move |messages| {
        for _ in 0..messages {
            let mut at = 0;
            while at < len {
                let read = wire.read(read);
                black_box(&mut buffer[at..at + read.len()]).copy_from_slice(read);
                at += read.len();
            }
        }
        messages
    })
}

/// What the peer sends, over and over.
pub(crate) struct Traffic {
    pub(crate) server: bool,
    pub(crate) opcode: OpCode,
    pub(crate) fragments: usize,
    pub(crate) payload: Vec<u8>,
}

impl Traffic {
    pub(crate) fn binary(len: usize) -> Self {
        let mut payload = vec![0; len];
        ChaCha12Rng::seed_from_u64(2).fill_bytes(&mut payload);
        Self { server: true, opcode: OpCode::Binary, fragments: 1, payload }
    }

    /// `sample` over and over, filled up with spaces.
    pub(crate) fn text(sample: &str, len: usize) -> Self {
        let mut payload = sample.repeat(len / sample.len()).into_bytes();
        payload.resize(len, b' ');
        Self { opcode: OpCode::Text, payload, ..Self::binary(0) }
    }

    /// Whole messages, each frame with a random mask if they go to a server: 256 KiB at least.
    pub(crate) fn wire(&self) -> Wire {
        let mut random = ChaCha12Rng::seed_from_u64(3);
        let mut bytes = Vec::new();
        while bytes.len() < 256 << 10 {
            let pieces = self.payload.chunks(self.payload.len() / self.fragments);
            for (i, piece) in pieces.enumerate() {
                let opcode = if i == 0 { self.opcode } else { OpCode::Continuation };
                let mask = self.server.then(|| Mask(random.next_u32().to_ne_bytes()));
                let fin = i + 1 == self.fragments;
                bytes.extend_from_slice(&Header { fin, mask, ..Header::new(opcode, piece.len() as u64) }.encode());
                let start = bytes.len();
                bytes.extend_from_slice(piece);
                mask.unwrap_or(Mask([0; 4])).apply(&mut bytes[start..]);
            }
        }
        Wire { bytes, at: 0 }
    }
}

pub(crate) struct Wire {
    bytes: Vec<u8>,
    at: usize,
}

impl Wire {
    /// The next bytes, at most `max`.
    pub(crate) fn read(&mut self, max: usize) -> &[u8] {
        let start = self.at;
        let end = self.bytes.len().min(start + max);
        self.at = if end == self.bytes.len() { 0 } else { end };
        &self.bytes[start..end]
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = Self::read(self, buffer.len().min(READ));
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

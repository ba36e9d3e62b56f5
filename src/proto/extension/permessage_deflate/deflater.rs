//! Messages become DEFLATE (RFC 7692 section 7.2.1).

use alloc::vec::Vec;
use core::fmt;

use flate2::{Compress, Compression, FlushCompress};

use super::pool::{Engine, Pool};
use super::{Deflate, passed};

/// What ends a flush, and what the receiver adds again at the end of a message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// One direction's compressor.
pub(in crate::proto) struct Deflater {
    /// Made for the first message, from an empty window.
    engine: Option<Compress>,
    level: u8,
    /// 9 to 15.
    window_bits: u8,
    /// Each message starts from an empty window.
    no_context_takeover: bool,
    /// Has the engine between two messages, where they start from an empty window.
    pool: Option<Pool>,
}

impl Deflater {
    pub(in crate::proto) fn new(wishes: &Deflate, (no_context_takeover, window_bits): (bool, u8)) -> Self {
        Self {
            engine: None,
            level: wishes.level.min(9),
            // The matcher looks back at most its window minus 262 bytes: with 9 bits that is 250, which a window of
            // 8 bits holds too. The engine knows no 8.
            window_bits: window_bits.clamp(9, 15),
            no_context_takeover,
            pool: wishes.pool.clone().filter(|_| no_context_takeover),
        }
    }

    /// Appends a piece of a message, compressed; with `end` it is the last one.
    pub(in crate::proto) fn push(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        let engine = self.engine.get_or_insert_with(|| {
            let kept = self.pool.as_ref().and_then(|pool| pool.compressor(self.level, self.window_bits));
            let make = || Compress::new_with_window_bits(Compression::new(self.level.into()), false, self.window_bits);
            kept.unwrap_or_else(make)
        });
        let start = output.len();
        let mut rest = piece;
        loop {
            // Incompressible data grows by 5 bytes in 16 KiB; the flush takes a few more.
            output.reserve(rest.len() / 8 + 64);
            let before = engine.total_in();
            // The engine fails only when it is called out of order.
            let _ = engine.compress_vec(rest, output, FlushCompress::Sync);
            rest = &rest[passed(before, engine.total_in(), rest.len())..];
            // With room left, everything has been flushed.
            if rest.is_empty() && output.len() < output.capacity() {
                break;
            }
        }
        if end {
            if output[start..].ends_with(&TAIL) {
                output.truncate(output.len() - TAIL.len());
            }
            if output.len() == start {
                // RFC 7692 section 7.2.3.6: nothing is sent as the head of an empty block.
                output.push(0x00);
            }
            if self.no_context_takeover {
                engine.reset();
                self.give_back();
            }
        }
    }

    /// A fresh engine.
    fn give_back(&mut self) {
        if let Some(pool) = &self.pool
            && let Some(engine) = self.engine.take()
        {
            pool.keep(Engine::Compressor { engine, level: self.level, window_bits: self.window_bits });
        }
    }

    /// The engine's window: 9 to 15.
    pub(in crate::proto) const fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// A message that was compressed elsewhere, on its own and in this window, takes the place of one of its own: the next
    /// one starts from an empty window.
    pub(in crate::proto) fn passes_deflated(&mut self) {
        if let Some(engine) = &mut self.engine
            && engine.total_in() > 0
        {
            // Its tables are large: not again for each of several such messages.
            engine.reset();
        }
    }

    /// Starts the next message from an empty window, which is always legal, and gives the engine's memory back.
    pub(in crate::proto) fn release(&mut self) {
        self.engine = None;
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("level", &self.level).field("window_bits", &self.window_bits).finish()
    }
}

//! DEFLATE becomes messages, as the bytes arrive (RFC 7692 section 7.2.2).

use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::passed;
use super::pool::{Engine, Pool};

/// What the sender cut off: an empty stored block without its first byte. Behind it, a byte that has to be left over.
const TAIL: [u8; 5] = [0x00, 0x00, 0xff, 0xff, 0x00];

/// An empty stored block.
const EMPTY: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// The largest window: 2^15 bytes.
const WINDOW: usize = 32 << 10;

/// Why a message cannot be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InflateError {
    /// No DEFLATE, or cut off.
    Corrupt,
    /// More than the limit.
    TooLong,
}

/// One direction's decompressor. It takes windows of 15 bits, whatever was agreed: smaller ones are part of them.
pub(crate) struct Inflater {
    /// Made for the first message.
    engine: Option<Inflate>,
    /// Each message starts from an empty window.
    no_context_takeover: bool,
    /// Has engine and history between two messages, where they start from an empty window.
    pool: Option<Pool>,
    /// The last bytes that came out, for what outlives the engine's own window: a final block, a release.
    history: History,
    /// Whether the message in progress has brought a byte.
    begun: bool,
}

impl Inflater {
    pub(crate) fn new(no_context_takeover: bool, pool: Option<Pool>) -> Self {
        let pool = pool.filter(|_| no_context_takeover);
        Self { engine: None, no_context_takeover, pool, history: History::new(), begun: false }
    }

    /// Appends what `piece` inflates to, at most `limit` bytes of it; also where it fails, what comes before.
    pub(crate) fn push(&mut self, piece: &[u8], output: &mut Vec<u8>, limit: u64) -> Result<(), InflateError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.begun = true;
        self.inflate(piece, output, limit)
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// Where it was cut off.
    pub(crate) fn finish(&mut self) -> Result<(), InflateError> {
        // A message without a byte is no DEFLATE; it is taken for an empty one, and its tail would be read as the
        // beginning of the next.
        if !core::mem::take(&mut self.begun) {
            return Ok(());
        }
        let Some(engine) = &mut self.engine else { return Err(InflateError::Corrupt) };
        let status = end(engine).ok_or(InflateError::Corrupt)?;
        if self.no_context_takeover {
            engine.reset(false);
            self.history.clear();
            self.give_back();
        } else if status == Status::StreamEnd {
            engine.reset(false);
            self.history.refill(engine);
        }
        Ok(())
    }

    /// An engine with an empty window.
    fn give_back(&mut self) {
        if let Some(pool) = &self.pool
            && let Some(engine) = self.engine.take()
        {
            pool.keep(Engine::Decompressor(engine, core::mem::replace(&mut self.history, History::new())));
        }
    }

    /// Gives the engine's memory back, between two messages; the window is kept.
    pub(crate) fn release(&mut self) {
        if !self.begun {
            self.engine = None;
            if self.no_context_takeover {
                self.history = History::new();
            }
        }
    }

    fn inflate(&mut self, mut piece: &[u8], output: &mut Vec<u8>, limit: u64) -> Result<(), InflateError> {
        let max_len = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(output.len());
        let Self { engine, history, pool, .. } = self;
        let engine = engine.get_or_insert_with(|| {
            if let Some((engine, kept)) = pool.as_ref().and_then(Pool::decompressor) {
                *history = kept;
                return engine;
            }
            let mut engine = Inflate::new(false, 15);
            history.refill(&mut engine);
            engine
        });
        loop {
            // One byte of room above the limit tells whether it is passed.
            let (at, room) = (output.len(), room(output, piece.len(), max_len.saturating_add(1)));
            output.resize(at + room, 0);
            let before = (engine.total_in(), engine.total_out());
            let status = engine.decompress(piece, &mut output[at..], InflateFlush::SyncFlush);
            let written = passed(before.1, engine.total_out(), room);
            output.truncate(at + written);
            if output.len() > max_len {
                output.truncate(max_len);
                return Err(InflateError::TooLong);
            }
            let status = status.map_err(|_| InflateError::Corrupt)?;
            let consumed = passed(before.0, engine.total_in(), piece.len());
            piece = &piece[consumed..];
            history.push(&output[at..]);
            if status == Status::StreamEnd {
                // A final block ends the stream, not the message (RFC 7692 section 7.2.3.4): a new stream follows,
                // in the same window.
                engine.reset(false);
                history.refill(engine);
            } else if consumed == 0 && written == 0 && !piece.is_empty() {
                return Err(InflateError::Corrupt);
            }
            // A full output may have left something inside.
            if piece.is_empty() && (written < room || status == Status::StreamEnd) {
                return Ok(());
            }
        }
    }
}

/// With which status the data that `engine` had, and what its sender cut off, come to the end of a block, so that the
/// engine stands between two; `None` if they do not.
fn end(engine: &mut Inflate) -> Option<Status> {
    // Neither brings output.
    let mut nothing = [0];
    let mut feed = |bytes: &[u8], flush| {
        let before = (engine.total_in(), engine.total_out());
        let status = engine.decompress(bytes, &mut nothing, flush).ok()?;
        (engine.total_out() == before.1).then(|| (status, passed(before.0, engine.total_in(), bytes.len())))
    };
    // The engine stops at the end of each block. Inside one it would take the byte too many.
    let mut rest = &TAIL[..];
    while rest.len() > 1 {
        match feed(rest, InflateFlush::Block)? {
            (Status::Ok, consumed @ 1..) => rest = &rest[consumed..],
            _ => return None,
        }
    }
    if rest.is_empty() {
        return None;
    }
    match feed(&EMPTY, InflateFlush::SyncFlush)? {
        (Status::Ok, 5) => Some(Status::Ok),
        // RFC 7692 section 7.2.1: the block that was cut off is empty and stored; it may be a final one.
        (Status::StreamEnd, 0) => Some(Status::StreamEnd),
        // A block that ended inside the last byte leaves bits of it, all of them 1: the head of a block that is final,
        // or of no legal type.
        _ => None,
    }
}

/// How many bytes to offer in `output` for what `more` bytes may inflate to, up to `max_len` bytes in all; it has room
/// for them then.
fn room(output: &mut Vec<u8>, more: usize, max_len: usize) -> usize {
    if output.len() == output.capacity() {
        let wanted = output.capacity().max(more.saturating_mul(4)).max(256);
        output.reserve_exact(wanted.min(max_len - output.len()));
    }
    // It is zeroed first, so not all that a long message left.
    (output.capacity() - output.len()).min(max_len - output.len()).min(more.saturating_mul(8).max(4 << 10))
}

/// The last [`WINDOW`] bytes that came out.
///
/// ```text
///   bytes:  | newest | oldest ...      |     once it is full
///                    at            WINDOW
/// ```
pub(super) struct History {
    bytes: Vec<u8>,
    at: usize,
}

impl History {
    const fn new() -> Self {
        Self { bytes: Vec::new(), at: 0 }
    }

    fn push(&mut self, new: &[u8]) {
        let mut new = &new[new.len().saturating_sub(WINDOW)..];
        if self.bytes.len() < WINDOW {
            let (first, rest) = new.split_at(new.len().min(WINDOW - self.bytes.len()));
            let len = self.bytes.len() + first.len();
            if len > self.bytes.capacity() {
                // Twice as much as before, but no more than it can ever take.
                self.bytes.reserve_exact(len.max(2 * self.bytes.capacity()).min(WINDOW) - self.bytes.len());
            }
            self.bytes.extend_from_slice(first);
            new = rest;
        }
        while !new.is_empty() {
            let (first, rest) = new.split_at(new.len().min(WINDOW - self.at));
            self.bytes[self.at..self.at + first.len()].copy_from_slice(first);
            self.at = (self.at + first.len()) % WINDOW;
            new = rest;
        }
    }

    /// Makes it the window of a fresh engine.
    fn refill(&self, engine: &mut Inflate) {
        // A raw stream takes a dictionary at any time, and a second one behind the first.
        for part in [&self.bytes[self.at..], &self.bytes[..self.at]] {
            let _ = engine.set_dictionary(part);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }

    /// Its heap in bytes.
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("no_context_takeover", &self.no_context_takeover).finish_non_exhaustive()
    }
}

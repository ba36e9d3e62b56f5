//! DEFLATE becomes messages, as the bytes arrive (RFC 7692 section 7.2.2).

use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::history::History;
use super::passed;
use super::pool::{Engine, Pool};
use crate::proto::steps;

/// What the sender cut off: an empty stored block without its first byte. Behind it, a byte that has to be left over.
const TAIL: [u8; 5] = [0x00, 0x00, 0xff, 0xff, 0x00];

/// An empty stored block.
const EMPTY: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// After a final block, at most this much input is decoded without the window of what came before it.
const MAX_REPLAY: usize = 1 << 10;

/// The output is zeroed in steps of at most this many bytes.
const MAX_STEP: usize = 64 << 10;

/// Why a message cannot be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto) enum InflateError {
    /// No DEFLATE, or cut off.
    Corrupt,
    /// More than the limit.
    TooLong,
    /// More final blocks than [`Inflater::count_final_block`] allows, or more uses of the window across one than
    /// [`Inflater::restore_window`] allows.
    TooManyFinalBlocks,
}

/// One direction's decompressor. It takes windows of 15 bits, whatever was agreed: smaller ones are part of them.
///
/// The work of a step is bounded by what it consumes or produces. A final block ends the engine's stream, and a new stream
/// begins with an empty window, while RFC 7692 section 7.2.3.4 lets matches reach over it. Restoring the window copies up to
/// 32 KiB, which a block of two bytes must not cost. So it is restored only when a match needs it, or when the new
/// stream is so long that the copy no longer counts; until then, `since_final` keeps the input to start the stream again
/// with. Both are bounded by number for those peers that make every block final and refer to the one before it.
pub(in crate::proto) struct Inflater {
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
    /// The input since the last final block, while the engine's window lacks what came before that block.
    since_final: Option<Vec<u8>>,
    /// Compressed bytes of the message in progress, and the final blocks among them.
    message_in: u64,
    final_blocks: u32,
    /// Compressed bytes of all messages, those up to the last final block, and the matches that needed the window from
    /// before one.
    total_in: u64,
    final_at: u64,
    restorations: u32,
}

impl Inflater {
    pub(in crate::proto) fn new(no_context_takeover: bool, pool: Option<Pool>) -> Self {
        let pool = pool.filter(|_| no_context_takeover);
        Self {
            engine: None,
            no_context_takeover,
            pool,
            history: History::new(),
            begun: false,
            since_final: None,
            message_in: 0,
            final_blocks: 0,
            total_in: 0,
            final_at: 0,
            restorations: 0,
        }
    }

    /// Appends what `piece` inflates to, at most `limit` bytes of it; also where it fails, what comes before.
    pub(in crate::proto) fn push(
        &mut self,
        piece: &[u8],
        output: &mut Vec<u8>,
        limit: u64,
    ) -> Result<(), InflateError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let mut filled = output.len();
        let max_len = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(filled);
        let result = self.inflate(piece, output, &mut filled, max_len);
        output.truncate(filled.min(max_len));
        result
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// Where it was cut off.
    pub(in crate::proto) fn finish(&mut self) -> Result<(), InflateError> {
        (self.message_in, self.final_blocks) = (0, 0);
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
            self.since_final = None;
            self.give_back();
        } else if status == Status::StreamEnd {
            self.begin_stream();
        } else if let Some(seen) = &mut self.since_final {
            seen.extend_from_slice(&TAIL[..4]);
            seen.extend_from_slice(&EMPTY);
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
    pub(in crate::proto) fn release(&mut self) {
        if !self.begun {
            self.engine = None;
            // The next engine begins with the whole window.
            self.since_final = None;
            if self.no_context_takeover {
                self.history = History::new();
            }
        }
    }

    /// Everything before `filled` in `output` is done; what is after it is zeros.
    fn inflate(
        &mut self,
        mut piece: &[u8],
        output: &mut Vec<u8>,
        filled: &mut usize,
        max_len: usize,
    ) -> Result<(), InflateError> {
        if self.engine.is_none() {
            self.engine = Some(self.make_engine());
        }
        let (start, whole) = (*filled, piece.len());
        loop {
            let offered = match &self.since_final {
                Some(seen) if seen.len() >= MAX_REPLAY => {
                    self.replay()?;
                    piece.len()
                }
                Some(seen) => piece.len().min(MAX_REPLAY - seen.len()),
                None => piece.len(),
            };
            // One byte of capacity above the limit shows whether it is passed.
            if *filled == output.len() {
                grow(output, (whole, *filled - start), max_len.saturating_add(1));
            }
            let (at, capacity) = (*filled, output.len() - *filled);
            let Some(engine) = &mut self.engine else { return Err(InflateError::Corrupt) };
            let before = (engine.total_in(), engine.total_out());
            let status = engine.decompress(&piece[..offered], &mut output[at..], InflateFlush::SyncFlush);
            let written = passed(before.1, engine.total_out(), capacity);
            let consumed = passed(before.0, engine.total_in(), offered);
            steps::count(1 + consumed + written);
            if at + written > max_len {
                *filled = at + written;
                return Err(InflateError::TooLong);
            }
            let Ok(status) = status else {
                if self.since_final.is_some() {
                    // Perhaps only a match that reaches over the final block: once more, with the window.
                    self.restore_window(before.1)?;
                    continue;
                }
                *filled = at + written;
                return Err(InflateError::Corrupt);
            };
            *filled = at + written;
            if let Some(seen) = &mut self.since_final {
                seen.extend_from_slice(&piece[..consumed]);
            }
            self.history.push(&output[at..*filled]);
            piece = &piece[consumed..];
            self.message_in += consumed as u64;
            self.total_in += consumed as u64;
            if status == Status::StreamEnd {
                // A final block ends the stream, not the message (RFC 7692 section 7.2.3.4): a new stream follows,
                // in the same window.
                self.count_final_block()?;
                self.begin_stream();
            } else if consumed == 0 && written == 0 && !piece.is_empty() {
                return Err(InflateError::Corrupt);
            }
            // A full output may have left something inside.
            if piece.is_empty() && (written < capacity || status == Status::StreamEnd) {
                return Ok(());
            }
        }
    }

    fn make_engine(&mut self) -> Inflate {
        if let Some((engine, history)) = self.pool.as_ref().and_then(Pool::decompressor) {
            self.history = history;
            return engine;
        }
        let mut engine = Inflate::new(false, 15);
        self.history.refill(&mut engine, 0);
        engine
    }

    /// A final block costs a call and a reset of the engine: 8 in each message, and one more for every 8 bytes.
    fn count_final_block(&mut self) -> Result<(), InflateError> {
        self.final_blocks = self.final_blocks.saturating_add(1);
        if u64::from(self.final_blocks) > 8 + self.message_in / 8 {
            Err(InflateError::TooManyFinalBlocks)
        } else {
            Ok(())
        }
    }

    /// After a final block: a new stream, whose window lacks what came before.
    fn begin_stream(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.reset(false);
        }
        self.final_at = self.total_in;
        if !self.history.bytes.is_empty() {
            self.since_final.get_or_insert_default().clear();
        }
    }

    /// For a match that reaches over the last final block: 64 on each connection, and one more for every 512 bytes. What
    /// peers send that make every block final does not refer to earlier ones.
    fn restore_window(&mut self, produced: u64) -> Result<(), InflateError> {
        self.restorations = self.restorations.saturating_add(1);
        if u64::from(self.restorations) > 64 + self.final_at / 512 {
            return Err(InflateError::TooManyFinalBlocks);
        }
        self.replay_to(produced)
    }

    fn replay(&mut self) -> Result<(), InflateError> {
        let produced = self.engine.as_ref().map_or(0, Inflate::total_out);
        self.replay_to(produced)
    }

    /// Starts the stream since the last final block again, now with the window from before it. The `produced` bytes that
    /// came out of it are in the history, and not appended again.
    fn replay_to(&mut self, produced: u64) -> Result<(), InflateError> {
        let (Some(engine), Some(seen)) = (&mut self.engine, self.since_final.take()) else { return Ok(()) };
        engine.reset(false);
        self.history.refill(engine, usize::try_from(produced).unwrap_or(usize::MAX));
        let mut scratch = [0; 1 << 10];
        let mut seen = &seen[..];
        loop {
            let before = (engine.total_in(), engine.total_out());
            let capacity = usize::try_from(produced - before.1).unwrap_or(usize::MAX).min(scratch.len());
            if seen.is_empty() && capacity == 0 {
                return Ok(());
            }
            let status = engine.decompress(seen, &mut scratch[..capacity], InflateFlush::SyncFlush);
            let consumed = passed(before.0, engine.total_in(), seen.len());
            let written = passed(before.1, engine.total_out(), capacity);
            steps::count(1 + consumed + written);
            seen = &seen[consumed..];
            if !matches!(status, Ok(Status::Ok | Status::BufError)) || consumed + written == 0 {
                return Err(InflateError::Corrupt);
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

/// Appends zeros to a full `output`, for a piece of so many bytes of which so many came out, up to `max_len` in all: never
/// more than a fixed multiple of both.
fn grow(output: &mut Vec<u8>, (piece, produced): (usize, usize), max_len: usize) {
    if output.len() == output.capacity() {
        let wanted = output.capacity().max(piece.saturating_mul(4)).max(256);
        output.reserve_exact(wanted.min(max_len - output.len()));
    }
    let step = piece.saturating_mul(4).max(produced).clamp(64, MAX_STEP);
    let more = (output.capacity() - output.len()).min(max_len - output.len()).min(step);
    steps::count(more);
    output.resize(output.len() + more, 0);
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("no_context_takeover", &self.no_context_takeover).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Inflates one message, in pieces of this size; the result, what came out, and the steps of work.
    fn inflate(inflater: &mut Inflater, payload: &[u8], piece: usize) -> (Result<(), InflateError>, Vec<u8>, usize) {
        inflate_into(inflater, payload, piece, Vec::new())
    }

    fn inflate_into(
        inflater: &mut Inflater,
        payload: &[u8],
        piece: usize,
        mut output: Vec<u8>,
    ) -> (Result<(), InflateError>, Vec<u8>, usize) {
        let mut result = Ok(());
        let steps = steps::of(|| {
            let mut pieces = payload.chunks(piece);
            result = pieces.try_for_each(|piece| inflater.push(piece, &mut output, 64 << 20));
            result = result.and_then(|()| inflater.finish());
        });
        (result, output, steps)
    }

    /// 256 KiB of stored blocks, so that the window is full.
    fn filled() -> Inflater {
        let mut inflater = Inflater::new(false, None);
        let mut payload = Vec::new();
        for n in 0..8_u8 {
            payload.extend_from_slice(&[0x00, 0x00, 0x80, 0xff, 0x7f]);
            payload.extend((0..32_u32 << 10).map(|at| (at % 251) as u8 ^ n));
        }
        payload.push(0x00);
        assert_eq!(inflate(&mut inflater, &payload, 64 << 10).0, Ok(()));
        inflater
    }

    // HOSTILE: 36
    #[test]
    fn work_is_linear_in_what_goes_in_and_comes_out() {
        const LEN: usize = 128 << 10;
        let patterns: [(&[u8], bool); 7] = [
            (b"\x03\x00", true),                                                 // a final block, fixed
            (b"\x01\x00\x00\xff\xff", true),                                     // a final block, stored
            (b"\x01\x01\x00\xfe\xff\x41\x03\x00", true),                         // a byte, and two final blocks
            (b"\x00\x00\x00\xff\xff", false),                                    // empty stored blocks
            (b"\x02\x08\x20\x80\x00", false),                                    // empty fixed blocks: 4 of 10 bits
            (b"\x03\x02\x01\x00\x00\x00\xff\xff\x00\x01\x00\xfe\xff\x41", true), // a match to before the final block
            (b"\x00\x04\x00\xfb\xff\x41\x41\x41\x41", false),                    // a few bytes a block
        ];
        for (pattern, refused) in patterns {
            let payload = pattern.repeat(LEN / pattern.len());
            for piece in [1, 2, 7, 512, 64 << 10, LEN] {
                // With a fresh buffer, and with the one that a message of 32 MiB left.
                for (mut inflater, capacity) in
                    [(Inflater::new(false, None), 0), (Inflater::new(true, None), 0), (filled(), 32 << 20)]
                {
                    let (result, output, steps) =
                        inflate_into(&mut inflater, &payload, piece, Vec::with_capacity(capacity));
                    let work = payload.len() + output.len();
                    // One byte a piece costs a call each, and 64 bytes of zeroed output.
                    let factor = if piece < 16 { 70 } else { 24 };
                    assert!(steps <= factor * work, "{steps} steps for {work} bytes of {pattern:x?} in {piece}");
                    if refused {
                        assert!(result.is_err(), "{pattern:x?}");
                    }
                }
            }
        }
    }

    // HOSTILE: 36
    #[test]
    fn messages_that_end_with_a_final_block_are_cheap_while_none_refers_to_the_one_before() {
        let mut inflater = filled();
        let mut work = (0, 0);
        for _ in 0..20_000 {
            let payload = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
            let (result, output, steps) = inflate(&mut inflater, payload, 64);
            assert_eq!((result, &output[..]), (Ok(()), &b"Hello"[..]));
            work = (work.0 + steps, work.1 + payload.len() + output.len());
        }
        assert!(work.0 <= 64 * work.1, "{work:?}");
    }

    // HOSTILE: 36
    #[test]
    fn matches_over_final_blocks_are_decoded_up_to_a_number_that_grows_with_the_bytes() {
        let mut inflater = filled();
        assert_eq!(inflate(&mut inflater, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 64).1, b"Hello");
        let mut allowed = 0;
        // A match to the message before, and then a final block.
        let result = loop {
            let (result, output, _) = inflate(&mut inflater, b"\xf3\x00\x11\x00\x00", 64);
            if result.is_err() {
                break result;
            }
            assert_eq!(output, b"Hello");
            allowed += 1;
        };
        assert_eq!(result, Err(InflateError::TooManyFinalBlocks));
        // 256 KiB went before, and what these messages bring themselves.
        let expected = 64 + (256 << 10) / 512;
        assert!((expected..expected + 10).contains(&allowed), "{allowed}");
    }

    /// What a naive decoder would say, at every cut: a stream after a final block is started again with its window.
    #[test]
    fn a_match_over_a_final_block_is_found_wherever_it_stands() {
        for stored in [0, 1, 5, 600, 1_000, 1_019, 1_024, 1_030, 3_000] {
            let mut payload = b"\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec();
            let len = u16::try_from(stored).expect("it is short");
            let block = vec![b'x'; stored];
            payload.push(0x00);
            payload.extend_from_slice(&len.to_le_bytes());
            payload.extend_from_slice(&(!len).to_le_bytes());
            payload.extend_from_slice(&block);
            // One more final block, and a match of distance 5: within what is stored, or beyond it.
            payload.extend_from_slice(b"\x03\x00\xf2\x00\x11\x00\x00");
            let expected = [&b"Hello"[..], &block, b""].concat();
            let text = [&expected[..], &matched(&expected)].concat();
            for piece in [1, 2, 3, 5, 64, 1_000, 4_096] {
                let mut inflater = Inflater::new(false, None);
                let (result, output, _) = inflate(&mut inflater, &payload, piece);
                assert_eq!((result, output.len(), output), (Ok(()), text.len(), text.clone()), "{stored} by {piece}");
            }
        }
    }

    /// `f2 00 11 00 00`: the literal `H`, and a match of 4 bytes at distance 5.
    fn matched(before: &[u8]) -> Vec<u8> {
        let mut all = before.to_vec();
        all.push(b'H');
        for _ in 0..4 {
            all.push(all[all.len() - 5]);
        }
        all[before.len()..].to_vec()
    }
}

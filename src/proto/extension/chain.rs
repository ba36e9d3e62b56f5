//! Several extensions at once, or foreign ones: each unit passes through one after the other.
//!
//! ```text
//!   message ──> messages ──> split ──> frames ──> wire        in the order of the server's answer
//!   message <── messages <──────────── frames <── wire        in reverse (RFC 6455 section 9.1)
//! ```

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::custom::{Decode, Encode, IncomingUnit, OutgoingUnit, Unit};
use crate::proto::config::Config;
use crate::proto::error::{Exceeded, ProtocolError};
use crate::proto::frame::{Header, OpCode, Rsv};

/// The sending side.
#[derive(Debug, Default)]
pub(in crate::proto) struct EncoderChain {
    /// In order of application: those of messages, then those of frames.
    stages: Vec<Stage<dyn Encode>>,
    max_frame: Option<usize>,
    /// Whether the message in progress was asked for without encoding.
    uncompressed: bool,
}

/// One extension.
#[derive(Debug)]
struct Stage<C: ?Sized> {
    unit: Unit,
    /// The bits that are its own.
    rsv: Rsv,
    /// Whether it codes the message, or the frame, in progress.
    active: bool,
    /// Bytes of the message in progress that came out of a decoder.
    length: u64,
    coder: Box<C>,
}

impl<C: ?Sized> Stage<C> {
    fn new(unit: Unit, rsv: Rsv, coder: Box<C>) -> Self {
        Self { unit, rsv, active: false, length: 0, coder }
    }
}

impl EncoderChain {
    pub(in crate::proto) fn push(&mut self, unit: Unit, rsv: Rsv, coder: Box<dyn Encode>) {
        self.stages.push(Stage::new(unit, rsv, coder));
    }

    pub(in crate::proto) fn limit_frames(&mut self, len: Option<usize>) {
        self.max_frame = [self.max_frame, len].into_iter().flatten().min();
    }

    /// The longest frame that goes out, before it is encoded by itself, where a caller has a limit of its own too.
    pub(in crate::proto) fn max_frame(&self, own: Option<usize>) -> usize {
        [self.max_frame, own].into_iter().flatten().min().map_or(usize::MAX, |len| len.max(1))
    }

    /// A message begins; the bits of its first frame.
    pub(in crate::proto) fn begin(&mut self, opcode: OpCode, len: Option<usize>, uncompressed: bool) -> Rsv {
        self.uncompressed = uncompressed;
        self.begin_unit(Unit::Message, OutgoingUnit { opcode, fin: true, len, uncompressed })
    }

    /// What a piece of the message becomes.
    pub(in crate::proto) fn encode<'p>(&mut self, piece: &'p [u8], end: bool) -> Cow<'p, [u8]> {
        self.encode_unit(Unit::Message, piece, end)
    }

    /// A frame's bits and payload.
    pub(in crate::proto) fn frame<'p>(&mut self, opcode: OpCode, fin: bool, payload: &'p [u8]) -> (Rsv, Cow<'p, [u8]>) {
        let frame = OutgoingUnit { opcode, fin, len: Some(payload.len()), uncompressed: self.uncompressed };
        (self.begin_unit(Unit::Frame, frame), self.encode_unit(Unit::Frame, payload, true))
    }

    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        for stage in &mut self.stages {
            stage.coder.release();
        }
    }

    fn begin_unit(&mut self, unit: Unit, outgoing: OutgoingUnit) -> Rsv {
        self.stages.iter_mut().filter(|stage| stage.unit == unit).fold(Rsv::NONE, |bits, stage| {
            let own = stage.coder.begin(outgoing);
            stage.active = own.is_some();
            bits | own.map_or(Rsv::NONE, |own| own & stage.rsv)
        })
    }

    fn encode_unit<'p>(&mut self, unit: Unit, piece: &'p [u8], end: bool) -> Cow<'p, [u8]> {
        let mut data = Cow::Borrowed(piece);
        for stage in self.stages.iter_mut().filter(|stage| stage.unit == unit && stage.active) {
            let mut output = Vec::new();
            stage.coder.encode(&data, end, &mut output);
            data = Cow::Owned(output);
        }
        data
    }
}

/// The receiving side.
#[derive(Debug, Default)]
pub(in crate::proto) struct DecoderChain {
    /// In order of application: those of frames, then those of messages.
    stages: Vec<Stage<dyn Decode>>,
    /// What may pass between two stages in one message, in bytes.
    max_between: u64,
}

/// What a piece ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct Ends {
    pub(in crate::proto) frame: bool,
    pub(in crate::proto) message: bool,
}

impl DecoderChain {
    /// So much goes through at once: what it becomes is held between two stages.
    const PIECE: usize = 1 << 10;

    /// Before all others: the one that encodes last decodes first.
    pub(in crate::proto) fn push_front(&mut self, unit: Unit, rsv: Rsv, coder: Box<dyn Decode>) {
        self.stages.insert(0, Stage::new(unit, rsv, coder));
    }

    /// The bits that all frames may have, and with `first` those of a message's first frame.
    pub(in crate::proto) fn rsv(&self, first: bool) -> Rsv {
        let stages = self.stages.iter().filter(|stage| first || stage.unit == Unit::Frame);
        stages.fold(Rsv::NONE, |bits, stage| bits | stage.rsv)
    }

    /// A frame begins, and with it perhaps a message of at most `limit` bytes.
    pub(in crate::proto) fn begin(&mut self, header: &Header, limit: u64) -> Result<(), ProtocolError> {
        let first = header.opcode != OpCode::Continuation;
        if first {
            self.max_between = Config::max_encoded(limit);
        }
        for stage in self.stages.iter_mut().filter(|stage| first || stage.unit == Unit::Frame) {
            if first {
                stage.length = 0;
            }
            let Header { opcode, fin, rsv, .. } = *header;
            stage.active = stage.coder.begin(IncomingUnit { opcode, fin, rsv: rsv & stage.rsv })?;
        }
        Ok(())
    }

    /// Appends what a piece of a frame decodes to, at most `limit` bytes; also where it fails, what comes before.
    pub(in crate::proto) fn decode(
        &mut self,
        mut piece: &[u8],
        ends: Ends,
        output: &mut Vec<u8>,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        let start = output.len();
        loop {
            let (now, rest) = piece.split_at(piece.len().min(Self::PIECE));
            let produced = output.len().saturating_sub(start) as u64;
            let (last, remaining) = (rest.is_empty(), limit.saturating_sub(produced));
            let ends = Ends { frame: ends.frame && last, message: ends.message && last };
            self.decode_piece(now, ends, output, remaining)?;
            if last {
                return Ok(());
            }
            piece = rest;
        }
    }

    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        for stage in &mut self.stages {
            stage.coder.release();
        }
    }

    fn decode_piece(
        &mut self,
        piece: &[u8],
        ends: Ends,
        output: &mut Vec<u8>,
        remaining: u64,
    ) -> Result<(), ProtocolError> {
        let mut data = Cow::Borrowed(piece);
        let mut result = Ok(());
        let mut stages = self.stages.iter_mut().filter(|stage| stage.active).peekable();
        while let Some(stage) = stages.next() {
            let last = stages.peek().is_none();
            let limit = if last { remaining } else { self.max_between.saturating_sub(stage.length) };
            let end = match stage.unit {
                Unit::Frame => ends.frame,
                Unit::Message => ends.message,
            };
            let mut between = Vec::new();
            // The last one, of which much may come, writes where it is to be.
            let decoded = if last {
                grow(output, data.len(), remaining);
                &mut *output
            } else {
                &mut between
            };
            let start = decoded.len();
            // What came before an error goes on, without an end: an error further on is one of earlier bytes, and
            // would have been met first had they arrived alone.
            let this = stage.coder.decode(&data, end && result.is_ok(), limit, decoded);
            result = cut(decoded, start, limit).and(this).and(result);
            // A decoder may only append.
            let Some(appended) = decoded.len().checked_sub(start) else {
                return Err(ProtocolError::InvalidExtensionData);
            };
            stage.length = stage.length.saturating_add(appended as u64);
            if last {
                return result;
            }
            data = Cow::Owned(between);
        }
        // Nobody has looked at the length of what passes as it is.
        let fits = len(remaining).min(data.len());
        grow(output, fits, remaining);
        output.extend_from_slice(&data[..fits]);
        if fits < data.len() { Err(too_long(remaining)) } else { Ok(()) }
    }
}

/// Has capacity for so much more: grows by doubling, but never beyond what it holds, `remaining` and that.
pub(in crate::proto) fn grow(output: &mut Vec<u8>, more: usize, remaining: u64) {
    if output.capacity() - output.len() < more {
        output.reserve_exact(output.capacity().min(len(remaining)).max(more));
    }
}

/// Holds a decoder to its limit: what it appended behind `start`.
fn cut(decoded: &mut Vec<u8>, start: usize, limit: u64) -> Result<(), ProtocolError> {
    if decoded.len().saturating_sub(start) as u64 <= limit {
        return Ok(());
    }
    decoded.truncate(start.saturating_add(len(limit)));
    Err(too_long(limit))
}

fn too_long(limit: u64) -> ProtocolError {
    ProtocolError::MessageTooLong(Exceeded::new(limit.saturating_add(1), limit))
}

fn len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

//! Payloads: of a message that lies in the input, of fragments, of what an extension encoded.

use alloc::vec::Vec;

use super::{Decoded, Inbound, InputRange, Location, State, Step, unmask};
use crate::proto::error::{Exceeded, ProtocolError};
use crate::proto::extension::{Ends, grow};
use crate::proto::frame::{Header, OpCode};
use crate::proto::mask::Mask;
use crate::proto::message::Delivery;
use crate::proto::utf8::{self, InvalidUtf8, Validator};

impl<D: Delivery> Inbound<D> {
    /// A whole message in one frame: unmasks what has arrived of it where it lies.
    ///
    /// ```text
    ///   at        start       seen           have             len
    ///   |  header | unmasked  | unmasked now | not here yet   |
    /// ```
    pub(super) fn in_place(
        &mut self,
        header: Header,
        size: usize,
        input: &mut [u8],
        at: &mut usize,
        owned: bool,
    ) -> Result<Step, ProtocolError> {
        let text = header.opcode == OpCode::Text;
        let start = *at + size;
        let have = usize::try_from(header.len).unwrap_or(usize::MAX).min(input.len() - start);
        // A caller that changed its input may have less of it than before.
        let (seen, owned) = match self.state {
            State::InPlace { seen, owned: before } => (seen.min(have), owned && (before || seen == 0)),
            _ => (0, owned),
        };
        if seen == 0 {
            self.utf8 = Validator::new();
        }
        let new = &mut input[start + seen..start + have];
        unmask(header.mask.map(|mask| mask.skip(seen as u64)), new);
        if text {
            self.utf8.push(new)?;
        }
        if (have as u64) < header.len {
            self.activity.progress |= have > seen || !self.is_message_in_progress();
            self.state = State::InPlace { seen: have, owned };
            return Ok(Step::NeedsInput);
        }
        // What was validated in an earlier call may be something else by now.
        if text && seen > 0 && !owned {
            utf8::check(&input[start..start + have]).ok_or(InvalidUtf8)?;
        }
        *at = start + have;
        self.end_message()?;
        Ok(Step::Decoded(Decoded::Data { text, end: true, location: Location::Input(InputRange { start, len: have }) }))
    }

    /// Inside a frame whose header is consumed: takes what has arrived of its payload.
    pub(super) fn payload(
        &mut self,
        fin: bool,
        mask: Option<Mask>,
        remaining: u64,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        let mut have = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len() - *at);
        if have == 0 && remaining > 0 {
            return Ok(Step::NeedsInput);
        }
        if self.encoded {
            return self.encoded_payload(fin, mask, remaining, have, input, at);
        }
        let incomplete = self.utf8.incomplete().len();
        if !D::WHOLE && incomplete > 0 {
            // Only so much that the character in progress is completed.
            have = have.min(utf8::width(self.utf8.incomplete()[0]) - incomplete);
            self.buffer.clear();
            self.buffer.extend_from_slice(self.utf8.incomplete());
        }
        let mut span = InputRange { start: *at, len: have };
        let piece = &mut input[span.start..span.start + have];
        *at += have;
        self.activity.progress |= have > 0;
        let location = if D::WHOLE {
            let remaining = self.max_message(false).saturating_sub(self.buffer.len() as u64);
            grow(&mut self.buffer, piece.len(), remaining);
            append_unmasked(mask, piece, &mut self.buffer);
            if self.text {
                let new = self.buffer.len() - have;
                self.utf8.push(&self.buffer[new..])?;
            }
            Location::Buffer { len: self.buffer.len() }
        } else {
            unmask(mask, piece);
            if self.text {
                self.utf8.push(piece)?;
            }
            if incomplete > 0 {
                self.buffer.extend_from_slice(piece);
                Location::Buffer { len: if self.utf8.incomplete().is_empty() { incomplete + have } else { 0 } }
            } else {
                span.len -= self.utf8.incomplete().len();
                Location::Input(span)
            }
        };
        self.payload_taken(fin, mask, remaining, have)?;
        Ok(self.found(location))
    }

    /// Likewise where an extension has encoded it.
    fn encoded_payload(
        &mut self,
        fin: bool,
        mask: Option<Mask>,
        remaining: u64,
        have: usize,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        // A piece that is handed out alone may not become large: DEFLATE makes 1,032 bytes of one.
        let have = if D::WHOLE { have } else { have.min(512) };
        let piece = &mut input[*at..*at + have];
        *at += have;
        unmask(mask, piece);
        if !D::WHOLE {
            self.buffer.clear();
            self.buffer.extend_from_slice(self.utf8.incomplete());
        }
        let start = self.buffer.len();
        let frame = remaining == have as u64;
        let limit = self.remaining_length();
        let decoded = self.decoder.push(piece, Ends { frame, message: fin && frame }, &mut self.buffer, limit);
        // An extension that is not of this crate may have changed what was there, and even cut it off.
        let Some(new) = self.buffer.get(start..) else { return Err(ProtocolError::InvalidExtensionData) };
        self.length += new.len() as u64;
        self.activity.progress |= have > 0;
        if self.text {
            self.utf8.push(new)?;
        }
        // After the text before it, so that the error does not depend on how the bytes were cut.
        decoded.map_err(|error| match error {
            // A decoder knows what is left of the limit, and not the limit.
            ProtocolError::MessageTooLong(_) => {
                let limit = self.max_message(true);
                ProtocolError::MessageTooLong(Exceeded::new(limit.saturating_add(1), limit))
            }
            error => error,
        })?;
        self.payload_taken(fin, mask, remaining, have)?;
        let len = self.buffer.len().saturating_sub(self.utf8.incomplete().len());
        let step = self.found(Location::Buffer { len });
        if self.text && self.decoder.is_chain() && matches!(step, Step::Decoded(_)) {
            utf8::check(&self.buffer[..len]).ok_or(InvalidUtf8)?;
        }
        Ok(step)
    }

    /// `have` bytes of the frame's payload have been consumed.
    fn payload_taken(
        &mut self,
        fin: bool,
        mask: Option<Mask>,
        remaining: u64,
        have: usize,
    ) -> Result<(), ProtocolError> {
        let remaining = remaining - have as u64;
        if fin && remaining == 0 {
            return self.end_message();
        }
        self.state = if remaining == 0 {
            State::Between
        } else {
            State::Payload { fin, mask: mask.map(|mask| mask.skip(have as u64)), remaining }
        };
        Ok(())
    }

    /// What to hand out after a piece: the message once it is whole, or the piece if there is anything in it.
    fn found(&mut self, location: Location) -> Step {
        let end = matches!(self.state, State::Idle);
        let len = match location {
            Location::Input(span) => span.len,
            Location::Buffer { len } => len,
        };
        if end || (!D::WHOLE && len > 0) {
            self.handed_out = !end;
            Step::Decoded(Decoded::Data { text: self.text, end, location })
        } else {
            Step::Again
        }
    }

    fn end_message(&mut self) -> Result<(), ProtocolError> {
        // RFC 6455 section 8.1: the message as a whole is UTF-8, so no character may be cut off by its end.
        if !self.utf8.incomplete().is_empty() {
            return Err(ProtocolError::InvalidUtf8);
        }
        self.state = State::Idle;
        self.encoded = false;
        self.length = 0;
        self.fragments = 0;
        self.empty_fragments = 0;
        self.activity.progress = false;
        Ok(())
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

fn append_unmasked(mask: Option<Mask>, piece: &[u8], buffer: &mut Vec<u8>) {
    match mask {
        Some(mask) => mask.append_vec(piece, buffer),
        None => buffer.extend_from_slice(piece),
    }
}

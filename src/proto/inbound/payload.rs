//! Payloads: of a message that lies in the input, of fragments, of what an extension encoded.

use alloc::vec::Vec;

use super::{Found, Inbound, Place, Span, State, Step, unmask};
use crate::proto::error::ProtocolError;
use crate::proto::extension::Ends;
use crate::proto::frame::{Header, OpCode};
use crate::proto::mask::Mask;
use crate::proto::message::Delivery;
use crate::proto::utf8::{self, InvalidUtf8};

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
    ) -> Result<Step, ProtocolError> {
        let text = header.opcode == OpCode::Text;
        let start = *at + size;
        let seen = if let State::InPlace { seen } = self.state { seen } else { 0 };
        let have = usize::try_from(header.len).unwrap_or(usize::MAX).min(input.len() - start);
        let new = &mut input[start + seen..start + have];
        unmask(header.mask.map(|mask| mask.skip(seen as u64)), new);
        if text {
            self.utf8.push(new)?;
        }
        if (have as u64) < header.len {
            self.activity.progress |= have > seen || !self.is_message_in_progress();
            self.state = State::InPlace { seen: have };
            return Ok(Step::NeedsInput);
        }
        *at = start + have;
        self.end_message()?;
        Ok(Step::Found(Found::Data { text, end: true, place: Place::Input(Span { start, len: have }) }))
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
            self.character[..incomplete].copy_from_slice(self.utf8.incomplete());
        }
        let mut span = Span { start: *at, len: have };
        let piece = &mut input[span.start..span.start + have];
        *at += have;
        self.activity.progress |= have > 0;
        let place = if D::WHOLE {
            append_unmasked(mask, piece, &mut self.buffer);
            if self.text {
                let new = self.buffer.len() - have;
                self.utf8.push(&self.buffer[new..])?;
            }
            Place::Buffer { len: self.buffer.len() }
        } else {
            unmask(mask, piece);
            if self.text {
                self.utf8.push(piece)?;
            }
            if incomplete > 0 {
                let whole = incomplete + have;
                self.character[incomplete..whole].copy_from_slice(piece);
                Place::Character { len: if self.utf8.incomplete().is_empty() { whole } else { 0 } }
            } else {
                span.len -= self.utf8.incomplete().len();
                Place::Input(span)
            }
        };
        self.payload_taken(fin, mask, remaining, have)?;
        Ok(self.found(place))
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
        let limit = self.room();
        let decoded = self.decoder.push(piece, Ends { frame, message: fin && frame }, &mut self.buffer, limit);
        let new = &self.buffer[start..];
        self.length += new.len() as u64;
        self.activity.progress |= have > 0;
        if self.text {
            self.utf8.push(new)?;
        }
        // After the text before it, so that the error does not depend on how the bytes were cut.
        decoded?;
        self.payload_taken(fin, mask, remaining, have)?;
        Ok(self.found(Place::Buffer { len: self.buffer.len() - self.utf8.incomplete().len() }))
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
    fn found(&mut self, place: Place) -> Step {
        let end = matches!(self.state, State::Idle);
        let len = match place {
            Place::Input(span) => span.len,
            Place::Character { len } | Place::Buffer { len } => len,
        };
        if end || (!D::WHOLE && len > 0) {
            self.handed_out = !end;
            Step::Found(Found::Data { text: self.text, end, place })
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

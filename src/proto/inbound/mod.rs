//! The receiving machine: the peer's bytes become events (RFC 6455 sections 5 and 6.2).
//!
//! It knows nothing of the sending side: who answers a Ping is the business of `link`.
//!
//! ```text
//!            whole message, all bytes there
//!              +------+
//!              v      |            FIN = 0, or Chunks                all payload seen, FIN = 0
//!   start --> Idle ---+------------------------------> Payload --------------------------> Between
//!              | ^  all payload seen                    |   ^                                 |
//!              v |                                      |   +---------------------------------+
//!             InPlace (message in one frame,            |              continuation
//!                      some payload missing)            v
//!                                                      Idle   (all payload seen, FIN = 1)
//!
//!   a Close leads from any of them to Closed, a broken rule to Failed: both discard all further input.
//! ```
//!
//! `mod` checks frames, `payload` processes what they carry, `decoded` lends it.
//!
//! A message that came in one frame is unmasked where it lies in the input, piece by piece as it arrives.
//! Fragments are moved, unmasked, into a buffer of the machine's own, which grows with the bytes received.

mod decoded;
mod payload;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::proto::close::Close;
use crate::proto::config::Config;
use crate::proto::error::{Exceeded, ProtocolError};
use crate::proto::extension::Agreement;
use crate::proto::extension::coding::Decoder;
use crate::proto::frame::{Header, HeaderPrefix, OpCode, Rsv};
use crate::proto::mask::Mask;
use crate::proto::message::{Delivery, Event, Messages};
use crate::proto::role::Role;
use crate::proto::utf8::{self, Validator};

pub use decoded::Cursor;
pub(in crate::proto) use decoded::{Decoded, InputRange, Location};

/// The receiving machine.
///
/// ```
/// use std::sync::Arc;
/// use bowsprit::{Config, Cursor, Event, Inbound, Messages, Role};
/// use bytes::BytesMut;
///
/// let mut inbound = Inbound::new(Role::Server, Messages, Arc::new(Config::default()));
/// let mut input = BytesMut::from(&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89"[..]);
/// let mut cursor = Cursor::new(&mut input);
/// assert_eq!(inbound.next(&mut cursor)?, Some(Event::Data("Hello".into())));
/// assert_eq!(inbound.next(&mut cursor)?, None); // needs more bytes
/// drop(cursor);
/// assert_eq!(&input[..], b"\x89"); // the beginning of the next frame stays
/// # Ok::<(), bowsprit::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Inbound<D = Messages> {
    config: Arc<Config>,
    delivery: D,
    role: Role,
    state: State,
    /// The kind of the message in progress; nothing while `state` is `Idle`.
    text: bool,
    /// Whether the message in progress is encoded by an extension.
    encoded: bool,
    /// Whether a piece of the message in progress has been handed out.
    handed_out: bool,
    /// Bytes of the message in progress: those that its frames have announced or, where it is encoded, those that
    /// came out.
    length: u64,
    fragments: u32,
    /// Empty fragments in a row.
    empty_fragments: u16,
    utf8: Validator,
    /// The message in progress, or the one that was lent last; in pieces, a character that came in two of them.
    buffer: Vec<u8>,
    activity: Activity,
    decoder: Decoder,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the start of a frame, no message in progress.
    Idle,
    /// A whole message whose frame, header included, still lies in the input: `seen` bytes of its payload are
    /// unmasked, and validated if they are text. `owned`: each time nobody else could change them afterwards.
    InPlace { seen: usize, owned: bool },
    /// Inside a frame whose header is consumed.
    Payload { fin: bool, mask: Option<Mask>, remaining: u64 },
    /// At the start of a frame, between two fragments of a message.
    Between,
    /// A Close has been received.
    Closed,
    /// The peer broke a rule.
    Failed(ProtocolError),
}

/// What arrived since the last look at the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::proto) struct Activity {
    /// Any byte at all.
    pub(in crate::proto) received: bool,
    /// A payload byte of a message that is not complete.
    pub(in crate::proto) progress: bool,
}

/// The state of the receiving machine, as far as deadlines depend on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct InboundStatus {
    pub(in crate::proto) activity: Activity,
    pub(in crate::proto) message_in_progress: bool,
}

impl<D: Delivery> Inbound<D> {
    /// A machine for the end of the connection that `role` names: a server takes masked frames only, a client
    /// unmasked ones only.
    #[must_use]
    pub fn new(role: Role, delivery: D, config: Arc<Config>) -> Self {
        Self {
            config,
            delivery,
            role,
            state: State::Idle,
            text: false,
            encoded: false,
            handed_out: false,
            length: 0,
            fragments: 0,
            empty_fragments: 0,
            utf8: Validator::new(),
            buffer: Vec::new(),
            activity: Activity::default(),
            decoder: Decoder::default(),
        }
    }

    /// Decodes with the extensions that both ends agreed on.
    pub(in crate::proto) fn decode_with(&mut self, decoder: Decoder) {
        self.decoder = decoder;
    }

    /// Gives back the memory of the extension; between two messages it can be made again.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        if !self.is_message_in_progress() {
            self.decoder.release();
        }
    }

    /// The next event in the input; `None` when it needs more bytes.
    ///
    /// After the peer's Close, all further input is discarded.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke. The machine stays failed: the same error comes again, and all further
    /// input is discarded (RFC 6455 section 7.1.7).
    #[inline]
    pub fn next<'a>(&'a mut self, cursor: &'a mut Cursor<'_>) -> Result<Option<Event<'a, D::Item<'a>>>, ProtocolError> {
        let Some(decoded) = self.find(cursor.input, &mut cursor.at)? else { return Ok(None) };
        #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
        // SAFETY: it was found in this input just now, and neither that nor the machine has been changed since.
        let event = unsafe { self.lend(decoded, cursor.input) };
        Ok(Some(event))
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_message_in_progress(&self) -> bool {
        matches!(self.state, State::InPlace { .. } | State::Payload { .. } | State::Between)
    }

    /// Gives back the memory that an idle machine does not need. Call it when the connection is about to wait
    /// for its peer; the next fragmented message allocates anew.
    pub fn shrink(&mut self) {
        // The peer's reason stays.
        if matches!(self.state, State::Idle) {
            self.buffer = Vec::new();
        }
    }

    /// Finds the next event at or after `at` and moves `at` after it.
    ///
    /// Text whose frame arrived over several calls is validated as it arrives, to fail at once, and again at its end: the
    /// input may be anybody's, and have been changed between them.
    #[inline]
    pub(in crate::proto) fn find(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Decoded>, ProtocolError> {
        match self.find_whole(input, at) {
            Ok(None) => self.find_any(input, at, false),
            found => found,
        }
    }

    /// As [`find`](Self::find), for an input that nobody else can change: each byte of text is validated once.
    ///
    /// # Safety
    ///
    /// From each call of this function on this machine to the next one, the bytes at and after `at` stay as they are.
    /// They may move, and more may be appended.
    #[inline]
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    pub(in crate::proto) unsafe fn find_owned(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Decoded>, ProtocolError> {
        match self.find_whole(input, at) {
            Ok(None) => self.find_any(input, at, true),
            found => found,
        }
    }

    pub(in crate::proto) fn note_received(&mut self, received: bool) {
        self.activity.received |= received;
    }

    /// The bytes of a character that arrived in part, at the end of what was consumed.
    #[inline]
    pub(in crate::proto) fn incomplete_character(&self) -> usize {
        self.utf8.incomplete().len()
    }

    /// How long the data frame will be that starts at the beginning of `input`, or the remainder of the one in progress, in
    /// bytes: known once its length has arrived, and within the limits. What arrives of it lies in the input until it is
    /// complete only where it is a whole message.
    pub(in crate::proto) fn frame_size(&self, input: &[u8]) -> Option<u64> {
        match self.state {
            State::InPlace { .. } => {
                let (header, size) = Header::decode(input).ok()??;
                Some(header.len.saturating_add(size as u64))
            }
            _ => None,
        }
    }

    /// Whether the caller has had a piece of a message that has not ended.
    pub(in crate::proto) fn is_handed_out_in_part(&self) -> bool {
        self.handed_out
    }

    pub(in crate::proto) fn status(&self) -> InboundStatus {
        InboundStatus { activity: self.activity, message_in_progress: self.is_message_in_progress() }
    }

    pub(in crate::proto) fn clear_activity(&mut self) {
        self.activity = Activity::default();
    }

    /// Discards all input from now on.
    pub(in crate::proto) fn stop(&mut self) {
        match self.state {
            // The peer's reason stays.
            State::Closed => return,
            State::Failed(_) => {}
            _ => self.state = State::Closed,
        }
        self.buffer = Vec::new();
    }

    pub(in crate::proto) fn extensions(&self) -> &Agreement {
        self.decoder.agreement()
    }

    /// The reason in the peer's Close, for people to read; empty where there is none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        match self.state {
            State::Closed => core::str::from_utf8(&self.buffer).unwrap_or_default(),
            _ => "",
        }
    }

    /// The hot path: a whole message in one frame that lies in the input completely. `None` leaves everything
    /// else, and every error but one, to [`find_any`](Self::find_any).
    #[inline]
    fn find_whole(&mut self, input: &mut [u8], at: &mut usize) -> Result<Option<Decoded>, ProtocolError> {
        if !D::WHOLE || !matches!(self.state, State::Idle) || self.decoder.is_chain() {
            return Ok(None);
        }
        let [first @ (0x81 | 0x82), second, rest @ ..] = &mut input[*at..] else { return Ok(None) };
        let text = *first == 0x81;
        let (len, rest, mut size) = match (*second & 0x7f, rest) {
            (short @ ..=125, rest) => (usize::from(short), rest, 2),
            (126, [high, low, rest @ ..]) => match usize::from(u16::from_be_bytes([*high, *low])) {
                ..126 => return Ok(None),
                len => (len, rest, 4),
            },
            _ => return Ok(None),
        };
        let limit = self.config.max_message;
        if len as u64 > limit || self.config.max_frame.is_some_and(|limit| len as u64 > limit) {
            return Ok(None);
        }
        let payload = match (self.role, *second & 0x80 != 0, rest) {
            (Role::Server, true, [a, b, c, d, rest @ ..]) => {
                let mask = Mask([*a, *b, *c, *d]);
                let Some(payload) = rest.get_mut(..len) else { return Ok(None) };
                mask.apply(payload);
                size += 4;
                payload
            }
            (Role::Client, false, rest) => {
                let Some(payload) = rest.get_mut(..len) else { return Ok(None) };
                payload
            }
            _ => return Ok(None),
        };
        if text && utf8::check(payload).is_none() {
            return Err(self.fail(ProtocolError::InvalidUtf8, input, at));
        }
        let start = *at + size;
        *at = start + len;
        Ok(Some(Decoded::Data { text, end: true, location: Location::Input(InputRange { start, len }) }))
    }

    /// Every path, one frame or piece after the other.
    #[inline(never)]
    fn find_any(&mut self, input: &mut [u8], at: &mut usize, owned: bool) -> Result<Option<Decoded>, ProtocolError> {
        loop {
            let found = match self.state {
                State::Idle | State::InPlace { .. } | State::Between => self.frame(input, at, owned),
                State::Payload { fin, mask, remaining } => self.payload(fin, mask, remaining, input, at),
                State::Closed => {
                    *at = input.len();
                    return Ok(None);
                }
                State::Failed(error) => {
                    *at = input.len();
                    return Err(error);
                }
            };
            match found {
                Ok(Step::Decoded(found)) => return Ok(Some(found)),
                Ok(Step::Again) => {}
                Ok(Step::NeedsInput) => return Ok(None),
                Err(error) => return Err(self.fail(error, input, at)),
            }
        }
    }

    /// At the start of a frame: a control frame, a message in place, or the header of a fragment.
    fn frame(&mut self, input: &mut [u8], at: &mut usize, owned: bool) -> Result<Step, ProtocolError> {
        let rest = &mut input[*at..];
        let Some((header, size)) = self.header(rest)? else { return Ok(Step::NeedsInput) };
        if header.opcode.is_control() {
            return self.control(header, size, input, at);
        }
        let whole = header.fin && header.opcode != OpCode::Continuation;
        let encoded = header.rsv != Rsv::NONE || self.decoder.is_chain();
        if D::WHOLE && whole && !encoded {
            return self.in_place(header, size, input, at, owned);
        }
        *at += size;
        if header.opcode != OpCode::Continuation {
            self.text = header.opcode == OpCode::Text;
            self.encoded = encoded;
            self.buffer.clear();
            // What a caller changed may have left a character of another frame.
            self.utf8 = Validator::new();
        }
        if !self.encoded {
            self.length += header.len;
        }
        // A whole message is no fragment, in either delivery.
        if !whole {
            self.fragments = self.fragments.saturating_add(1);
            self.empty_fragments = if header.len == 0 { self.empty_fragments.saturating_add(1) } else { 0 };
            if self.fragments > self.delivery.max_fragments(&self.config)
                || self.empty_fragments > self.config.max_empty_fragments
            {
                return Err(ProtocolError::TooManyFragments);
            }
        }
        self.decoder.begin(&header, self.remaining_length())?;
        self.state = State::Payload { fin: header.fin, mask: header.mask, remaining: header.len };
        self.activity.progress = true;
        Ok(Step::Again)
    }

    /// Decodes a header and checks it against the state of the connection, each rule at the byte that can
    /// break it, so that the error does not depend on how the bytes were cut.
    fn header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        // RFC 6455 section 5.2: a nonzero bit that no negotiated extension defines fails the connection.
        let allowed = match first & 0x0f {
            data @ 0x0..=0x2 => self.decoder.rsv(data != 0x0),
            _ => Rsv::NONE,
        };
        let rsv = Rsv::from_first_byte(*first);
        if !rsv.is_within(allowed) {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = OpCode::try_from(first & 0x0f)?;
        // RFC 6455 section 5.4: control frames are whole, and fragments of messages are not interleaved.
        match (opcode, matches!(self.state, State::Between)) {
            (_, _) if opcode.is_control() && first & 0x80 == 0 => return Err(ProtocolError::FragmentedControl),
            (OpCode::Continuation, false) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, true) => return Err(ProtocolError::ExpectedContinuation),
            _ => {}
        }
        // RFC 6455 section 5.1: a client masks every frame, a server none.
        match (rest.first().map(|second| second & 0x80 != 0), self.role) {
            (Some(false), Role::Server) => return Err(ProtocolError::Unmasked),
            (Some(true), Role::Client) => return Err(ProtocolError::Masked),
            _ => {}
        }
        let Some(prefix) = HeaderPrefix::decode(bytes)? else { return Ok(None) };
        if !opcode.is_control() {
            let continues = opcode == OpCode::Continuation && self.encoded;
            let encoded = rsv != Rsv::NONE || continues || self.decoder.is_chain();
            self.check_limits(prefix.len, encoded)?; // before the key has arrived
        }
        Ok(prefix.complete(bytes))
    }

    /// RFC 6455 section 10.4: limits on the frame and on the whole message, judged by the header.
    fn check_limits(&self, len: u64, encoded: bool) -> Result<(), ProtocolError> {
        let max_frame = match self.config.max_frame {
            Some(limit) => limit,
            None if encoded => Config::max_encoded(self.max_message(true)),
            None => Config::UNLIMITED,
        };
        if len > max_frame {
            return Err(ProtocolError::FrameTooLong(Exceeded::new(len, max_frame)));
        }
        // Of an encoded message counts what comes out.
        if !encoded && len > self.remaining_length() {
            let size = self.length.saturating_add(len);
            return Err(ProtocolError::MessageTooLong(Exceeded::new(size, self.max_message(false))));
        }
        Ok(())
    }

    /// What the message in progress may still bring, in bytes.
    fn remaining_length(&self) -> u64 {
        self.max_message(self.encoded).saturating_sub(self.length)
    }

    /// The longest message, in bytes; of one that an extension has encoded, decoded.
    fn max_message(&self, encoded: bool) -> u64 {
        let limit = self.delivery.max_message(&self.config);
        // In pieces nothing is held.
        if encoded && D::WHOLE { limit.min(self.config.max_decoded_message) } else { limit }
    }

    fn control(
        &mut self,
        header: Header,
        size: usize,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Step, ProtocolError> {
        let span = InputRange { start: *at + size, len: short_len(header.len) };
        let Some(payload) = input.get_mut(span.start..span.start + span.len) else { return Ok(Step::NeedsInput) };
        unmask(header.mask, payload);
        let found = match header.opcode {
            OpCode::Ping => Decoded::Ping(span),
            OpCode::Pong => Decoded::Pong(span),
            _ => {
                let close = Close::decode(payload)?;
                // Of a message in progress nothing is needed any more.
                self.buffer = close.map_or_else(Vec::new, |close| close.reason.into());
                self.state = State::Closed;
                Decoded::Close(span)
            }
        };
        *at = span.start + span.len;
        Ok(Step::Decoded(found))
    }

    #[cold]
    fn fail(&mut self, error: ProtocolError, input: &[u8], at: &mut usize) -> ProtocolError {
        self.state = State::Failed(error);
        self.buffer = Vec::new();
        *at = input.len();
        error
    }
}

enum Step {
    Decoded(Decoded),
    Again,
    NeedsInput,
}

fn unmask(mask: Option<Mask>, payload: &mut [u8]) {
    if let Some(mask) = mask {
        mask.apply(payload);
    }
}

/// The length of a control frame, at most 125 bytes: a decoded header says no more.
fn short_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(125)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use bytes::{Buf, BytesMut};

    use super::*;
    use crate::proto::steps;

    /// Hands `wire` to a client's machine in pieces of this size, in an input that is `owned` or not; the messages found,
    /// and the bytes validated.
    fn validated(wire: &[u8], piece: usize, owned: bool) -> (usize, usize) {
        let config = Config { max_fragments: u32::MAX, ..Config::default() };
        let mut inbound = Inbound::new(Role::Client, Messages, Arc::new(config));
        let mut input = BytesMut::new();
        let mut messages = 0;
        let steps = steps::of(|| {
            for piece in wire.chunks(piece) {
                input.extend_from_slice(piece);
                let mut at = 0;
                loop {
                    #[expect(unsafe_code, reason = "the input is owned here")]
                    // SAFETY: it is appended to, and consumed, and nothing else.
                    let owned = owned.then(|| unsafe { inbound.find_owned(&mut input, &mut at) });
                    let found = owned.unwrap_or_else(|| inbound.find(&mut input, &mut at));
                    if found.expect("it is right").is_none() {
                        break;
                    }
                    messages += 1;
                }
                input.advance(at);
            }
        });
        (messages, steps)
    }

    // HOSTILE: 8
    // HOSTILE: 14
    #[test]
    fn each_byte_of_a_text_is_validated_once_however_it_is_cut() {
        for (len, fragment) in [(256 << 10, 1), (1 << 20, 64), (4 << 20, 64)] {
            let text = "a\u{e9}\u{20ac}\u{1d11e}".repeat(len / 10);
            let len = text.len();
            let mut fragments = alloc::vec![0x01, 0x00];
            for bytes in text.as_bytes().chunks(fragment) {
                fragments.extend_from_slice(&[0x00, u8::try_from(bytes.len()).expect("64 at most")]);
                fragments.extend_from_slice(bytes);
            }
            fragments.extend_from_slice(&[0x80, 0x00]);
            for owned in [false, true] {
                assert_eq!(validated(&fragments, 64 << 10, owned), (1, len));
            }
            let mut whole = Header::new(OpCode::Text, len as u64).encode().to_vec();
            whole.extend_from_slice(text.as_bytes());
            assert_eq!(validated(&whole, 64, true), (1, len));
            // In a caller's input once more, at the end.
            assert_eq!(validated(&whole, 64, false), (1, 2 * len));
            assert_eq!(validated(&whole, whole.len(), false), (1, len));
        }
    }
}

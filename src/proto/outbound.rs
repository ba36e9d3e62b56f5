//! The sending machine: messages become bytes (RFC 6455 sections 5 and 6.1).
//!
//! It appends whole frames to the caller's output and refuses what would break the rules; a refusal leaves
//! output and machine as they were. It knows nothing of the receiving side.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use bytes::BytesMut;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::proto::close::Close;
use crate::proto::close_code::CloseCode;
use crate::proto::config::Config;
use crate::proto::error::SendError;
use crate::proto::extension::coding::Encoder;
use crate::proto::frame::{Header, OpCode, Rsv};
use crate::proto::mask::{self, Mask};
use crate::proto::outgoing::{Content, Outgoing, Uncopied};
use crate::proto::prepared::Prepared;
use crate::proto::role::Role;
use crate::proto::utf8::Validator;

/// The sending machine.
///
/// ```
/// use std::sync::Arc;
/// use bowsprit::{Config, Outbound, SendError};
/// use bytes::BytesMut;
///
/// let mut outbound = Outbound::server(Arc::new(Config::default()));
/// let mut output = BytesMut::new();
/// outbound.send("Hello", &mut output)?;
/// outbound.close(None, &mut output)?;
/// assert_eq!(&output[..], b"\x81\x05Hello\x88\x00");
/// assert_eq!(outbound.send("more", &mut output), Err(SendError::Closing));
/// # Ok::<(), SendError>(())
/// ```
#[derive(Debug)]
pub struct Outbound {
    config: Arc<Config>,
    /// A client's masking keys; a server has none.
    keys: Option<Box<Keys>>,
    state: State,
    /// Whether a Ping or Pong has used its share of the capacity above `max_unsent`.
    ping_above: bool,
    /// Of the raw text frames in progress.
    utf8: Validator,
    encoder: Encoder,
}

/// A piece of a message, for a chain of extensions.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    /// Of its first frame.
    opcode: OpCode,
    bytes: &'a [u8],
    end: bool,
    /// Whether the caller asks for no encoding.
    uncompressed: bool,
    /// The longest frame that the caller wants.
    size: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// A message is being sent in chunks or raw frames.
    Message {
        text: bool,
        /// By an extension.
        encoded: bool,
    },
    /// A Close has been sent.
    Closed,
}

impl Outbound {
    /// The sending machine of a server: no frame is masked (RFC 6455 section 5.1).
    #[must_use]
    pub fn server(config: Arc<Config>) -> Self {
        Self {
            config,
            keys: None,
            state: State::Idle,
            ping_above: false,
            utf8: Validator::new(),
            encoder: Encoder::default(),
        }
    }

    /// The sending machine of a client: each frame is masked with a fresh key (RFC 6455 section 5.3).
    ///
    /// The keys come from a cryptographic generator that starts from `seed`: 32 bytes of the operating system's
    /// entropy, never used twice.
    #[must_use]
    pub fn client(config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self { keys: Some(Box::new(Keys::new(seed))), ..Self::server(config) }
    }

    /// Which end of the connection this is.
    #[must_use]
    pub const fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    /// Appends what `outgoing` is to `output`: a message in frames of at most [`Config::fragment_size`] bytes, everything
    /// else as one frame.
    ///
    /// # Errors
    ///
    /// Nothing was appended and nothing has changed:
    ///
    /// - [`Closing`](SendError::Closing): a Close has been sent.
    /// - [`Full`](SendError::Full): [`Config::max_unsent`] bytes or more are in `output`. A Ping or Pong has capacity of
    ///   its own above that, and only the second one meets this; a Close never does.
    /// - [`MessageInProgress`](SendError::MessageInProgress): a message, or a chunk of the other kind, before the last chunk
    ///   or raw frame of the message in progress; [`NoMessageInProgress`](SendError::NoMessageInProgress): a raw
    ///   continuation frame without one.
    /// - [`ControlTooLong`](SendError::ControlTooLong): a Ping or Pong of more than 125 bytes.
    /// - [`InvalidCloseCode`](SendError::InvalidCloseCode): a close code that may not be sent, or not by this role.
    /// - [`InvalidFrame`](SendError::InvalidFrame): a raw frame with a wrong length, a mask or a reserved bit, a fragmented
    ///   control frame, or a Close payload that may not be sent; [`InvalidUtf8`](SendError::InvalidUtf8): a raw text frame
    ///   that is not UTF-8; [`ReasonTooLong`](SendError::ReasonTooLong): a raw Close frame whose reason is too long.
    #[inline(always)] // The kind is known where it is called: what remains is the code for this kind.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>, output: &mut BytesMut) -> Result<(), SendError> {
        match outgoing.into().0 {
            Content::Message { opcode, uncompressed: false, bytes } => self.message(opcode, bytes, output),
            content => self.send_other(content, output),
        }
    }

    /// Appends a Close, as [`send`](Self::send) does with [`Outgoing::close`]: a reason of more than 123 bytes is cut at a
    /// character boundary. It is the last frame but for Pongs that the peer asks for, and is accepted however full the
    /// output is.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`InvalidCloseCode`](SendError::InvalidCloseCode) (from a server also 1010).
    pub fn close(&mut self, close: Option<Close<'_>>, output: &mut BytesMut) -> Result<(), SendError> {
        self.send(Outgoing::close(close), output)
    }

    /// Begins a message whose payload the caller writes itself, uncopied, directly after `output`; see [`Uncopied`].
    /// `None` where the payload must be masked, split, encoded or validated, and for everything but a whole message: then
    /// nothing has begun, and [`send`](Self::send) is what to call.
    ///
    /// # Errors
    ///
    /// As for a message in [`send`](Self::send): [`Closing`](SendError::Closing), [`Full`](SendError::Full),
    /// [`MessageInProgress`](SendError::MessageInProgress).
    pub fn begin<'m>(
        &mut self,
        outgoing: impl Into<Outgoing<'m>>,
        output: &BytesMut,
    ) -> Result<Option<Uncopied<'m>>, SendError> {
        let content = outgoing.into().0;
        let (Content::Message { .. } | Content::Prepared { .. }) = content else { return Ok(None) };
        self.ready(output)?;
        if self.keys.is_some() || self.encoder.chain().is_some() {
            return Ok(None);
        }
        Ok(match content {
            Content::Message { opcode, uncompressed, bytes } => {
                let len = bytes.len();
                let split = self.config.fragment_size.is_some_and(|size| len > size);
                let encoded = !uncompressed && self.encoder.wants(len);
                (!split && !encoded).then(|| Uncopied::new(Header::new(opcode, len as u64), bytes))
            }
            Content::Prepared { uncompressed, prepared } => {
                Some(Uncopied::frame(prepared.form(uncompressed, &mut self.encoder).frame()))
            }
            _ => None,
        })
    }

    /// Gives back the memory that an idle machine does not need, as [`Inbound::shrink`](crate::Inbound::shrink).
    pub fn shrink(&mut self) {
        self.encoder.shrink();
    }

    #[inline]
    fn message(&mut self, opcode: OpCode, bytes: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        if self.encoder.wants(bytes.len()) {
            self.put_encoded(opcode, bytes, output);
        } else {
            self.put_message(Header::new(opcode, 0), bytes, output);
        }
        Ok(())
    }

    #[inline(never)]
    fn send_other(&mut self, content: Content<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        match content {
            // `send` handles all others itself.
            Content::Message { opcode, bytes, .. } => self.uncompressed(opcode, bytes, output),
            Content::Chunk { opcode, end, uncompressed, bytes } => {
                self.chunk(Piece { opcode, bytes, end, uncompressed, size: None }, output)
            }
            Content::Prepared { uncompressed, prepared } => self.prepared(prepared, uncompressed, output),
            Content::Ping(payload) => self.own_control(OpCode::Ping, payload, output),
            Content::Pong(payload) => self.own_control(OpCode::Pong, payload, output),
            Content::EmptyClose => self.own_close(None, output),
            Content::Close { code, reason } => self.own_close(Some(Close { code, reason }), output),
            Content::Frame { valid: false, .. } => Err(SendError::InvalidFrame),
            Content::Frame { opcode, fin, valid: true, payload } => self.frame(opcode, fin, payload, output),
        }
    }

    fn uncompressed(&mut self, opcode: OpCode, bytes: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        if self.encoder.chain().is_some() {
            let size = self.config.fragment_size;
            self.put_chained(Piece { opcode, bytes, end: true, uncompressed: true, size }, output);
        } else {
            self.put_message(Header::new(opcode, 0), bytes, output);
        }
        Ok(())
    }

    fn chunk(&mut self, piece: Piece<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        let Piece { opcode, bytes, end, uncompressed, .. } = piece;
        let text = opcode == OpCode::Text;
        let begun = match self.state {
            State::Idle => None,
            // Raw frames may have ended inside a character.
            State::Message { text: begun, encoded } if begun == text && self.utf8.incomplete().is_empty() => {
                Some(encoded)
            }
            State::Message { .. } => return Err(SendError::MessageInProgress),
            State::Closed => return Err(SendError::Closing),
        };
        self.has_capacity(output)?;
        let (opcode, encoded) = match begun {
            // The whole message's length is not known yet.
            None => (opcode, !uncompressed && self.encoder.wants(if end { bytes.len() } else { usize::MAX })),
            Some(encoded) => (OpCode::Continuation, encoded),
        };
        self.state = if end { State::Idle } else { State::Message { text, encoded } };
        let header = Header { fin: end, ..Header::new(opcode, 0) };
        if self.encoder.chain().is_some() {
            self.put_chained(Piece { opcode, ..piece }, output);
        } else if encoded {
            let rsv = if opcode == OpCode::Continuation { Rsv::NONE } else { self.encoder.rsv() };
            let piece = self.encoder.encode(bytes, end);
            self.put(Header { rsv, ..header }, &piece, output);
            self.encoder.reuse(piece);
        } else {
            self.put(header, bytes, output);
        }
        Ok(())
    }

    fn prepared(&mut self, prepared: &Prepared, uncompressed: bool, output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        if self.encoder.chain().is_some() {
            let (opcode, bytes) = (prepared.opcode(), prepared.payload());
            self.put_chained(Piece { opcode, bytes, end: true, uncompressed, size: None }, output);
            return Ok(());
        }
        let form = prepared.form(uncompressed, &mut self.encoder);
        match self.keys {
            None => mask::append_plain(form.frame(), output),
            Some(_) => self.put(form.header(), form.payload(), output),
        }
        Ok(())
    }

    fn own_close(&mut self, close: Option<Close<'_>>, output: &mut BytesMut) -> Result<(), SendError> {
        if self.state == State::Closed {
            return Err(SendError::Closing);
        }
        match close {
            None => self.put(Header::new(OpCode::Close, 0), &[], output),
            Some(close) => {
                let payload = close.encode_as(self.role())?;
                self.put(Header::new(OpCode::Close, 0), &payload, output);
            }
        }
        self.state = State::Closed;
        Ok(())
    }

    fn frame(&mut self, opcode: OpCode, fin: bool, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        match opcode {
            _ if opcode.is_control() && !fin => Err(SendError::InvalidFrame),
            OpCode::Ping | OpCode::Pong => self.own_control(opcode, payload, output),
            OpCode::Close => {
                let close = Close::decode(payload).map_err(|_| SendError::InvalidFrame)?;
                self.own_close(close, output)
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => self.data_frame(opcode, fin, payload, output),
        }
    }

    /// A Pong that answers a Ping: has capacity of its own, and is sent after our Close, too (RFC 6455 section 5.5.2 ends
    /// the duty to answer only when the peer's Close has been received).
    pub(in crate::proto) fn answer(&mut self, payload: &[u8], output: &mut BytesMut) {
        self.put(Header::new(OpCode::Pong, 0), payload, output);
    }

    /// A Close that no caller chose: the echo of the peer's, or that of a failure. Call it once.
    pub(in crate::proto) fn end(&mut self, code: Option<CloseCode>, output: &mut BytesMut) {
        let code = code.map(|code| code.0.to_be_bytes());
        self.put(Header::new(OpCode::Close, 0), code.as_ref().map_or(&[], |code| &code[..]), output);
        self.state = State::Closed;
    }

    /// Whether a message in chunks or raw frames has begun and not ended.
    pub(in crate::proto) fn is_message_in_progress(&self) -> bool {
        matches!(self.state, State::Message { .. })
    }

    /// Sends nothing any more.
    pub(in crate::proto) fn stop(&mut self) {
        self.state = State::Closed;
    }

    pub(in crate::proto) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    #[inline]
    fn ready(&mut self, output: &BytesMut) -> Result<(), SendError> {
        match self.state {
            State::Idle => self.has_capacity(output),
            State::Message { .. } => Err(SendError::MessageInProgress),
            State::Closed => Err(SendError::Closing),
        }
    }

    #[inline]
    fn has_capacity(&mut self, output: &BytesMut) -> Result<(), SendError> {
        if self.config.is_full(output.len()) {
            return Err(SendError::Full);
        }
        self.ping_above = false;
        Ok(())
    }

    fn own_control(&mut self, opcode: OpCode, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        if self.state == State::Closed {
            return Err(SendError::Closing);
        }
        if payload.len() > 125 {
            return Err(SendError::ControlTooLong);
        }
        // Above the limit there is capacity for one of these and for the Close.
        if self.has_capacity(output).is_err() && core::mem::replace(&mut self.ping_above, true) {
            return Err(SendError::Full);
        }
        self.put(Header::new(opcode, 0), payload, output);
        Ok(())
    }

    pub(in crate::proto) fn encode_with(&mut self, encoder: Encoder) {
        self.encoder = encoder;
    }

    /// Gives back the memory of the extension, unless a message is being sent in chunks.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        if !matches!(self.state, State::Message { .. }) {
            self.encoder.release();
        }
    }

    #[inline(never)]
    fn put_encoded(&mut self, opcode: OpCode, bytes: &[u8], output: &mut BytesMut) {
        if self.encoder.chain().is_some() {
            let size = self.config.fragment_size;
            return self.put_chained(Piece { opcode, bytes, end: true, uncompressed: false, size }, output);
        }
        let encoded = self.encoder.encode(bytes, true);
        let header = Header { rsv: self.encoder.rsv(), ..Header::new(opcode, 0) };
        self.put_message(header, &encoded, output);
        self.encoder.reuse(encoded);
    }

    /// Appends a message in as many frames as it takes; `header` is that of the first.
    #[inline]
    fn put_message(&mut self, header: Header, payload: &[u8], output: &mut BytesMut) {
        match self.config.fragment_size {
            Some(size) if payload.len() > size => self.put_fragments(header, payload, size.max(1), output),
            _ => self.put(header, payload, output),
        }
    }

    fn put_fragments(&mut self, first: Header, payload: &[u8], size: usize, output: &mut BytesMut) {
        let mut header = first;
        let mut pieces = payload.chunks(size).peekable();
        while let Some(piece) = pieces.next() {
            self.put(Header { fin: pieces.peek().is_none(), ..header }, piece, output);
            header = Header::new(OpCode::Continuation, 0);
        }
    }

    fn data_frame(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        output: &mut BytesMut,
    ) -> Result<(), SendError> {
        let text = match (self.state, opcode) {
            (State::Closed, _) => return Err(SendError::Closing),
            (State::Idle, OpCode::Continuation) => return Err(SendError::NoMessageInProgress),
            (State::Idle, opcode) => opcode == OpCode::Text,
            (State::Message { text, encoded: false }, OpCode::Continuation) => text,
            (State::Message { .. }, _) => return Err(SendError::MessageInProgress),
        };
        self.has_capacity(output)?;
        if text {
            let mut utf8 = self.utf8;
            utf8.push(payload).map_err(|_| SendError::InvalidUtf8)?;
            if fin && !utf8.incomplete().is_empty() {
                return Err(SendError::InvalidUtf8);
            }
            self.utf8 = utf8;
        }
        self.state = if fin { State::Idle } else { State::Message { text, encoded: false } };
        if self.encoder.chain().is_some() {
            let piece = Piece { opcode, bytes: payload, end: fin, uncompressed: true, size: None };
            self.put_chained(piece, output);
        } else {
            self.put(Header { fin, ..Header::new(opcode, 0) }, payload, output);
        }
        Ok(())
    }

    /// Appends a piece of a message that a chain of extensions encodes, in as many frames as it takes.
    #[inline(never)]
    fn put_chained(&mut self, piece: Piece<'_>, output: &mut BytesMut) {
        let Self { encoder, keys, .. } = self;
        let Some(chain) = encoder.chain() else { return };
        let Piece { mut opcode, bytes, end, uncompressed, size } = piece;
        let mut first = match opcode {
            OpCode::Continuation => Rsv::NONE,
            _ => chain.begin(opcode, end.then_some(bytes.len()), uncompressed),
        };
        let size = chain.max_frame(size);
        let encoded = chain.encode(bytes, end);
        let mut rest = &*encoded;
        loop {
            let (payload, after) = rest.split_at(rest.len().min(size));
            let fin = end && after.is_empty();
            let (own, payload) = chain.frame(opcode, fin, payload);
            append(keys, Header { fin, rsv: first | own, ..Header::new(opcode, 0) }, &payload, output);
            if after.is_empty() {
                break;
            }
            (opcode, first, rest) = (OpCode::Continuation, Rsv::NONE, after);
        }
    }

    #[inline]
    fn put(&mut self, header: Header, payload: &[u8], output: &mut BytesMut) {
        append(&mut self.keys, header, payload, output);
    }
}

/// Appends one frame: length and mask are filled in here.
#[inline]
fn append(keys: &mut Option<Box<Keys>>, header: Header, payload: &[u8], output: &mut BytesMut) {
    let mask = keys.as_mut().map(|keys| keys.next());
    Header { len: payload.len() as u64, mask, ..header }.append(payload, output);
}

/// Masking keys, unpredictable and fresh for each frame (RFC 6455 section 5.3).
struct Keys(ChaCha12Rng);

impl Keys {
    fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    #[inline]
    fn next(&mut self) -> Mask {
        // The same seed gives the same keys on every machine.
        Mask(self.0.next_u32().to_le_bytes())
    }
}

impl fmt::Debug for Keys {
    /// Never shows the generator's state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

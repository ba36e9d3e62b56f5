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

use crate::proto::close::{Close, CloseCode};
use crate::proto::config::Config;
use crate::proto::error::SendError;
use crate::proto::extension::coding::Encoder;
use crate::proto::frame::{Header, HeaderBytes, OpCode, Rsv};
use crate::proto::mask::{self, Mask};
use crate::proto::message::{Chunk, Message};
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
/// outbound.text("Hello", &mut output)?;
/// outbound.close(None, &mut output)?;
/// assert_eq!(&output[..], b"\x81\x05Hello\x88\x00");
/// assert_eq!(outbound.text("more", &mut output), Err(SendError::Closing));
/// # Ok::<(), SendError>(())
/// ```
#[derive(Debug)]
pub struct Outbound {
    config: Arc<Config>,
    /// A client's masking keys; a server has none.
    keys: Option<Box<Keys>>,
    state: State,
    /// Whether a ping has used its share of the room above `max_unsent`.
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
    plain: bool,
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

/// Each verb fails with [`SendError::Closing`] once a Close has been sent, and those that carry messages with
/// [`SendError::Full`] while [`Config::max_unsent`] bytes or more wait in `output`.
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

    /// Appends a text message.
    ///
    /// # Errors
    ///
    /// [`Full`](SendError::Full), [`Closing`](SendError::Closing),
    /// [`MessageInProgress`](SendError::MessageInProgress).
    #[inline]
    pub fn text(&mut self, text: &str, output: &mut BytesMut) -> Result<(), SendError> {
        self.message(Message::Text(text), output)
    }

    /// Appends a binary message.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    #[inline]
    pub fn binary(&mut self, bytes: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        self.message(Message::Binary(bytes), output)
    }

    /// Appends a message, in frames of at most [`Config::fragment_size`] bytes.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    #[inline]
    pub fn message(&mut self, message: Message<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        if self.encoder.wants(message.as_bytes().len()) {
            self.put_encoded(message.opcode(), message.as_bytes(), output);
        } else {
            self.put_message(Header::new(message.opcode(), 0), message.as_bytes(), output);
        }
        Ok(())
    }

    /// Appends a message that is not compressed: because it is compressed already, or because it holds a secret beside
    /// what an attacker chooses (RFC 7692 section 8). An [extension of one's own](crate::proto::extension::Extension) is told so,
    /// and may encode it all the same.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn plain(&mut self, message: Message<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        let (opcode, bytes) = (message.opcode(), message.as_bytes());
        if self.encoder.chain().is_some() {
            let size = self.config.fragment_size;
            self.put_chained(Piece { opcode, bytes, end: true, plain: true, size }, output);
        } else {
            self.put_message(Header::new(opcode, 0), bytes, output);
        }
        Ok(())
    }

    /// Appends a piece of a message, as a frame of its own (RFC 6455 section 5.4). The piece with `end` set
    /// ends the message.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text); `MessageInProgress` where the message in progress is of the other kind.
    pub fn chunk(&mut self, chunk: Chunk<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        let text = matches!(chunk.data, Message::Text(_));
        let bytes = chunk.data.as_bytes();
        let begun = match self.state {
            State::Idle => None,
            // Raw frames may have left half a character behind them.
            State::Message { text: begun, encoded } if begun == text && self.utf8.incomplete().is_empty() => {
                Some(encoded)
            }
            State::Message { .. } => return Err(SendError::MessageInProgress),
            State::Closed => return Err(SendError::Closing),
        };
        self.room(output)?;
        let (opcode, encoded) = match begun {
            // How long the message becomes, nobody knows yet.
            None => (chunk.data.opcode(), self.encoder.wants(if chunk.end { bytes.len() } else { usize::MAX })),
            Some(encoded) => (OpCode::Continuation, encoded),
        };
        self.state = if chunk.end { State::Idle } else { State::Message { text, encoded } };
        let header = Header { fin: chunk.end, ..Header::new(opcode, 0) };
        if self.encoder.chain().is_some() {
            self.put_chained(Piece { opcode, bytes, end: chunk.end, plain: false, size: None }, output);
        } else if encoded {
            let rsv = if opcode == OpCode::Continuation { Rsv::NONE } else { self.encoder.rsv() };
            let piece = self.encoder.encode(bytes, chunk.end);
            self.put(Header { rsv, ..header }, &piece, output);
            self.encoder.reuse(piece);
        } else {
            self.put(header, bytes, output);
        }
        Ok(())
    }

    /// Appends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn prepared(&mut self, prepared: &Prepared, output: &mut BytesMut) -> Result<(), SendError> {
        self.ready(output)?;
        if self.encoder.chain().is_some() {
            let (opcode, bytes) = (prepared.opcode(), prepared.payload());
            self.put_chained(Piece { opcode, bytes, end: true, plain: false, size: None }, output);
            return Ok(());
        }
        let encoded = prepared.encoded(&mut self.encoder);
        match self.keys {
            None => mask::append_plain(encoded.frame(), output),
            Some(_) => self.put(encoded.header(), encoded.payload(), output),
        }
        Ok(())
    }

    /// Appends a Ping of at most 125 bytes (RFC 6455 section 5.5.2), also between the chunks of a message.
    ///
    /// # Errors
    ///
    /// [`ControlTooLong`](SendError::ControlTooLong), [`Closing`](SendError::Closing); [`Full`](SendError::Full)
    /// for the second ping or pong while the output is full.
    pub fn ping(&mut self, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        self.own_control(OpCode::Ping, payload, output)
    }

    /// Appends a Pong that answers nothing (RFC 6455 section 5.5.3).
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        self.own_control(OpCode::Pong, payload, output)
    }

    /// Appends the Close; `None` leaves its payload empty. It is the last frame but for Pongs that the peer
    /// asks for, and has room however full the output is. A message in progress stays unfinished.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`InvalidCloseCode`](SendError::InvalidCloseCode) (from a server also
    /// 1010), [`ReasonTooLong`](SendError::ReasonTooLong).
    pub fn close(&mut self, close: Option<Close<'_>>, output: &mut BytesMut) -> Result<(), SendError> {
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

    /// Appends a raw frame, for who forwards or splits as it likes: `header.len` is the payload's length, there
    /// is no mask (a client's is added), and the frame fits behind those before it.
    ///
    /// # Errors
    ///
    /// Those of the verb that sends such a frame; [`InvalidFrame`](SendError::InvalidFrame) for a wrong length,
    /// a mask, a reserved bit, a fragmented control frame or a Close payload that may not be sent;
    /// [`NoMessageInProgress`](SendError::NoMessageInProgress); [`InvalidUtf8`](SendError::InvalidUtf8).
    pub fn frame(&mut self, header: Header, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        if header.len != payload.len() as u64 || header.mask.is_some() || header.rsv != Rsv::NONE {
            return Err(SendError::InvalidFrame);
        }
        match header.opcode {
            _ if header.opcode.is_control() && !header.fin => Err(SendError::InvalidFrame),
            OpCode::Ping | OpCode::Pong => self.own_control(header.opcode, payload, output),
            OpCode::Close => {
                let close = Close::decode(payload).map_err(|_| SendError::InvalidFrame)?;
                self.close(close, output)
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => self.data_frame(header, payload, output),
        }
    }

    /// The header of a message whose payload the caller sends itself, uncopied, right behind `output` and this
    /// header; `None` where the payload has to be masked, split or encoded, so that only [`message`](Self::message) will do.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn begin(&mut self, message: Message<'_>, output: &BytesMut) -> Result<Option<HeaderBytes>, SendError> {
        match self.begin_plain(message, output)? {
            Some(_) if self.encoder.wants(message.as_bytes().len()) => Ok(None),
            header => Ok(header),
        }
    }

    /// Likewise for a message that is not compressed; where it gives `None`, only [`plain`](Self::plain) will do.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn begin_plain(&mut self, message: Message<'_>, output: &BytesMut) -> Result<Option<HeaderBytes>, SendError> {
        self.ready(output)?;
        let len = message.as_bytes().len();
        let split = self.config.fragment_size.is_some_and(|size| len > size);
        if self.keys.is_some() || split || self.encoder.chain().is_some() {
            return Ok(None);
        }
        Ok(Some(Header::new(message.opcode(), len as u64).encode()))
    }

    /// The whole frame of a prepared message, which the caller sends itself, uncopied, right behind `output`; `None`
    /// where its payload has to be masked, or an extension of one's own encodes it, so that only
    /// [`prepared`](Self::prepared) will do.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn begin_prepared<'p>(
        &mut self,
        prepared: &'p Prepared,
        output: &BytesMut,
    ) -> Result<Option<&'p [u8]>, SendError> {
        self.ready(output)?;
        if self.keys.is_some() || self.encoder.chain().is_some() {
            return Ok(None);
        }
        Ok(Some(prepared.encoded(&mut self.encoder).frame()))
    }

    /// Gives back the memory that an idle machine does not need, as [`Inbound::shrink`](crate::Inbound::shrink).
    pub fn shrink(&mut self) {
        self.encoder.shrink();
    }

    /// A Pong that answers a Ping: has room of its own, and follows our Close too (RFC 6455 section 5.5.2 ends
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
            State::Idle => self.room(output),
            State::Message { .. } => Err(SendError::MessageInProgress),
            State::Closed => Err(SendError::Closing),
        }
    }

    #[inline]
    fn room(&mut self, output: &BytesMut) -> Result<(), SendError> {
        if output.len() >= self.config.max_unsent.max(1) {
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
        // Above the bound there is room for one of these and for the Close.
        if self.room(output).is_err() && core::mem::replace(&mut self.ping_above, true) {
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
            return self.put_chained(Piece { opcode, bytes, end: true, plain: false, size }, output);
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

    fn data_frame(&mut self, header: Header, payload: &[u8], output: &mut BytesMut) -> Result<(), SendError> {
        let text = match (self.state, header.opcode) {
            (State::Closed, _) => return Err(SendError::Closing),
            (State::Idle, OpCode::Continuation) => return Err(SendError::NoMessageInProgress),
            (State::Idle, opcode) => opcode == OpCode::Text,
            (State::Message { text, encoded: false }, OpCode::Continuation) => text,
            (State::Message { .. }, _) => return Err(SendError::MessageInProgress),
        };
        self.room(output)?;
        if text {
            let mut utf8 = self.utf8;
            utf8.push(payload).map_err(|_| SendError::InvalidUtf8)?;
            if header.fin && !utf8.incomplete().is_empty() {
                return Err(SendError::InvalidUtf8);
            }
            self.utf8 = utf8;
        }
        self.state = if header.fin { State::Idle } else { State::Message { text, encoded: false } };
        if self.encoder.chain().is_some() {
            let Header { opcode, fin: end, .. } = header;
            self.put_chained(Piece { opcode, bytes: payload, end, plain: true, size: None }, output);
        } else {
            self.put(header, payload, output);
        }
        Ok(())
    }

    /// Appends a piece of a message that a chain of extensions encodes, in as many frames as it takes.
    #[inline(never)]
    fn put_chained(&mut self, piece: Piece<'_>, output: &mut BytesMut) {
        let Self { encoder, keys, .. } = self;
        let Some(chain) = encoder.chain() else { return };
        let Piece { mut opcode, bytes, end, plain, size } = piece;
        let mut first = match opcode {
            OpCode::Continuation => Rsv::NONE,
            _ => chain.begin(opcode, end.then_some(bytes.len()), plain),
        };
        let size = chain.max_frame(size);
        let encoded = chain.encode(bytes, end);
        let mut rest = &*encoded;
        loop {
            let (payload, behind) = rest.split_at(rest.len().min(size));
            let fin = end && behind.is_empty();
            let (own, payload) = chain.frame(opcode, fin, payload);
            append(keys, Header { fin, rsv: first | own, ..Header::new(opcode, 0) }, &payload, output);
            if behind.is_empty() {
                break;
            }
            (opcode, first, rest) = (OpCode::Continuation, Rsv::NONE, behind);
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
        Mask(self.0.next_u32().to_ne_bytes())
    }
}

impl fmt::Debug for Keys {
    /// Never shows the generator's state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

//! What a caller sends: one value for every kind of frame and message, so that each type that sends has one `send`.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::proto::close::Close;
use crate::proto::close_code::CloseCode;
use crate::proto::frame::{Header, HeaderBytes, OpCode, Rsv};
use crate::proto::message::{Chunk, Message, OwnedMessage, Utf8Bytes};
use crate::proto::prepared::Prepared;

/// Something to send: a message, a piece of one, a control frame or a raw frame. It borrows its payload.
///
/// Every method that sends takes `impl Into<Outgoing>`, so that what is at hand is passed as it is: text and bytes of
/// any common type, a [`Message`], a [`Chunk`], a [`Prepared`]. The constructors are for the other kinds.
///
/// ```
/// use bowsprit::{CloseCode, Config, Connection, Messages, Outgoing};
/// use bytes::BytesMut;
///
/// let mut connection = Connection::server(Messages, Config::default().into());
/// let mut output = BytesMut::new();
/// connection.send("Hello", &mut output)?;
/// connection.send(&vec![1, 2], &mut output)?;
/// connection.send(Outgoing::text("secret").uncompressed(), &mut output)?;
/// connection.send(Outgoing::ping(b"?"), &mut output)?;
/// connection.send(Outgoing::close(Some(CloseCode::NORMAL.into())), &mut output)?;
/// assert_eq!(&output[..], b"\x81\x05Hello\x82\x02\x01\x02\x81\x06secret\x89\x01?\x88\x02\x03\xe8");
/// # Ok::<(), bowsprit::SendError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'m>(pub(in crate::proto) Content<'m>);

/// As large as a [`Message`]: futures that send hold it.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) enum Content<'m> {
    /// `opcode` is `Text`, of valid UTF-8, or `Binary`; likewise in `Chunk`.
    Message {
        opcode: OpCode,
        uncompressed: bool,
        bytes: &'m [u8],
    },
    Chunk {
        opcode: OpCode,
        end: bool,
        uncompressed: bool,
        bytes: &'m [u8],
    },
    Prepared {
        uncompressed: bool,
        prepared: &'m Prepared,
    },
    Ping(&'m [u8]),
    Pong(&'m [u8]),
    EmptyClose,
    /// `reason` has at most [`Close::MAX_REASON`] bytes.
    Close {
        code: CloseCode,
        reason: &'m str,
    },
    /// `valid`: the header gives the payload's length, no mask and no reserved bit.
    Frame {
        opcode: OpCode,
        fin: bool,
        valid: bool,
        payload: &'m [u8],
    },
}

impl<'m> Outgoing<'m> {
    /// A text message.
    #[must_use]
    #[inline]
    pub const fn text(text: &'m str) -> Self {
        Self(Content::Message { opcode: OpCode::Text, uncompressed: false, bytes: text.as_bytes() })
    }

    /// A binary message.
    #[must_use]
    #[inline]
    pub const fn binary(bytes: &'m [u8]) -> Self {
        Self(Content::Message { opcode: OpCode::Binary, uncompressed: false, bytes })
    }

    /// A text or binary message, in frames of at most [`Config::fragment_size`](crate::Config::fragment_size) bytes.
    #[must_use]
    #[inline]
    pub fn message(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        Self(Content::Message { opcode: message.opcode(), uncompressed: false, bytes: message.as_bytes() })
    }

    /// A piece of a message, as one frame (RFC 6455 section 5.4). The piece with `end` set ends the message. The
    /// message's first piece decides whether it is compressed.
    #[must_use]
    #[inline]
    pub const fn chunk(chunk: Chunk<'m>) -> Self {
        let Chunk { data, end } = chunk;
        Self(Content::Chunk { opcode: data.opcode(), end, uncompressed: false, bytes: data.as_bytes() })
    }

    /// A message that has been encoded before.
    #[must_use]
    #[inline]
    pub const fn prepared(prepared: &'m Prepared) -> Self {
        Self(Content::Prepared { uncompressed: false, prepared })
    }

    /// A Ping of at most 125 bytes (RFC 6455 section 5.5.2), also between the chunks of a message.
    #[must_use]
    #[inline]
    pub const fn ping(payload: &'m [u8]) -> Self {
        Self(Content::Ping(payload))
    }

    /// An unsolicited Pong of at most 125 bytes (RFC 6455 section 5.5.3). The peer's Pings are answered without it.
    #[must_use]
    #[inline]
    pub const fn pong(payload: &'m [u8]) -> Self {
        Self(Content::Pong(payload))
    }

    /// A Close; `None` leaves its payload empty. Nothing may be sent after it, and a message in progress stays
    /// unfinished.
    ///
    /// A reason of more than 123 bytes is cut at a character boundary, as [`Close::truncated`] does: a Close that is
    /// refused for its reason would leave the peer without one, and a reason is only for people who read logs. To get
    /// an error instead, use [`Close::encode`], or send its payload as a raw [`frame`](Self::frame).
    #[must_use]
    #[inline]
    pub fn close(close: Option<Close<'m>>) -> Self {
        Self(close.map_or(Content::EmptyClose, |close| {
            let Close { code, reason } = close.truncated();
            Content::Close { code, reason }
        }))
    }

    /// A raw frame, for callers that forward frames or choose where a message is split. `header.len` is the payload's
    /// length, `header.mask` is `None` (a client adds one) and `header.rsv` is empty. Raw data frames are not
    /// compressed, and must follow what was sent before them: a continuation continues a message, text is UTF-8 over
    /// all its frames.
    #[must_use]
    #[inline]
    pub fn frame(header: Header, payload: &'m [u8]) -> Self {
        let Header { fin, rsv, opcode, mask, len } = header;
        let valid = len == payload.len() as u64 && mask.is_none() && rsv == Rsv::NONE;
        Self(Content::Frame { opcode, fin, valid, payload })
    }

    /// Without compression: because the payload is compressed already, or because it holds a secret beside data that an
    /// attacker chooses (RFC 7692 section 8).
    ///
    /// Applies to a message, to a prepared message and to the first chunk of a message; nothing else is ever compressed.
    /// A [custom extension](crate::extension::Extension) is asked not to encode, and may do so all the same.
    #[must_use]
    #[inline]
    pub const fn uncompressed(mut self) -> Self {
        match &mut self.0 {
            Content::Message { uncompressed, .. }
            | Content::Chunk { uncompressed, .. }
            | Content::Prepared { uncompressed, .. } => *uncompressed = true,
            Content::Ping(_)
            | Content::Pong(_)
            | Content::EmptyClose
            | Content::Close { .. }
            | Content::Frame { .. } => {}
        }
        self
    }

    /// Whether there is no payload.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload's length in bytes, before masking and compression; of a Close with its code.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Content::Message { bytes, .. } | Content::Chunk { bytes, .. } => bytes.len(),
            Content::Prepared { prepared, .. } => prepared.payload().len(),
            Content::Ping(payload) | Content::Pong(payload) | Content::Frame { payload, .. } => payload.len(),
            Content::EmptyClose => 0,
            Content::Close { reason, .. } => 2 + reason.len(),
        }
    }
}

impl<'m> From<Message<'m>> for Outgoing<'m> {
    #[inline]
    fn from(message: Message<'m>) -> Self {
        Self::message(message)
    }
}

impl<'m> From<&'m OwnedMessage> for Outgoing<'m> {
    #[inline]
    fn from(message: &'m OwnedMessage) -> Self {
        Self::message(message.as_message())
    }
}

impl<'m> From<Chunk<'m>> for Outgoing<'m> {
    #[inline]
    fn from(chunk: Chunk<'m>) -> Self {
        Self::chunk(chunk)
    }
}

impl<'m> From<&'m Prepared> for Outgoing<'m> {
    #[inline]
    fn from(prepared: &'m Prepared) -> Self {
        Self::prepared(prepared)
    }
}

impl<'m> From<&'m str> for Outgoing<'m> {
    #[inline]
    fn from(text: &'m str) -> Self {
        Self::text(text)
    }
}

impl<'m> From<&'m String> for Outgoing<'m> {
    #[inline]
    fn from(text: &'m String) -> Self {
        Self::text(text)
    }
}

impl<'m> From<&'m Utf8Bytes> for Outgoing<'m> {
    #[inline]
    fn from(text: &'m Utf8Bytes) -> Self {
        Self::text(text)
    }
}

impl<'m> From<&'m [u8]> for Outgoing<'m> {
    #[inline]
    fn from(bytes: &'m [u8]) -> Self {
        Self::binary(bytes)
    }
}

impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m> {
    #[inline]
    fn from(bytes: &'m [u8; N]) -> Self {
        Self::binary(bytes)
    }
}

impl<'m> From<&'m Vec<u8>> for Outgoing<'m> {
    #[inline]
    fn from(bytes: &'m Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl<'m> From<&'m Bytes> for Outgoing<'m> {
    #[inline]
    fn from(bytes: &'m Bytes) -> Self {
        Self::binary(bytes)
    }
}

/// A message whose payload the caller writes itself, without a copy, directly after the output: the header on the stack,
/// the payload borrowed. Returned by `begin`.
///
/// Its bytes are part of the stream from then on: what the transport does not accept of them must be appended to the
/// output before anything else is.
#[derive(Clone, Copy, Debug)]
#[must_use = "the message has begun: its bytes must follow the output"]
pub struct Uncopied<'m> {
    /// `None` where `payload` is a whole frame.
    header: Option<HeaderBytes>,
    payload: &'m [u8],
}

impl<'m> Uncopied<'m> {
    pub(in crate::proto) fn new(header: Header, payload: &'m [u8]) -> Self {
        Self { header: Some(header.encode()), payload }
    }

    pub(in crate::proto) const fn frame(frame: &'m [u8]) -> Self {
        Self { header: None, payload: frame }
    }

    /// What to write after the output, in this order. Of a prepared message the first is empty and the second the whole
    /// frame.
    #[must_use]
    #[inline]
    pub fn slices(&self) -> [&[u8]; 2] {
        [self.header.as_deref().unwrap_or_default(), self.payload]
    }
}

// Futures that send hold one; a message alone is as large.
const _: () = assert!(size_of::<Outgoing<'_>>() == size_of::<Message<'_>>());

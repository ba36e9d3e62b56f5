//! Messages, their pieces, and the events that hold them.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::proto::close::{Close, CloseError};
use crate::proto::close_code::CloseCode;
use crate::proto::frame::OpCode;
use crate::proto::utf8;

/// A text or binary message that borrows its payload. Complete: RFC 6455 defines no other kind of data.
///
/// ```
/// use bowsprit::Message;
///
/// let message = Message::from("héllo");
/// assert_eq!((message.as_text(), message.len()), (Some("héllo"), 6));
/// assert_eq!(Message::from(&b"\x00\xff"[..]), Message::Binary(&[0, 255]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload, whatever its kind.
    #[must_use]
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    #[must_use]
    #[inline]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Whether it is a text message.
    #[must_use]
    #[inline]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether it is a binary message.
    #[must_use]
    #[inline]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// The payload's length in bytes.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload has no bytes.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }

    /// A copy that owns its payload.
    #[must_use]
    pub fn to_owned(self) -> OwnedMessage {
        match self {
            Self::Text(text) => OwnedMessage::Text(text.into()),
            Self::Binary(bytes) => OwnedMessage::Binary(Bytes::copy_from_slice(bytes)),
        }
    }

    /// The opcode of its first frame.
    #[inline]
    pub(in crate::proto) const fn opcode(self) -> OpCode {
        match self {
            Self::Text(_) => OpCode::Text,
            Self::Binary(_) => OpCode::Binary,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    #[inline]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Utf8Bytes> for Message<'a> {
    #[inline]
    fn from(text: &'a Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    #[inline]
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Bytes> for Message<'a> {
    #[inline]
    fn from(bytes: &'a Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl AsRef<[u8]> for Message<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<'a> From<&'a OwnedMessage> for Message<'a> {
    #[inline]
    fn from(message: &'a OwnedMessage) -> Self {
        match message {
            OwnedMessage::Text(text) => Self::Text(text),
            OwnedMessage::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl<'a> TryFrom<Message<'a>> for &'a str {
    type Error = CloseError;

    /// The text of a text message; the error closes with 1003.
    fn try_from(message: Message<'a>) -> Result<Self, CloseError> {
        match message {
            Message::Text(text) => Ok(text),
            Message::Binary(_) => Err(CloseError::new(CloseCode::UNSUPPORTED_DATA, "only text messages are accepted")),
        }
    }
}

impl<'a> TryFrom<Message<'a>> for &'a [u8] {
    type Error = CloseError;

    /// The bytes of a binary message; the error closes with 1003.
    fn try_from(message: Message<'a>) -> Result<Self, CloseError> {
        match message {
            Message::Binary(bytes) => Ok(bytes),
            Message::Text(_) => Err(CloseError::new(CloseCode::UNSUPPORTED_DATA, "only binary messages are accepted")),
        }
    }
}

/// A text or binary message that owns its payload. One that was received holds at most twice its length and 64 bytes of
/// memory. Complete: RFC 6455 defines no other kind of data.
///
/// ```
/// use bowsprit::OwnedMessage;
///
/// let message = OwnedMessage::from("héllo");
/// assert!(message.is_text() && !message.is_empty());
/// assert_eq!((message.as_text(), message.len()), (Some("héllo"), 6));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedMessage {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl OwnedMessage {
    /// The payload, whatever its kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.as_message().as_bytes()
    }

    /// The text of a text message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_message().as_text()
    }

    /// Whether it is a text message.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether it is a binary message.
    #[must_use]
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// The payload's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The payload, whatever its kind.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message. It was validated when it arrived, and is not validated again.
    #[must_use]
    pub fn into_text(self) -> Option<Utf8Bytes> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The same message, borrowed.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        self.into()
    }
}

impl AsRef<[u8]> for OwnedMessage {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<OwnedMessage> for Bytes {
    fn from(message: OwnedMessage) -> Self {
        message.into_bytes()
    }
}

impl<const N: usize> From<&[u8; N]> for OwnedMessage {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        message.to_owned()
    }
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Utf8Bytes> for OwnedMessage {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for OwnedMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for OwnedMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// Shared bytes that are valid UTF-8; derefs to `str`. A clone shares the bytes.
///
/// ```
/// use bowsprit::Utf8Bytes;
/// use bytes::Bytes;
///
/// let text = Utf8Bytes::try_from(Bytes::from_static(b"text"))?;
/// assert_eq!(text, "text");
/// assert_eq!(Bytes::from(text), "text");
/// assert!(Utf8Bytes::try_from(Bytes::from_static(b"\xff")).is_err());
/// # Ok::<(), core::str::Utf8Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Utf8Bytes(
    /// Always valid UTF-8.
    Bytes,
);

impl Utf8Bytes {
    /// Wraps bytes that have been validated.
    ///
    /// # Safety
    ///
    /// They are UTF-8.
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    pub(in crate::proto) unsafe fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(utf8::check(&bytes).is_some());
        Self(bytes)
    }

    /// A text that is part of the program; nothing is copied.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The bytes alone.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text.
    #[must_use]
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    pub fn as_str(&self) -> &str {
        // SAFETY: the invariant of the field.
        unsafe { utf8::text(&self.0) }
    }
}

impl core::ops::Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Utf8Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = core::str::Utf8Error;

    /// Validates the bytes; none is copied.
    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        core::str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.0
    }
}

impl From<Utf8Bytes> for String {
    fn from(text: Utf8Bytes) -> Self {
        text.as_str().into()
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl core::fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self)
    }
}

impl core::fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A piece of a message, in the order of arrival. Where the pieces are cut carries no meaning
/// (RFC 6455 section 5.4); text is never cut inside a character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk<'a> {
    /// The piece, of the message's kind. May be empty where `end` is set.
    pub data: Message<'a>,
    /// Whether this is the message's last piece.
    pub end: bool,
}

impl<'a> From<Message<'a>> for Chunk<'a> {
    /// The whole message as its only piece.
    #[inline]
    fn from(data: Message<'a>) -> Self {
        Self { data, end: true }
    }
}

/// What the peer's bytes turned into. Payloads are borrowed from the input, unmasked in place.
///
/// `T` is what the connection's [`Delivery`] hands out: `Event<'a>` of a [`Messages`] connection holds a [`Message`],
/// `Event<'a, Chunk<'a>>` of a [`Chunks`] connection a [`Chunk`]. Complete: RFC 6455 defines no other frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a, T = Message<'a>> {
    /// A whole message, or a piece of one.
    Data(T),
    /// A Ping of up to 125 bytes; a [`Connection`](crate::Connection) has answered it.
    Ping(&'a [u8]),
    /// A Pong of up to 125 bytes, requested or not.
    Pong(&'a [u8]),
    /// The peer's Close, the last event; a [`Connection`](crate::Connection) has answered it.
    Close(Option<Close<'a>>),
}

/// How messages are handed out: [`Messages`] or [`Chunks`]. Fixed when the connection is made.
pub trait Delivery: sealed::Delivery {
    /// What is handed out: [`Message`] or [`Chunk`]. Generic code takes either as a chunk.
    type Item<'a>: Copy + Eq + core::fmt::Debug + Into<Chunk<'a>>;

    /// What is handed out of `data`, which ends its message if `end`.
    fn item(data: Message<'_>, end: bool) -> Self::Item<'_>;
}

/// Messages are handed out whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Messages;

/// Messages are handed out in pieces as they arrive, so that one longer than memory streams through.
/// Nothing is held but up to three bytes of a character (and the window of a compressed one). The limits are stated here, not in
/// [`Config`](crate::Config), because a stream chooses its own.
///
/// ```
/// use bowsprit::{Chunk, Chunks, Config, Connection, Event, Message};
/// use bytes::BytesMut;
///
/// let chunks = Chunks { max_message: 10 << 30, max_fragments: u32::MAX };
/// let mut connection = Connection::client(chunks, Config::default().into(), [7; 32]);
/// let mut input = BytesMut::from(&b"\x81\x05caf"[..]); // two bytes of the message are still to come
/// let mut output = BytesMut::new();
/// let mut batch = connection.receive(&mut input, &mut output);
/// let Some((Event::Data(Chunk { data, end }), _)) = batch.next()? else { panic!("a piece") };
/// assert_eq!((data, end), (Message::Text("caf"), false));
/// # Ok::<(), bowsprit::ProtocolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunks {
    /// The longest message in bytes.
    pub max_message: u64,
    /// The most fragments in one message.
    pub max_fragments: u32,
}

impl Delivery for Messages {
    type Item<'a> = Message<'a>;

    #[inline]
    fn item(data: Message<'_>, _: bool) -> Message<'_> {
        data
    }
}

impl Delivery for Chunks {
    type Item<'a> = Chunk<'a>;

    #[inline]
    fn item(data: Message<'_>, end: bool) -> Chunk<'_> {
        Chunk { data, end }
    }
}

mod sealed {
    use crate::proto::config::Config;

    pub trait Delivery: core::fmt::Debug {
        /// Whether a message is handed out in one piece.
        const WHOLE: bool;

        fn max_message(&self, config: &Config) -> u64;
        fn max_fragments(&self, config: &Config) -> u32;
    }

    impl Delivery for super::Messages {
        const WHOLE: bool = true;

        fn max_message(&self, config: &Config) -> u64 {
            config.max_message
        }

        fn max_fragments(&self, config: &Config) -> u32 {
            config.max_fragments
        }
    }

    impl Delivery for super::Chunks {
        const WHOLE: bool = false;

        fn max_message(&self, _: &Config) -> u64 {
            self.max_message
        }

        fn max_fragments(&self, _: &Config) -> u32 {
            self.max_fragments
        }
    }
}

//! Everything that can be sent.

use bytes::Bytes;

use crate::proto::close::Close;
use crate::proto::frame::{Header, HeaderBytes};
use crate::proto::message::{Chunk, Message, OwnedMessage};
use crate::proto::prepared::Prepared;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'m> {
    pub(in crate::proto) kind: Kind<'m>,
    pub(in crate::proto) uncompressed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::proto) enum Kind<'m> {
    Message(Message<'m>),
    Chunk(Chunk<'m>),
    Prepared(&'m Prepared),
    Ping(&'m [u8]),
    Pong(&'m [u8]),
    Close(Option<Close<'m>>),
    Frame(Header, &'m [u8]),
}

impl<'m> Outgoing<'m> {
    const fn new(kind: Kind<'m>) -> Self {
        Self { kind, uncompressed: false }
    }

    /// A message.
    #[must_use]
    pub fn message(message: impl Into<Message<'m>>) -> Self {
        Self::new(Kind::Message(message.into()))
    }

    /// A Ping.
    #[must_use]
    pub const fn ping(payload: &'m [u8]) -> Self {
        Self::new(Kind::Ping(payload))
    }

    /// A Pong.
    #[must_use]
    pub const fn pong(payload: &'m [u8]) -> Self {
        Self::new(Kind::Pong(payload))
    }

    /// A Close.
    #[must_use]
    pub const fn close(close: Option<Close<'m>>) -> Self {
        Self::new(Kind::Close(close))
    }

    /// A raw frame.
    #[must_use]
    pub const fn frame(header: Header, payload: &'m [u8]) -> Self {
        Self::new(Kind::Frame(header, payload))
    }

    /// Not compressed.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// Whether there is no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload's length in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self.kind {
            Kind::Message(message) => message.as_bytes().len(),
            Kind::Chunk(chunk) => chunk.data.as_bytes().len(),
            Kind::Prepared(prepared) => prepared.payload().len(),
            Kind::Ping(payload) | Kind::Pong(payload) | Kind::Frame(_, payload) => payload.len(),
            Kind::Close(close) => close.map_or(0, |close| 2 + close.reason.len()),
        }
    }
}

impl<'m> From<Message<'m>> for Outgoing<'m> {
    #[inline]
    fn from(message: Message<'m>) -> Self {
        Self::new(Kind::Message(message))
    }
}
impl<'m> From<&'m str> for Outgoing<'m> {
    fn from(text: &'m str) -> Self {
        Self::message(text)
    }
}
impl<'m> From<&'m alloc::string::String> for Outgoing<'m> {
    fn from(text: &'m alloc::string::String) -> Self {
        Self::message(text.as_str())
    }
}
impl<'m> From<&'m [u8]> for Outgoing<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        Self::message(bytes)
    }
}
impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        Self::message(bytes)
    }
}
impl<'m> From<&'m Bytes> for Outgoing<'m> {
    fn from(bytes: &'m Bytes) -> Self {
        Self::message(&bytes[..])
    }
}
impl<'m> From<&'m OwnedMessage> for Outgoing<'m> {
    fn from(message: &'m OwnedMessage) -> Self {
        Self::message(message)
    }
}
impl<'m> From<Chunk<'m>> for Outgoing<'m> {
    fn from(chunk: Chunk<'m>) -> Self {
        Self::new(Kind::Chunk(chunk))
    }
}
impl<'m> From<&'m Prepared> for Outgoing<'m> {
    fn from(prepared: &'m Prepared) -> Self {
        Self::new(Kind::Prepared(prepared))
    }
}

/// A payload that was not copied.
#[derive(Clone, Copy, Debug)]
pub struct Uncopied<'m> {
    pub(in crate::proto) header: Option<HeaderBytes>,
    pub(in crate::proto) payload: &'m [u8],
}

impl Uncopied<'_> {
    /// Header and payload.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 2] {
        [self.header.as_ref().map_or(&[], |header| &header[..]), self.payload]
    }
}

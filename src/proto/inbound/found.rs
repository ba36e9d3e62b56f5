//! What the machine found: a value that borrows nothing, and how it is lent.

use core::ops::Range;

use bytes::{Buf, BytesMut};

use super::Inbound;
use crate::proto::close::Close;
use crate::proto::message::{Chunk, Delivery, Event, Message};
use crate::proto::utf8;

/// What the machine found and where it lies: a value that borrows nothing, so that a loop can hold it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Data { text: bool, end: bool, place: Place },
    Ping(Span),
    Pong(Span),
    Close(Span),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Input(Span),
    Buffer { len: usize },
    Character { len: usize },
}

/// A part of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Span {
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }

    #[inline]
    pub(crate) const fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

impl<D: Delivery> Inbound<D> {
    /// Lends what `find` found in the same `input`.
    #[inline]
    pub(crate) fn lend<'a>(&'a self, found: Found, input: &'a [u8]) -> Event<'a> {
        match found {
            Found::Data { text, end, place } => {
                let data = self.data(text, place, input);
                if D::WHOLE { data.into() } else { Event::Chunk(Chunk { data, end }) }
            }
            Found::Ping(span) => Event::Ping(span.of(input)),
            Found::Pong(span) => Event::Pong(span.of(input)),
            // Decoded once already, so it is right.
            Found::Close(span) => Event::Close(Close::decode(span.of(input)).unwrap_or(None)),
        }
    }

    /// The data that `find` found in the same `input`.
    #[inline]
    pub(crate) fn data<'a>(&'a self, text: bool, place: Place, input: &'a [u8]) -> Message<'a> {
        let bytes = match place {
            Place::Input(span) => span.of(input),
            Place::Buffer { len } => &self.buffer[..len],
            Place::Character { len } => &self.character[..len],
        };
        // What is found as text has been validated up to here.
        if text { Message::Text(utf8::validated(bytes)) } else { Message::Binary(bytes) }
    }
}

mod owned {
    use bytes::Bytes;

    use super::{Inbound, Place, Span};
    use crate::proto::message::{Messages, OwnedMessage, Utf8Bytes};

    // Of whole messages alone: behind a piece, the buffer may hold a character that is not complete.
    impl Inbound<Messages> {
        /// The data that `find` found, owned: the reassembly buffer itself where that wastes at most half of it.
        /// `take_input` makes a part of the input owned.
        #[inline]
        pub(crate) fn take(
            &mut self,
            text: bool,
            place: Place,
            take_input: impl FnOnce(Span) -> Bytes,
        ) -> OwnedMessage {
            let bytes = match place {
                Place::Input(span) => take_input(span),
                Place::Buffer { .. } if self.buffer.len() >= self.buffer.capacity() / 2 => {
                    core::mem::take(&mut self.buffer).into()
                }
                Place::Buffer { .. } => Bytes::copy_from_slice(&self.buffer),
                Place::Character { len } => Bytes::copy_from_slice(&self.character[..len]),
            };
            if text { OwnedMessage::Text(Utf8Bytes::from_validated(bytes)) } else { OwnedMessage::Binary(bytes) }
        }
    }
}

/// Walks the input of an [`Inbound`]. The bytes behind it are dropped from the input once, when the cursor is.
#[derive(Debug)]
pub struct Cursor<'i> {
    pub(super) input: &'i mut BytesMut,
    /// Everything before it has been consumed; at most `input.len()`.
    pub(super) at: usize,
}

impl<'i> Cursor<'i> {
    /// At the start of `input`.
    #[must_use]
    pub fn new(input: &'i mut BytesMut) -> Self {
        Self { input, at: 0 }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        self.input.advance(self.at);
    }
}

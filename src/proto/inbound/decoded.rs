//! What the state machine decoded: a value that borrows nothing, and how it is lent.
//!
//! A [`Decoded`] says where data lies, and that text there is valid UTF-8. Both hold only for the buffers that it was found
//! in, as they were then, so the functions that make a `&str` of it are `unsafe`. [`Inbound::next`] and
//! [`Batch::next`](crate::Batch::next) are the safe forms: they lend at once.

use core::ops::Range;

use bytes::{Buf, BytesMut};

use super::Inbound;
use crate::proto::close::Close;
use crate::proto::message::{Delivery, Event, Message};
use crate::proto::utf8;

/// What was decoded and where it lies: a value that borrows nothing, so that a loop can hold it.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) enum Decoded {
    /// A message or, in [`Chunks`](crate::Chunks) delivery, a piece of one; text has been validated.
    Data {
        text: bool,
        end: bool,
        location: Location,
    },
    Ping(InputRange),
    Pong(InputRange),
    Close(InputRange),
}

/// Where the payload of a [`Decoded`] lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) enum Location {
    Input(InputRange),
    /// The first bytes of the reassembly buffer.
    Buffer {
        len: usize,
    },
}

/// A part of the input.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct InputRange {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl InputRange {
    #[inline]
    pub(in crate::proto) const fn new(start: usize, len: usize) -> Self {
        Self { start, len }
    }

    #[inline]
    pub(in crate::proto) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }

    #[inline]
    pub(in crate::proto) const fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

impl<D: Delivery> Inbound<D> {
    /// Lends what `find` or `find_owned` found.
    ///
    /// # Safety
    ///
    /// As [`data`](Self::data).
    #[inline]
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    pub(in crate::proto) unsafe fn lend<'a>(&'a self, decoded: Decoded, input: &'a [u8]) -> Event<'a, D::Item<'a>> {
        match decoded {
            Decoded::Data { text, end, location } => {
                // SAFETY: the caller's promise.
                let data = unsafe { self.data(text, location, input) };
                Event::Data(D::item(data, end))
            }
            Decoded::Ping(range) => Event::Ping(range.of(input)),
            Decoded::Pong(range) => Event::Pong(range.of(input)),
            // Decoded once already, so it is right.
            Decoded::Close(range) => Event::Close(Close::decode(range.of(input)).unwrap_or(None)),
        }
    }

    /// The data of what `find` or `find_owned` found.
    ///
    /// # Safety
    ///
    /// `text` and `location` are those of the last [`Decoded`] that this machine found, and `input` holds the same bytes
    /// as when that call returned.
    #[inline]
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    pub(in crate::proto) unsafe fn data<'a>(&'a self, text: bool, location: Location, input: &'a [u8]) -> Message<'a> {
        let bytes = match location {
            Location::Input(range) => range.of(input),
            Location::Buffer { len } => &self.buffer[..len],
        };
        if text {
            // SAFETY: whatever is found as text has been validated, whole: in the input by the call that found it, or
            // before while nobody could change it (`find_owned`); in the machine's own buffers, which only its
            // `&mut self` functions change, as it was appended, and what extensions did to it again at its end.
            Message::Text(unsafe { utf8::text(bytes) })
        } else {
            Message::Binary(bytes)
        }
    }
}

mod owned {
    use bytes::Bytes;

    use super::{Inbound, InputRange, Location};
    use crate::proto::message::{Messages, OwnedMessage, Utf8Bytes};

    // Only for whole messages: after a piece, the buffer may hold a character that is not complete.
    impl Inbound<Messages> {
        /// The data of what was found, owned: the reassembly buffer itself where that wastes at most half of it.
        /// `take_input` makes a part of the input owned.
        ///
        /// # Safety
        ///
        /// As [`data`](Self::data); `take_input` returns the bytes of that range of the input.
        #[inline]
        #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
        pub(in crate::proto) unsafe fn take(
            &mut self,
            text: bool,
            location: Location,
            take_input: impl FnOnce(InputRange) -> Bytes,
        ) -> OwnedMessage {
            let bytes = match location {
                Location::Input(span) => take_input(span),
                Location::Buffer { .. } if self.buffer.len() >= self.buffer.capacity() / 2 => {
                    core::mem::take(&mut self.buffer).into()
                }
                Location::Buffer { .. } => Bytes::copy_from_slice(&self.buffer),
            };
            if text {
                // SAFETY: validated, as the text of `data` is.
                OwnedMessage::Text(unsafe { Utf8Bytes::from_validated(bytes) })
            } else {
                OwnedMessage::Binary(bytes)
            }
        }
    }
}

/// Walks the input of an [`Inbound`]. The bytes before it are dropped from the input once, when the cursor is.
///
/// The input holds what the transport delivered: append to it, and change nothing else between two reads. A change cannot
/// break memory safety, but a frame that is partly received may then decode to other bytes, or fail.
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

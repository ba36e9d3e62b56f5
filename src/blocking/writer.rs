//! The sending side, which owns the socket.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::BytesMut;

use super::clock;
use super::half;
use super::transport::Transport;
use crate::adapter::{self, UNCOPIED, buffers};
use crate::proto::close::Close;
use crate::proto::error::{Error, ProtocolError, SendError};
use crate::proto::inbound::{Decoded, InboundStatus};
use crate::proto::link::Link;
use crate::proto::message::{Chunk, Message};
use crate::proto::prepared::Prepared;

/// The sending side of a [`WebSocket`](super::WebSocket), lent by [`next`](super::WebSocket::next) together with a
/// message, so that the answer may borrow from it.
#[derive(Debug)]
pub struct Writer<S> {
    pub(super) socket: S,
    pub(super) link: Link,
    pub(super) output: BytesMut,
    /// How the first write failed that did.
    pub(super) failed: Option<io::ErrorKind>,
    /// The stream holds what it took, and could not hand it on.
    pub(super) unflushed: bool,
}

impl<S: Transport> Writer<S> {
    /// Sends a message: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] when the message may not be sent; [`Error::Io`] when the transport fails or takes nothing for
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Queues a message. It leaves before the socket is read again, when the queue reaches
    /// [`Config::max_unsent`](crate::Config::max_unsent), or on [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        half::with_room(self, |writer| writer.try_feed(message))
    }

    /// Sends a message that is not to be compressed: because it is compressed already, or because it holds a secret beside
    /// what an attacker chooses (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.feed_plain(message)?;
        self.flush()
    }

    /// Queues such a message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        half::with_room(self, |writer| writer.try_feed_plain(message))
    }

    /// Queues a piece of a message; the piece with `end` set ends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_chunk(&mut self, chunk: Chunk<'_>) -> Result<(), Error> {
        half::with_room(self, |writer| writer.try_feed_chunk(chunk))
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        half::with_room(self, |writer| writer.try_feed_prepared(prepared))?;
        self.flush()
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] as [`send`](Self::send).
    pub fn flush(&mut self) -> Result<(), Error> {
        half::flush(self)
    }

    /// Sends a Ping of at most 125 bytes; the time to its Pong becomes `latency()`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.control(|link, output| link.ping(payload, output))?;
        self.flush()
    }

    /// Begins the closing handshake: queues a Close, and writes what the socket takes at once.
    /// [`next`](super::WebSocket::next) writes the rest, and goes on until the peer's Close.
    ///
    /// Nothing follows a Close: whatever is sent after it fails with [`SendError::Closing`], and so ends a loop that goes
    /// on answering what `next` hands out.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.control(|link, output| link.close(close, output))?;
        // No wait: the peer may have to be read before it reads.
        self.try_flush()?;
        Ok(())
    }

    /// Does what follows from a control frame that was found in `input`.
    pub(super) fn follow(&mut self, found: Decoded, input: &[u8]) {
        buffers::take_output(&mut self.output);
        self.link.follow(found, input, &mut self.output);
    }

    /// The peer broke a rule.
    pub(super) fn fail(&mut self, error: ProtocolError) {
        buffers::take_output(&mut self.output);
        self.link.fail(error, &mut self.output);
    }

    /// Gives back the memory of compression on the sending side, some 300 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message that goes out in chunks.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.link.release();
    }

    pub(super) fn try_feed(&mut self, message: Message<'_>) -> Result<(), Error> {
        buffers::take_output(&mut self.output);
        if message.as_bytes().len() >= UNCOPIED
            && let Some(header) = self.link.begin(message, &self.output)?
        {
            return self.write_uncopied(&header, message.as_bytes());
        }
        Ok(self.link.message(message, &mut self.output)?)
    }

    pub(super) fn try_feed_plain(&mut self, message: Message<'_>) -> Result<(), Error> {
        buffers::take_output(&mut self.output);
        if message.as_bytes().len() >= UNCOPIED
            && let Some(header) = self.link.begin_plain(message, &self.output)?
        {
            return self.write_uncopied(&header, message.as_bytes());
        }
        Ok(self.link.plain(message, &mut self.output)?)
    }

    pub(super) fn try_feed_chunk(&mut self, chunk: Chunk<'_>) -> Result<(), Error> {
        buffers::take_output(&mut self.output);
        Ok(self.link.chunk(chunk, &mut self.output)?)
    }

    pub(super) fn try_feed_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        buffers::take_output(&mut self.output);
        if prepared.payload().len() >= UNCOPIED
            && let Some(frame) = self.link.begin_prepared(prepared, &self.output)?
        {
            return self.write_uncopied(frame, &[]);
        }
        Ok(self.link.prepared(prepared, &mut self.output)?)
    }

    pub(super) fn control(
        &mut self,
        append: impl FnOnce(&mut Link, &mut BytesMut) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        buffers::take_output(&mut self.output);
        append(&mut self.link, &mut self.output)?;
        // The time of a Ping and the deadline of a Close count from now, not from the reader's next look at the clock.
        self.arm(None);
        Ok(())
    }

    /// Sets the deadlines. The time until the next one, of those that can be judged without `inside` where it is missing.
    pub(super) fn arm(&mut self, inside: Option<InboundStatus>) -> Option<Duration> {
        let unsent = self.has_unsent();
        let mut now = None;
        if self.link.wants_time(inside, unsent) {
            self.link.arm(*now.insert(clock::now()), inside, unsent);
        }
        let deadline = match inside {
            Some(_) => self.link.poll_timeout(),
            None => self.link.poll_write_timeout(),
        }?;
        Some(deadline.saturating_sub(now.unwrap_or_else(clock::now)))
    }

    /// Does what is due.
    ///
    /// # Errors
    ///
    /// `TimedOut` when a deadline ended the connection.
    pub(super) fn expire(&mut self, inside: Option<InboundStatus>) -> Result<(), Error> {
        let timeout = match inside {
            Some(_) => self.link.handle_timeout(clock::now(), &mut self.output),
            None => self.link.handle_write_timeout(clock::now(), &mut self.output),
        };
        match timeout {
            Some(timeout) => Err(adapter::timed_out(timeout)),
            None => Ok(()),
        }
    }

    /// Writes what the transport takes at once. Whether the queue is empty now.
    pub(super) fn try_flush(&mut self) -> Result<bool, Error> {
        while !self.output.is_empty() {
            match self.socket.try_write(&[IoSlice::new(&self.output)]) {
                Ok(0) => return Err(self.write_failed(io::ErrorKind::WriteZero.into())),
                Ok(n) => self.link.wrote(n, &mut self.output),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        self.flush_socket()
    }

    /// Has a stream that buffers hand on what it took. Whether it did.
    fn flush_socket(&mut self) -> Result<bool, Error> {
        loop {
            match self.socket.flush() {
                Ok(()) => {
                    self.unflushed = false;
                    buffers::park_output(&mut self.output);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unflushed = true;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.write_failed(error)),
            }
        }
    }

    /// The transport takes nothing any more; what it has to read is read on.
    fn write_failed(&mut self, error: io::Error) -> Error {
        self.link.write_failed();
        self.failed.get_or_insert(error.kind());
        self.output = BytesMut::new();
        self.unflushed = false;
        error.into()
    }

    /// The transport has failed.
    pub(super) fn broken(&mut self, error: io::Error) -> Error {
        self.link.disconnected(self.has_unsent());
        self.output = BytesMut::new();
        error.into()
    }

    /// Whether something has not left.
    pub(super) fn has_unsent(&self) -> bool {
        !self.output.is_empty() || self.unflushed
    }

    /// One vectored write of the queue and what comes behind it; what the transport refuses is queued.
    fn write_uncopied(&mut self, header: &[u8], payload: &[u8]) -> Result<(), Error> {
        let written = loop {
            let parts = [IoSlice::new(&self.output), IoSlice::new(header), IoSlice::new(payload)];
            match self.socket.try_write(&parts) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.write_failed(error)),
            }
        };
        adapter::queue_rest(written, [header, payload], &mut self.link, &mut self.output);
        Ok(())
    }
}

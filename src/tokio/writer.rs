//! The sending side, which owns the socket.

use std::boxed::Box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::clock;
use super::sending::{Sending, What};
use crate::adapter::buffers::{self, Input};
use crate::adapter::{self, UNCOPIED};
use crate::proto::close::Close;
use crate::proto::error::{Error, ProtocolError, SendError};
use crate::proto::inbound::{Found, Inside};
use crate::proto::link::{Link, TransportState};
use crate::proto::message::{Chunk, Message};
use crate::proto::prepared::Prepared;

/// The sending side of a [`WebSocket`](super::WebSocket), lent by [`next`](super::WebSocket::next) together with a
/// message, so that the answer may borrow from it.
///
/// All its futures may be dropped at any await: a message has been queued whole then, or not at all.
#[derive(Debug)]
pub struct Writer<S> {
    pub(super) socket: S,
    pub(super) link: Link,
    pub(super) output: BytesMut,
    /// While a deadline is set.
    timer: Option<Pin<Box<Sleep>>>,
    /// How the first write failed that did.
    pub(super) failed: Option<io::ErrorKind>,
    /// The stream has taken bytes, and may not have handed them on.
    unflushed: bool,
    /// Our writing side has been shut down.
    shut: bool,
    /// The peer ended the stream.
    peer_ended: bool,
}

/// Each verb waits while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent.
impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Sends a message: its bytes have been handed to the socket when this is done.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] when the message may not be sent; [`Error::Io`] when the transport fails or takes nothing for
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Self> {
        Sending::flushed(self, What::Message(message.into()))
    }

    /// Queues a message. It leaves before the socket is read again, when the queue reaches
    /// [`Config::max_unsent`](crate::Config::max_unsent), or on [`flush`](Self::flush). (An unmasked payload of 4 KiB
    /// or more leaves at once, as far as the socket takes it.)
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Self> {
        Sending::queued(self, What::Message(message.into()))
    }

    /// Sends a message that is not to be compressed: because it is compressed already, or because it holds a secret
    /// beside what an attacker chooses (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Self> {
        Sending::flushed(self, What::Plain(message.into()))
    }

    /// Queues such a message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Self> {
        Sending::queued(self, What::Plain(message.into()))
    }

    /// Queues a piece of a message; the piece with `end` set ends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_chunk<'m>(&mut self, chunk: Chunk<'m>) -> Sending<'_, 'm, Self> {
        Sending::queued(self, What::Chunk(chunk))
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared<'m>(&mut self, prepared: &'m Prepared) -> Sending<'_, 'm, Self> {
        Sending::flushed(self, What::Prepared(prepared))
    }

    /// Waits until a message would be accepted: [`try_feed`](Self::try_feed) succeeds then.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] as [`send`](Self::send).
    pub fn ready(&mut self) -> Sending<'_, 'static, Self> {
        Sending::queued(self, What::Room)
    }

    /// Queues a message at once, or not at all. It leaves as with [`feed`](Self::feed), but never at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while there is no room; else as [`Connection::message`](crate::Connection::message).
    pub fn try_feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        buffers::take_output(&mut self.output);
        self.link.message(message.into(), &mut self.output)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] as [`send`](Self::send).
    pub fn flush(&mut self) -> Sending<'_, 'static, Self> {
        Sending::flushed(self, What::Nothing)
    }

    /// Sends a Ping of at most 125 bytes; the time to its Pong becomes `latency()`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, Self> {
        Sending::flushed(self, What::Ping(payload))
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
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, Self> {
        Sending::tried(self, What::Close(close))
    }

    /// Gives back the memory of compression on the sending side, some 300 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message that goes out in chunks.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.link.release();
    }

    /// The stream.
    pub(crate) fn stream(&self) -> &S {
        &self.socket
    }

    pub(super) fn new(socket: S, link: Link, output: BytesMut) -> Self {
        // Whoever had the stream before may have left something in it.
        Self { socket, link, output, timer: None, failed: None, unflushed: true, shut: false, peer_ended: false }
    }

    /// Does what follows from a control frame that was found in `input`.
    pub(super) fn follow(&mut self, found: Found, input: &[u8]) {
        buffers::take_output(&mut self.output);
        self.link.follow(found, input, &mut self.output);
    }

    /// The peer broke a rule.
    pub(super) fn fail(&mut self, error: ProtocolError) {
        buffers::take_output(&mut self.output);
        self.link.fail(error, &mut self.output);
    }

    /// Whether a message goes out in chunks, and has not ended.
    pub(crate) fn is_message_in_progress(&self) -> bool {
        self.link.is_message_in_progress()
    }

    /// Queues a message, once there is room.
    pub(crate) fn poll_feed(&mut self, context: &mut Context<'_>, message: Message<'_>) -> Poll<Result<(), Error>> {
        self.poll_queue(context, What::Message(message))
    }

    /// Queues, once there is room.
    #[inline]
    pub(super) fn poll_queue(&mut self, context: &mut Context<'_>, what: What<'_>) -> Poll<Result<(), Error>> {
        while let Err(error) = self.queue(context, what) {
            match error {
                Error::Send(SendError::Full) => ready!(self.poll_room(context))?,
                error => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    pub(super) fn queue(&mut self, context: &mut Context<'_>, what: What<'_>) -> Result<(), Error> {
        if !matches!(what, What::Room) {
            buffers::take_output(&mut self.output);
        }
        match what {
            What::Message(message) if message.as_bytes().len() < UNCOPIED => {
                self.link.message(message, &mut self.output)?;
            }
            What::Message(message) => return self.queue_large(context, message),
            What::Plain(message) => return self.queue_plain(context, message),
            What::Chunk(chunk) => self.link.chunk(chunk, &mut self.output)?,
            What::Prepared(prepared) => return self.queue_prepared(context, prepared),
            What::Room if self.output.len() >= self.link.config().max_unsent.max(1) => {
                return Err(SendError::Full.into());
            }
            What::Room | What::Nothing => {}
            What::Ping(payload) => {
                self.link.ping(payload, &mut self.output)?;
                self.count_from_now();
            }
            What::Close(close) => {
                self.link.close(close, &mut self.output)?;
                self.count_from_now();
            }
        }
        Ok(())
    }

    fn queue_large(&mut self, context: &mut Context<'_>, message: Message<'_>) -> Result<(), Error> {
        if self.socket.is_write_vectored()
            && let Some(header) = self.link.begin(message, &self.output)?
        {
            return self.write_uncopied(context, &header, message.as_bytes());
        }
        Ok(self.link.message(message, &mut self.output)?)
    }

    fn queue_plain(&mut self, context: &mut Context<'_>, message: Message<'_>) -> Result<(), Error> {
        if message.as_bytes().len() >= UNCOPIED
            && self.socket.is_write_vectored()
            && let Some(header) = self.link.begin_plain(message, &self.output)?
        {
            return self.write_uncopied(context, &header, message.as_bytes());
        }
        Ok(self.link.plain(message, &mut self.output)?)
    }

    fn queue_prepared(&mut self, context: &mut Context<'_>, prepared: &Prepared) -> Result<(), Error> {
        if prepared.payload().len() >= UNCOPIED
            && self.socket.is_write_vectored()
            && let Some(frame) = self.link.begin_prepared(prepared, &self.output)?
        {
            return self.write_uncopied(context, frame, &[]);
        }
        Ok(self.link.prepared(prepared, &mut self.output)?)
    }

    /// One vectored write of the queue and what comes behind it; what the transport refuses is queued.
    fn write_uncopied(&mut self, context: &mut Context<'_>, header: &[u8], payload: &[u8]) -> Result<(), Error> {
        let parts = [IoSlice::new(&self.output), IoSlice::new(header), IoSlice::new(payload)];
        let written = match Pin::new(&mut self.socket).poll_write_vectored(context, &parts) {
            Poll::Ready(Ok(n)) => n,
            Poll::Pending => 0,
            Poll::Ready(Err(error)) => return Err(self.write_failed(error)),
        };
        self.unflushed |= written > 0;
        adapter::queue_rest(written, [header, payload], &mut self.link, &mut self.output);
        Ok(())
    }

    /// The time of a Ping and the deadline of a Close count from now, not from the next look at the clock.
    fn count_from_now(&mut self) {
        let unsent = !self.output.is_empty();
        if self.link.wants_time(None, unsent) {
            self.link.arm(clock::now(), None, unsent);
        }
    }

    /// Writes until a message would be accepted.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.output.len() >= self.link.config().max_unsent.max(1) {
            if !self.try_write(context)? {
                ready!(self.poll_deadline(context, None))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all that is queued.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.try_flush(context)? {
            ready!(self.poll_deadline(context, None))?;
        }
        // An empty queue may also be one that was thrown away, by an earlier call or the other half.
        if self.link.is_lost() {
            return Poll::Ready(Err(adapter::lost(self.link.end(), self.failed)));
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the transport takes at once. Whether the queue is empty now, and handed on.
    pub(super) fn try_flush(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        while !self.output.is_empty() {
            if !self.try_write(context)? {
                return Ok(false);
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(self.write_failed(error)),
                Poll::Pending => return Ok(false),
            }
        }
        buffers::park_output(&mut self.output);
        Ok(true)
    }

    /// One write. Whether the transport took anything.
    fn try_write(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        match Pin::new(&mut self.socket).poll_write(context, &self.output) {
            Poll::Ready(Ok(0)) => Err(self.write_failed(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(n)) => {
                self.unflushed = true;
                self.link.wrote(n, &mut self.output);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(self.write_failed(error)),
            Poll::Pending => Ok(false),
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, input: &mut Input) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(input.room());
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
        let n = room.filled().len();
        input.filled(n);
        Poll::Ready(Ok(n))
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
        self.failed.map_or(error, io::Error::from).into()
    }

    /// Whether something has not left: a stream that buffers may hold what it took.
    fn has_unsent(&self) -> bool {
        !self.output.is_empty() || self.unflushed
    }

    /// Whether a deadline has passed, as far as the timer knows.
    pub(super) fn is_overdue(&self) -> bool {
        self.timer.as_ref().is_some_and(|timer| timer.is_elapsed())
    }

    /// Sets the deadlines, and waits for the first: of all where the caller knows what is `inside`, else of those of the
    /// sending side. Done when something was due that ended nothing: there may be something to write.
    ///
    /// # Errors
    ///
    /// `TimedOut` when a deadline ended the connection.
    pub(super) fn poll_deadline(
        &mut self,
        context: &mut Context<'_>,
        inside: Option<Inside>,
    ) -> Poll<Result<(), Error>> {
        let unsent = self.has_unsent();
        if self.link.wants_time(inside, unsent) {
            self.link.arm(clock::now(), inside, unsent);
        }
        loop {
            let Some(at) = deadline(&self.link, inside) else {
                if inside.is_some() {
                    self.timer = None;
                }
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            // One that fires too early costs less than to move it each time.
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            if !timer.is_elapsed() {
                ready!(timer.as_mut().poll(context));
            }
            if self.handle_timeout(inside)? {
                return Poll::Ready(Ok(()));
            }
            if let Some((timer, at)) = self.timer.as_mut().zip(deadline(&self.link, inside)) {
                timer.as_mut().reset(at);
            }
        }
    }

    /// Does what is due. Whether something was.
    fn handle_timeout(&mut self, inside: Option<Inside>) -> Result<bool, Error> {
        let (now, before) = (clock::now(), self.output.len());
        let timeout = match inside {
            Some(_) => self.link.handle_timeout(now, &mut self.output),
            None => self.link.handle_write_timeout(now, &mut self.output),
        };
        match timeout {
            Some(timeout) => Err(adapter::timed_out(timeout)),
            None => Ok(self.output.len() > before),
        }
    }

    /// Ends the transport as the machine says: writes what is left, shuts the writing side down, reads and discards until
    /// the peer ends the stream or the close deadline is over. Closing at once would send a reset for input that nobody
    /// read, and with it destroy what is still on its way to the peer.
    pub(super) fn poll_linger(&mut self, context: &mut Context<'_>, inside: Inside) -> Poll<()> {
        while self.link.transport() != TransportState::Closed {
            let Ok(flushed) = self.try_flush(context) else {
                self.link.disconnected(true);
                break;
            };
            // A client lets the server end the stream first (RFC 6455 section 7.1.1).
            let shut_down = self.peer_ended || self.link.transport() == TransportState::Shutdown;
            if flushed && shut_down && !self.shut {
                match Pin::new(&mut self.socket).poll_shutdown(context) {
                    Poll::Ready(Ok(())) => self.shut = true,
                    Poll::Ready(Err(_)) => {
                        self.link.disconnected(false);
                        break;
                    }
                    Poll::Pending => {}
                }
            }
            if self.shut && self.peer_ended {
                self.link.disconnected(false);
                break;
            }
            let read = if self.peer_ended { Poll::Pending } else { self.poll_read(context, &mut Input::default()) };
            match read {
                // It may have ended its writing side alone, and still read.
                Poll::Ready(Ok(0)) => self.peer_ended = true,
                // However much comes, the deadline is looked at.
                Poll::Ready(Ok(_)) if self.timer.is_none() || self.is_overdue() => {
                    drop(self.poll_deadline(context, Some(inside)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => {
                    self.link.disconnected(self.has_unsent());
                    break;
                }
                // An error is a deadline that ended the transport, or the connection: the loop looks.
                Poll::Pending => drop(ready!(self.poll_deadline(context, Some(inside)))),
            }
        }
        if self.has_unsent() {
            self.link.disconnected(true);
            self.output = BytesMut::new();
        }
        self.timer = None;
        if !self.shut {
            // The peer sees the end now, not only when the stream is dropped.
            self.shut = true;
            let _ = Pin::new(&mut self.socket).poll_shutdown(context);
        }
        Poll::Ready(())
    }
}

/// The first deadline: of all where the caller knows what is `inside`, else of those of the sending side.
fn deadline(link: &Link, inside: Option<Inside>) -> Option<Instant> {
    let deadline = match inside {
        Some(_) => link.poll_timeout(),
        None => link.poll_write_timeout(),
    };
    deadline.and_then(clock::instant)
}

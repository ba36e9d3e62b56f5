//! The sending side, which owns the socket.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use super::half::Access;
use super::io::{Machine, Own, drive, poll_writing, report, wait_failed};
use super::transport::Transport;
use crate::adapter::ThreadBuffers;
use crate::driver::{Goal, ReceiveHalf, SendHalf, Step, TransportError};
use crate::{Close, Delivery, Error, Outgoing, SendError};

/// The sending side of a [`WebSocket`](super::WebSocket), which [`next`](super::WebSocket::next) returns together with a
/// message, so that the answer may borrow from the message.
#[derive(Debug)]
pub struct Writer<S> {
    pub(super) socket: S,
    pub(super) send: SendHalf<ThreadBuffers>,
}

/// Each verb waits while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent.
impl<S: Transport> Writer<S> {
    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        send(self, outgoing.into())
    }

    /// Queues a message, or anything else that is [`Outgoing`]. It leaves before the socket is read again, when the queue
    /// reaches [`Config::max_unsent`](crate::Config::max_unsent), or on [`flush`](Self::flush). (An unmasked payload of
    /// 4 KiB or more leaves at once, as far as the socket accepts it.)
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    #[inline]
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        feed(self, outgoing.into())
    }

    /// Queues at once, or not at all. It leaves as with [`feed`](Self::feed), but never at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send.feed(outgoing)
    }

    /// Waits until a message would be accepted: [`try_feed`](Self::try_feed) succeeds then.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends meanwhile.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.until(Goal::Room)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.until(Goal::Flushed)
    }

    /// Sends a Ping of at most 125 bytes; the time to its Pong becomes `latency()`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a longer payload, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`] when
    /// it ends.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(Outgoing::ping(payload))
    }

    /// Begins the closing handshake: queues a Close, and writes what the socket accepts at once.
    /// [`next`](super::WebSocket::next) writes the rest, and goes on until the peer's Close.
    ///
    /// Nothing follows a Close: whatever is sent after it fails with [`SendError::Closing`], and so ends a loop that goes
    /// on answering what `next` gives.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Io`] when the
    /// transport fails.
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.send.feed(Outgoing::close(close))?;
        // No wait: the peer may have to be read before it reads.
        poll_writing(&mut self.send.until(Goal::Flushed), &mut self.socket, &mut None);
        Ok(self.send.result()?)
    }

    /// Frees the memory of compression on the sending side, some 300 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message that goes out in chunks.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.send.release_compression();
    }
}

impl<S: Transport> Access for Writer<S> {
    type Socket = S;

    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut SendHalf<ThreadBuffers>, &mut S) -> R) -> R {
        work(&mut self.send, &mut self.socket)
    }

    fn drive<D: Delivery>(&mut self, receive: &mut ReceiveHalf<D, ThreadBuffers>) -> io::Result<bool> {
        drive(&mut Pair { receive, send: &mut self.send }, &mut self.socket, None, &mut None)
    }

    fn until(&mut self, goal: Goal) -> Result<(), Error> {
        if !drive(&mut Own(self.send.until(goal)), &mut self.socket, None, &mut None)? {
            self.send.result()?;
        }
        Ok(())
    }
}

/// The whole connection, in one thread.
struct Pair<'a, D> {
    receive: &'a mut ReceiveHalf<D, ThreadBuffers>,
    send: &'a mut SendHalf<ThreadBuffers>,
}

impl<S: Transport, D: Delivery> Machine<S> for Pair<'_, D> {
    fn poll(&mut self, socket: &mut S, error: &mut Option<io::Error>) -> Step {
        poll_writing(&mut self.receive.with(self.send), socket, error)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.send.poll_timeout()
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        self.receive.read_buffer()
    }

    fn report_read(&mut self, read: Result<Option<usize>, TransportError>) {
        report(&mut self.receive.with(self.send), read);
    }

    fn write_blocked(&mut self) {
        self.send.write_blocked();
    }

    fn wait_failed(&mut self, error: TransportError) {
        wait_failed(&mut self.receive.with(self.send), error);
    }

    fn is_ending(&self) -> bool {
        self.send.is_ending()
    }
}

/// Queues, and writes all that is queued.
pub(super) fn send(access: &mut impl Access, outgoing: Outgoing<'_>) -> Result<(), Error> {
    feed(access, outgoing)?;
    access.until(Goal::Flushed)
}

/// Queues, once there is room.
#[inline]
pub(super) fn feed(access: &mut impl Access, outgoing: Outgoing<'_>) -> Result<(), Error> {
    loop {
        match access.with(|send, socket| queue(send, socket, outgoing)) {
            Err(Error::Send(SendError::Full)) => access.until(Goal::Room)?,
            done => return done,
        }
    }
}

/// Queues at once what there is room for. A large payload is offered to the socket, and what that does not accept is
/// queued.
#[inline]
fn queue<S: Transport>(
    send: &mut SendHalf<ThreadBuffers>,
    socket: &mut S,
    outgoing: Outgoing<'_>,
) -> Result<(), Error> {
    let Some(uncopied) = send.feed_uncopied(outgoing)? else { return Ok(()) };
    let parts = send.to_write_with(&uncopied).map(IoSlice::new);
    match socket.try_write(&parts) {
        Ok(n) => send.written_with(&uncopied, n),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            send.written_with(&uncopied, 0);
        }
        Err(error) => {
            send.write_failed((&error).into());
            return Err(error.into());
        }
    }
    Ok(())
}

//! The connection over one stream, in one thread.

use std::boxed::Box;
use std::time::Duration;

use super::clock;
use super::message_reader::MessageReader;
use super::receiver::{Extras, Receiver};
use super::transport::{Interest, Transport};
use super::writer::Writer;
use crate::adapter::trace::Trace;
use crate::adapter::{Parts, ThreadBuffers};
use crate::driver::Driver;
use crate::extension::Agreement;
use crate::{Chunks, Close, Delivery, End, Error, Messages, Outgoing, OwnedMessage, SendError};

/// An open WebSocket over a blocking stream. [`connect`](super::connect()) and [`accept`](super::accept()) make one.
///
/// To drop one that is open drops its stream and what was queued, without a Close: the peer meets the end of a TCP
/// connection, 1006 (or a reset, when it had sent what nobody read). [`close`](Self::close) says goodbye.
#[derive(Debug)]
pub struct WebSocket<S, D: Delivery = Messages> {
    pub(super) receiver: Receiver<Writer<S>, D>,
}

impl<S: Transport, D: Delivery> WebSocket<S, D> {
    /// A connection whose opening handshake somebody else has done.
    #[must_use]
    pub fn from_parts(parts: Parts<S, D>) -> Self {
        let Parts { socket, connection, input, output, subprotocol } = parts;
        Self::new(socket, Driver::new(connection, &input, output, ThreadBuffers), subprotocol, Trace::default())
    }

    pub(super) fn new(
        socket: S,
        driver: Driver<D, ThreadBuffers>,
        subprotocol: Option<Box<str>>,
        trace: Trace,
    ) -> Self {
        trace.opened(subprotocol.as_deref());
        let (receive, send) = driver.split();
        let extras = (subprotocol.is_some() || trace.is_on()).then(|| Box::new(Extras { subprotocol, trace }));
        Self { receiver: Receiver { writer: Writer { socket, send }, receive, extras } }
    }

    /// Takes the connection apart; nothing is lost.
    #[must_use]
    pub fn into_parts(self) -> Parts<S, D> {
        let Receiver { writer: Writer { socket, send }, receive, extras } = self.receiver;
        let (connection, input, output) = Driver::reunite(receive, send).into_parts();
        let subprotocol = extras.and_then(|extras| extras.subprotocol);
        Parts { socket, connection, input, output, subprotocol }
    }

    /// The next message (or, under [`Chunks`](crate::Chunks), the next piece of one), lent together with the sending
    /// side; `None` once both sides have sent their Close. Pings and Closes are answered inside.
    ///
    /// What is queued is written first, as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, and was sent a Close that says so; [`Error::Timeout`] when a
    /// deadline expired; [`Error::Io`] when the stream ended without a Close (`UnexpectedEof`) or failed.
    /// A `WouldBlock` or `TimedOut` of the stream itself while the connection is open ends nothing: call again.
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    #[expect(clippy::type_complexity, reason = "what is lent, spelled out")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<(D::Item<'_>, &mut Writer<S>)>, Error> {
        if !self.receiver.next()? {
            return Ok(None);
        }
        let Receiver { writer, receive, .. } = &mut self.receiver;
        Ok(receive.item().map(|item| (item, writer)))
    }

    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.receiver.writer.send(outgoing)
    }

    /// Queues a message, or anything else that is [`Outgoing`], as [`Writer::feed`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends while it waits for room.
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.receiver.writer.feed(outgoing)
    }

    /// Queues at once, or not at all, as [`Writer::try_feed`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.receiver.writer.try_feed(outgoing)
    }

    /// Waits until a message would be accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends meanwhile.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.receiver.writer.ready()
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.receiver.writer.flush()
    }

    /// Sends a Ping of at most 125 bytes; its round trip becomes [`latency`](Self::latency).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a longer payload, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`] when
    /// it ends.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.receiver.writer.ping(payload)
    }

    /// Sends a Close; [`next`](Self::next) goes on until the peer's. Sending is over with it, also for answers to what
    /// still comes: they fail with [`SendError::Closing`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Io`] when the
    /// transport fails.
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.receiver.writer.start_close(close)
    }

    /// Closes the connection: sends a Close unless one is out, discards data until the peer's, and tells how it ended.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code or a reason that may not be sent; the stream is dropped without a Close then.
    pub fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.start_close(close) {
            // Closing already; or it failed, and `next` finds out how it ended.
            Ok(()) | Err(Error::Send(SendError::Closing) | Error::Timeout(..) | Error::Io(_)) => {}
            Err(error) => return Err(error),
        }
        loop {
            let next = self.receiver.next();
            let Writer { socket, send } = &mut self.receiver.writer;
            if let (true, false, Some(end)) = (send.is_closed(), matches!(next, Ok(true)), send.end()) {
                return Ok(end);
            }
            if next.is_err() {
                // A pause of the stream ends nothing, and is waited out here.
                let interest = Interest { read: true, write: send.unsent() > 0 };
                let timeout = send.poll_timeout().map(|deadline| deadline.saturating_sub(clock::now()));
                let _ = socket.wait(interest, timeout);
            }
        }
    }

    /// Gives back the memory of compression, for a connection that will be idle: some 300 KiB of the sending side, 48 KiB
    /// of the receiving side, made again for the next compressed message. Nothing happens to a side with a message in
    /// progress.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.receiver.receive.release_compression();
        self.receiver.writer.release_compression();
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.receiver.writer.socket
    }

    /// The stream. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.receiver.writer.socket
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.receiver.subprotocol()
    }

    /// The extensions that were agreed on.
    #[must_use]
    pub fn extensions(&self) -> &Agreement {
        self.receiver.receive.extensions()
    }

    /// The time since a byte from the peer was last noticed, to the precision of the deadlines that are set; `None` while
    /// none is.
    #[must_use]
    pub fn idle_for(&self) -> Option<Duration> {
        self.receiver.writer.send.last_received().map(|received| clock::now().saturating_sub(received))
    }

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.receiver.writer.send.latency()
    }

    /// The reason in the peer's Close, for people to read; empty where it gave none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.receiver.receive.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.receiver.writer.send.end()
    }
}

impl<S: Transport> WebSocket<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.recv()
    }
}

impl<S: Transport> WebSocket<S, Chunks> {
    /// The next message, to be read as a stream of bytes; `None` once both sides have sent their Close. It waits for the
    /// first piece. What is left unread of the message before is skipped.
    ///
    /// ```no_run
    /// use bowsprit::blocking::Connector;
    /// use bowsprit::handshake::ClientRequest;
    /// use bowsprit::Chunks;
    ///
    /// let request = ClientRequest::try_from("ws://127.0.0.1:9001/backup").map_err(bowsprit::HandshakeError::Uri)?;
    /// let chunks = Chunks { max_message: 100 << 30, max_fragments: u32::MAX };
    /// let (mut ws, _) = Connector::new(request).delivery(chunks).connect()?;
    /// while let Some(mut message) = ws.read_message()? {
    ///     std::io::copy(&mut message, &mut std::io::stdout())?;
    /// }
    /// # Ok::<(), bowsprit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn read_message(&mut self) -> Result<Option<MessageReader<'_, S>>, Error> {
        while self.receiver.receive.is_inside_message() {
            if !self.receiver.next()? {
                return Ok(None);
            }
        }
        Ok(self.receiver.next()?.then(|| MessageReader::new(&mut self.receiver)))
    }
}

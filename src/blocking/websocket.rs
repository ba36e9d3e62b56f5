//! The connection over one stream, in one thread.

use std::boxed::Box;
use std::time::Duration;

use bytes::BytesMut;

use super::message_reader::MessageReader;
use super::reading::Reading;
use super::split::{self, WebSocketReader, WebSocketWriter};
use super::transport::{Duplicate, Interest, Transport};
use super::writer::Writer;
use crate::adapter::Parts;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::proto::close::Close;
use crate::proto::connection::Connection;
use crate::proto::error::{Error, SendError};
use crate::proto::extension::Agreement;
use crate::proto::link::{End, TransportState};
use crate::proto::message::{Chunk, Chunks, Delivery, Message, Messages, OwnedMessage};
use crate::proto::prepared::Prepared;

/// An open WebSocket over a blocking stream. [`connect`](super::connect()) and [`accept`](super::accept()) make one.
///
/// To drop one that is open drops its stream and what was queued, without a Close: the peer meets the end of a TCP
/// connection, 1006 (or a reset, when it had sent what nobody read). [`close`](Self::close) says goodbye.
#[derive(Debug)]
pub struct WebSocket<S, D: Delivery = Messages> {
    pub(super) reading: Reading<Writer<S>, D>,
    pub(super) subprotocol: Option<Box<str>>,
}

impl<S: Transport, D: Delivery> WebSocket<S, D> {
    /// A connection whose opening handshake somebody else has done.
    #[must_use]
    pub fn from_parts(parts: Parts<S, D>) -> Self {
        let Parts { socket, connection: Connection { inbound, link }, input, output, subprotocol } = parts;
        let half = Writer { socket, link, output, failed: None, unflushed: false };
        let reading = Reading { half, inbound, input: Input::new(&input), trace: Trace::default() };
        Self { reading, subprotocol }
    }

    pub(super) fn traced(mut self, trace: Trace) -> Self {
        trace.opened(self.subprotocol());
        self.reading.trace = trace;
        self
    }

    /// Takes the connection apart; nothing is lost.
    #[must_use]
    pub fn into_parts(self) -> Parts<S, D> {
        let Reading { half: Writer { socket, link, output, .. }, inbound, input, .. } = self.reading;
        let input = BytesMut::from(input.unread());
        Parts { socket, connection: Connection { inbound, link }, input, output, subprotocol: self.subprotocol }
    }

    /// The next message (or, under [`Chunks`](crate::Chunks), the next piece of one), lent together with the sending
    /// side; `None` once both sides have sent their Close. Pings and Closes are answered inside.
    ///
    /// What is queued is written first, as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, which it has been told; [`Error::Io`] when the stream ended
    /// without a Close (`UnexpectedEof`), failed, or a deadline expired (`TimedOut`, its cause in [`end`](Self::end)).
    /// A `WouldBlock` or `TimedOut` of the stream itself while the connection is open ends nothing: call again.
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    #[expect(clippy::type_complexity, reason = "what is lent, spelled out")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<(D::Item<'_>, &mut Writer<S>)>, Error> {
        let Some((text, end, place)) = self.reading.find()? else { return Ok(None) };
        let Reading { half, inbound, input, .. } = &mut self.reading;
        Ok(Some((D::item(inbound.data(text, place, input.bytes()), end), half)))
    }

    /// Sends a message: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// As [`Writer::send`].
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.reading.half.send(message)
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed`].
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.reading.half.feed(message)
    }

    /// Sends a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_plain`].
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.reading.half.send_plain(message)
    }

    /// Queues a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_plain`].
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.reading.half.feed_plain(message)
    }

    /// Queues a piece of a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_chunk`].
    pub fn feed_chunk(&mut self, chunk: Chunk<'_>) -> Result<(), Error> {
        self.reading.half.feed_chunk(chunk)
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_prepared`].
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        self.reading.half.send_prepared(prepared)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// As [`Writer::flush`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.reading.half.flush()
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As [`Writer::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.reading.half.ping(payload)
    }

    /// Sends a Close; [`next`](Self::next) goes on until the peer's. Sending is over with it, also for answers to what
    /// still comes: they fail with [`SendError::Closing`].
    ///
    /// # Errors
    ///
    /// As [`Writer::start_close`].
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.reading.half.start_close(close)
    }

    /// Closes the connection: sends a Close unless one is out, discards data until the peer's, and tells how it ended.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code or a reason that may not be sent; the stream is dropped without a Close then.
    pub fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.start_close(close) {
            // Closing already; or it failed, and `next` finds out how it ended.
            Ok(()) | Err(Error::Send(SendError::Closing) | Error::Io(_)) => {}
            Err(error) => return Err(error),
        }
        loop {
            let next = self.reading.find();
            if let (TransportState::Closed, Some(end)) = (self.reading.half.link.transport(), self.end()) {
                return Ok(end);
            }
            if next.is_err() {
                // A pause of the stream ends nothing, and is waited out here.
                let writer = &mut self.reading.half;
                let interest = Interest { read: true, write: !writer.output.is_empty() };
                let timeout = writer.arm(Some(self.reading.inbound.inside()));
                let _ = writer.socket.wait(interest, timeout);
            }
        }
    }

    /// Gives back the memory of compression, for a connection that will be idle: some 300 KiB of the sending side, 48 KiB
    /// of the receiving side, made again for the next compressed message. Nothing happens to a side with a message in
    /// progress.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.reading.inbound.release();
        self.reading.half.release_compression();
    }

    /// Two halves for two threads: one reads, the other writes, and neither waits for the other. Pings and Closes are
    /// still answered, by the half that reads.
    ///
    /// ```no_run
    /// let ws = bowsprit::blocking::connect("ws://127.0.0.1:9001/")?;
    /// let (mut reader, mut writer) = ws.split()?;
    /// let sends = std::thread::spawn(move || {
    ///     writer.send("one")?;
    ///     writer.send("two")?;
    ///     writer.start_close(None) // the reader finishes what this begins
    /// });
    /// while let Some(message) = reader.next()? {
    ///     println!("{message:?}");
    /// }
    /// sends.join().expect("it does not panic")?;
    /// # Ok::<(), bowsprit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the stream cannot be duplicated.
    pub fn split(self) -> Result<(WebSocketReader<S, D>, WebSocketWriter<S>), Error>
    where
        S: Duplicate,
    {
        split::split(self)
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.reading.half.socket
    }

    /// The stream. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.reading.half.socket
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions that were agreed on.
    #[must_use]
    pub fn extensions(&self) -> &Agreement {
        self.reading.inbound.extensions()
    }

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.reading.half.link.latency()
    }

    /// The reason in the peer's Close, for people to read; empty where it gave none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.reading.inbound.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.reading.half.link.end()
    }
}

impl<S: Transport> WebSocket<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.reading.recv()
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
        while self.reading.inbound.is_handed_out_in_part() {
            if self.reading.find()?.is_none() {
                return Ok(None);
            }
        }
        let Some(piece) = self.reading.find()? else { return Ok(None) };
        Ok(Some(MessageReader::new(&mut self.reading, piece)))
    }
}

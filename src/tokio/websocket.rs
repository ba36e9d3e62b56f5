//! The connection over one stream, in one task.

use std::boxed::Box;
use std::future::poll_fn;
use std::sync::Arc;
#[cfg(feature = "server")]
use std::task::Waker;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::clock;
use super::io::Io;
use super::message_writer::MessageWriter;
use super::next::{Next, ReadMessage, Recv, Waiting};
use super::queue::{Queue, WhenFull};
use super::receiver::{Extras, Receiver, Senders};
use super::sender::Sender;
use super::sending::Sending;
use super::writer::Writer;
use crate::adapter::trace::Trace;
use crate::adapter::{Parts, ThreadBuffers};
use crate::driver::Driver;
use crate::extension::Agreement;
use crate::{Chunks, Close, Delivery, End, Error, Messages, Outgoing, SendError};

/// An open WebSocket over a tokio stream. [`connect`](super::connect()) and [`accept`](super::accept()) make one.
///
/// It is one pointer, and holds no buffer while it waits for its peer. To drop one that is open drops its stream and what
/// was queued, without a Close: the peer meets the end of a TCP connection, 1006 (or a reset, when it had sent what
/// nobody read). [`close`](Self::close) says goodbye.
#[derive(Debug)]
pub struct WebSocket<S, D: Delivery = Messages> {
    pub(super) receiver: Box<Receiver<Writer<S>, D>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Delivery> WebSocket<S, D> {
    /// A connection whose opening handshake somebody else has done.
    ///
    /// ```
    /// use bowsprit::tokio::{Parts, WebSocket};
    /// use bowsprit::{Config, Connection, Messages};
    /// use bytes::BytesMut;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), bowsprit::Error> {
    /// let (socket, mut peer) = tokio::io::duplex(64);
    /// let connection = Connection::server(Messages, Config::default().into());
    /// let (input, output) = (BytesMut::new(), BytesMut::new()); // nothing was read behind the handshake
    /// let mut ws = WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None });
    /// ws.send("hello").await?;
    ///
    /// let mut frame = [0; 7];
    /// tokio::io::AsyncReadExt::read_exact(&mut peer, &mut frame).await?;
    /// assert_eq!(&frame, b"\x81\x05hello");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_parts(parts: Parts<S, D>) -> Self {
        let Parts { socket, connection, input, output, subprotocol } = parts;
        Self::new(socket, Driver::new(connection, &input, output, ThreadBuffers), subprotocol, Trace::default())
    }

    pub(crate) fn new(
        socket: S,
        driver: Driver<D, ThreadBuffers>,
        subprotocol: Option<Box<str>>,
        trace: Trace,
    ) -> Self {
        let (receive, send) = driver.split();
        trace.opened(subprotocol.as_deref());
        let extras = (subprotocol.is_some() || trace.is_on())
            .then(|| Box::new(Extras { subprotocol, trace, ..Extras::default() }));
        let writer = Writer { io: Io::new(socket), send };
        Self { receiver: Box::new(Receiver { writer, receive, extras }) }
    }

    #[cfg(feature = "hyper")]
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        trace.opened(self.subprotocol());
        if trace.is_on() {
            self.receiver.extras.get_or_insert_default().trace = trace;
        }
        self
    }

    /// Takes the connection apart; nothing is lost.
    #[must_use]
    pub fn into_parts(self) -> Parts<S, D> {
        let Receiver { writer: Writer { io, send }, receive, extras } = *self.receiver;
        let (connection, input, output) = Driver::reunite(receive, send).into_parts();
        let subprotocol = extras.and_then(|extras| extras.subprotocol);
        Parts { socket: io.socket, connection, input, output, subprotocol }
    }

    /// The next message (or, under [`Chunks`], the next piece of one), lent together with the sending side; `None` once
    /// both sides have sent their Close. Pings and Closes are answered inside.
    ///
    /// What is queued is written first, as far as the socket takes it. The future may be dropped at any await: nothing
    /// that has arrived is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, and was sent a Close that says so; [`Error::Timeout`] when a
    /// deadline expired; [`Error::Io`] when the stream ended without a Close (`UnexpectedEof`) or failed.
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    #[inline]
    pub fn next(&mut self) -> Next<'_, S, D> {
        Next(Waiting::new(&mut self.receiver))
    }

    /// As [`next`](Self::next), without lending: whether there is a message, for a loop, which cannot hold what is lent.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        self.receiver.poll_next(context)
    }

    /// What [`poll_next`](Self::poll_next) has found.
    pub(crate) fn item(&mut self) -> (D::Item<'_>, &mut Writer<S>) {
        let Receiver { writer, receive, .. } = &mut *self.receiver;
        (receive.item().expect("one was found"), writer)
    }

    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this is done.
    /// Dropped at any await, the message has been queued whole, or not at all. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
        self.receiver.writer.send(outgoing)
    }

    /// Queues a message, or anything else that is [`Outgoing`], as [`Writer::feed`]. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends while it waits for room.
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
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

    /// Waits until a message would be accepted. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends meanwhile.
    pub fn ready(&mut self) -> Sending<'_, 'static, S> {
        self.receiver.writer.ready()
    }

    /// Writes all that is queued. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub fn flush(&mut self) -> Sending<'_, 'static, S> {
        self.receiver.writer.flush()
    }

    /// Sends a Ping of at most 125 bytes; its round trip becomes [`latency`](Self::latency). Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a longer payload, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`] when
    /// it ends.
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, S> {
        self.receiver.writer.ping(payload)
    }

    /// Sends a Close; [`next`](Self::next) goes on until the peer's. Sending is over with it, also for answers to what
    /// still comes: they fail with [`SendError::Closing`]. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Io`] when the
    /// transport fails.
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, S> {
        self.receiver.writer.start_close(close)
    }

    /// A handle to send from any task, through a queue of about `max_queued` bytes (a message is taken whole while the
    /// queue is below that; zero means one), and what becomes of a message that finds it full. Called again, it gives
    /// another handle to the same queue, as it is.
    pub fn sender(&mut self, max_queued: usize, when_full: WhenFull) -> Sender {
        let role = self.receiver.writer.send.role();
        let extras = self.receiver.extras.get_or_insert_default();
        let senders = extras.senders.get_or_insert_with(|| Senders(Arc::new(Queue::new(role, max_queued, when_full))));
        Sender::new(Arc::clone(&senders.0))
    }

    /// One outgoing text message as a stream of bytes.
    pub fn stream_text(&mut self) -> MessageWriter<'_, S> {
        self.receiver.writer.stream_text()
    }

    /// One outgoing binary message as a stream of bytes.
    pub fn stream_binary(&mut self) -> MessageWriter<'_, S> {
        self.receiver.writer.stream_binary()
    }

    /// Closes the connection: sends a Close unless one is out, discards data until the peer's, and reports how it ended.
    /// Resolves to `Result<End, Error>`. Dropped before it is done, the stream is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent; the stream is dropped without a Close then.
    pub async fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.start_close(close).await {
            // Closing already; or it failed, and `finish` finds out how it ended.
            Ok(()) | Err(Error::Send(SendError::Closing) | Error::Timeout(..) | Error::Io(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(self.finish().await)
    }

    /// Discards data until the end of the connection, which has begun.
    pub(crate) async fn finish(&mut self) -> End {
        poll_fn(|context| self.receiver.poll_close(context)).await;
        self.end().expect("a transport that has ended has an end")
    }

    /// Takes what other tasks have queued, as far as there is room in the output. It leaves with the next write.
    #[cfg(feature = "server")]
    pub(crate) fn take_queued(&mut self) {
        // Whoever waits here next leaves a waker of its own.
        self.receiver.drain_senders(&mut Context::from_waker(Waker::noop()));
    }

    /// The sending side.
    pub(crate) fn writer(&mut self) -> &mut Writer<S> {
        &mut self.receiver.writer
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.receiver.writer.io.socket
    }

    /// The stream. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.receiver.writer.io.socket
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

    /// When a byte from the peer was last noticed: the time since then, to the precision of the deadlines that are set;
    /// `None` while none is.
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

    /// Gives back the memory of compression, as [`Connection::release_compression`](crate::Connection::release_compression).
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.receiver.receive.release_compression();
        self.receiver.writer.release_compression();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close. The future may be dropped at any await.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn recv(&mut self) -> Recv<'_, S> {
        Recv(&mut self.receiver)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S, Chunks> {
    /// The next message, to be read as a stream of bytes; `None` once both sides have sent their Close. It waits for the
    /// first piece. What is left unread of the message before is skipped. The future may be dropped at any await.
    ///
    /// ```no_run
    /// use bowsprit::tokio::Connector;
    /// use bowsprit::handshake::ClientRequest;
    /// use bowsprit::{Chunks, Config};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let request = ClientRequest::try_from("ws://127.0.0.1:9001/backup")?;
    /// let chunks = Chunks { max_message: 100 << 30, max_fragments: u32::MAX };
    /// let (mut ws, _) = Connector::new(request).delivery(chunks).connect().await?;
    /// while let Some(mut message) = ws.read_message().await? {
    ///     tokio::io::copy_buf(&mut message, &mut tokio::io::sink()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn read_message(&mut self) -> ReadMessage<'_, S> {
        ReadMessage(Waiting::new(&mut self.receiver))
    }
}

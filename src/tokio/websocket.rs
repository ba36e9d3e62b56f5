//! The connection over one stream, in one task.

use std::boxed::Box;
use std::future::poll_fn;
use std::sync::Arc;
#[cfg(feature = "server")]
use std::task::Waker;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::message_writer::MessageWriter;
use super::next::{Next, ReadMessage, Recv, Waiting};
use super::queue::{Queue, WhenFull};
use super::reading::{Aside, Data, Reading, Senders};
use super::sender::Sender;
use super::sending::Sending;
use super::split::{self, WebSocketReader, WebSocketWriter};
use super::stream::WebSocketStream;
use super::writer::Writer;
use crate::adapter::Parts;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::proto::close::Close;
use crate::proto::connection::Connection;
use crate::proto::error::{Error, SendError};
use crate::proto::extension::Agreement;
use crate::proto::link::End;
use crate::proto::message::{Chunk, Chunks, Delivery, Message, Messages};
use crate::proto::prepared::Prepared;

/// An open WebSocket over a tokio stream. [`connect`](super::connect()) and [`accept`](super::accept()) make one.
///
/// It is one pointer, and holds no buffer while it waits for its peer. To drop one that is open drops its stream and what
/// was queued, without a Close: the peer meets the end of a TCP connection, 1006 (or a reset, when it had sent what
/// nobody read). [`close`](Self::close) says goodbye.
#[derive(Debug)]
pub struct WebSocket<S, D: Delivery = Messages> {
    pub(super) reading: Box<Reading<Writer<S>, D>>,
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
        let Parts { socket, connection: Connection { inbound, link }, input, output, subprotocol } = parts;
        let half = Writer::new(socket, link, output);
        let aside =
            subprotocol.map(|subprotocol| Box::new(Aside { subprotocol: Some(subprotocol), ..Aside::default() }));
        Self { reading: Box::new(Reading { half, inbound, input: Input::new(&input), aside }) }
    }

    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        trace.opened(self.subprotocol());
        if trace.is_on() {
            self.reading.aside.get_or_insert_default().trace = trace;
        }
        self
    }

    /// Takes the connection apart; nothing is lost.
    #[must_use]
    pub fn into_parts(self) -> Parts<S, D> {
        let Reading { half: Writer { socket, link, output, .. }, inbound, input, aside } = *self.reading;
        let input = BytesMut::from(input.unread());
        let subprotocol = aside.and_then(|aside| aside.subprotocol);
        Parts { socket, connection: Connection { inbound, link }, input, output, subprotocol }
    }

    /// The next message (or, under [`Chunks`], the next piece of one), lent together with the sending side; `None` once
    /// both sides have sent their Close. Pings and Closes are answered inside.
    ///
    /// What is queued is written first, as far as the socket takes it. The future may be dropped at any await: nothing
    /// that has arrived is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, which it has been told; [`Error::Io`] when the stream ended
    /// without a Close (`UnexpectedEof`), failed, or a deadline expired (`TimedOut`, its cause in [`end`](Self::end)).
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    #[inline]
    pub fn next(&mut self) -> Next<'_, S, D> {
        Next(Waiting::new(&mut self.reading))
    }

    /// As [`next`](Self::next), but tells where the message lies: for a loop, which cannot hold what it lends.
    pub(crate) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Data>, Error>> {
        self.reading.poll_find(context)
    }

    /// What [`poll_data`](Self::poll_data) has found.
    pub(crate) fn lend(&mut self, (text, end, place): Data) -> (D::Item<'_>, &mut Writer<S>) {
        let Reading { half, inbound, input, .. } = &mut *self.reading;
        (D::item(inbound.data(text, place, input.bytes()), end), half)
    }

    /// Sends a message: its bytes have been handed to the socket when this is done. Dropped at any await, the message has
    /// been queued whole, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Writer::send`].
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.send(message)
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed`].
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.feed(message)
    }

    /// Sends a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_plain`].
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.send_plain(message)
    }

    /// Queues a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_plain`].
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.feed_plain(message)
    }

    /// Queues a piece of a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_chunk`].
    pub fn feed_chunk<'m>(&mut self, chunk: Chunk<'m>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.feed_chunk(chunk)
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_prepared`].
    pub fn send_prepared<'m>(&mut self, prepared: &'m Prepared) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.send_prepared(prepared)
    }

    /// Waits until a message would be accepted.
    ///
    /// # Errors
    ///
    /// As [`Writer::ready`].
    pub fn ready(&mut self) -> Sending<'_, 'static, Writer<S>> {
        self.reading.half.ready()
    }

    /// Queues a message at once, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Writer::try_feed`].
    pub fn try_feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.reading.half.try_feed(message)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// As [`Writer::flush`].
    pub fn flush(&mut self) -> Sending<'_, 'static, Writer<S>> {
        self.reading.half.flush()
    }

    /// Sends a Ping; its round trip becomes [`latency`](Self::latency).
    ///
    /// # Errors
    ///
    /// As [`Writer::ping`].
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.ping(payload)
    }

    /// Sends a Close; [`next`](Self::next) goes on until the peer's. Sending is over with it, also for answers to what
    /// still comes: they fail with [`SendError::Closing`].
    ///
    /// # Errors
    ///
    /// As [`Writer::start_close`].
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, Writer<S>> {
        self.reading.half.start_close(close)
    }

    /// A handle to send from any task, through a queue of about `max_queued` bytes (a message is taken whole while the
    /// queue is below that; zero means one), and what becomes of a message that finds it full. Called again, it gives
    /// another handle to the same queue, as it is.
    pub fn sender(&mut self, max_queued: usize, when_full: WhenFull) -> Sender {
        let role = self.reading.half.link.role();
        let aside = self.reading.aside.get_or_insert_default();
        let senders = aside.senders.get_or_insert_with(|| Senders(Arc::new(Queue::new(role, max_queued, when_full))));
        Sender::new(Arc::clone(&senders.0))
    }

    /// One outgoing text message as a stream of bytes.
    pub fn stream_text(&mut self) -> MessageWriter<'_, S> {
        self.reading.half.stream_text()
    }

    /// One outgoing binary message as a stream of bytes.
    pub fn stream_binary(&mut self) -> MessageWriter<'_, S> {
        self.reading.half.stream_binary()
    }

    /// Closes the connection: sends a Close unless one is out, discards data until the peer's, and tells how it ended.
    /// Dropped before it is done, the stream is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code or a reason that may not be sent; the stream is dropped without a Close then.
    pub async fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.start_close(close).await {
            // Closing already; or it failed, and `poll_close` finds out how it ended.
            Ok(()) | Err(Error::Send(SendError::Closing) | Error::Io(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(self.finish().await)
    }

    /// Discards data until the end of the connection, which has begun.
    pub(crate) async fn finish(&mut self) -> End {
        poll_fn(|context| self.reading.poll_close(context)).await;
        self.end().expect("a transport that has ended has an end")
    }

    /// Takes what other tasks have queued, as far as there is room in the output. It leaves with the next write.
    #[cfg(feature = "server")]
    pub(crate) fn take_queued(&mut self) {
        // Whoever waits here next leaves a waker of its own.
        self.reading.drain_senders(&mut Context::from_waker(Waker::noop()));
    }

    /// The sending side.
    pub(crate) fn writer(&mut self) -> &mut Writer<S> {
        &mut self.reading.half
    }

    /// Two halves for two tasks: one reads, the other writes, and neither waits for the other. Pings and Closes are
    /// still answered, by the half that reads.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), bowsprit::Error> {
    /// let ws = bowsprit::tokio::connect("ws://127.0.0.1:9001/").await?;
    /// let (mut reader, mut writer) = ws.split();
    /// let sends = tokio::spawn(async move {
    ///     writer.send("one").await?;
    ///     writer.send("two").await?;
    ///     writer.start_close(None).await // the reader finishes what this begins
    /// });
    /// while let Some(message) = reader.next().await? {
    ///     println!("{message:?}");
    /// }
    /// sends.await.expect("it does not panic")?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn split(self) -> (WebSocketReader<S, D>, WebSocketWriter<S>) {
        split::split(*self.reading)
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
        self.reading.subprotocol()
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

    /// Gives back the memory of compression, as [`Connection::release_compression`].
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.reading.inbound.release();
        self.reading.half.release_compression();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close. The future may be dropped at any await.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn recv(&mut self) -> Recv<'_, Writer<S>> {
        Recv(&mut self.reading)
    }

    /// A `Stream` and a `Sink` of owned messages.
    #[must_use]
    pub fn into_stream(self) -> WebSocketStream<S> {
        WebSocketStream::new(self)
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
        ReadMessage(Waiting::new(&mut self.reading))
    }
}

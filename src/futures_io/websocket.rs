//! An open connection.

use std::boxed::Box;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use super::io::Io;
use crate::adapter::trace::Trace;
use crate::adapter::{Parts, ThreadBuffers};
use crate::driver::{Driver, Goal, ReceiveHalf, SendHalf};
use crate::extension::Agreement;
use crate::{Close, Delivery, End, Error, Messages, Outgoing, OwnedMessage, SendError};

/// An open WebSocket over a stream of `futures-io`. [`accept`](super::accept) and [`connect_with`](super::connect_with)
/// make one.
///
/// It is one pointer, and holds no buffer while it waits for its peer. To drop one that is open drops its stream and what
/// was queued, without a Close. [`close`](Self::close) ends the connection properly.
#[derive(Debug)]
pub struct WebSocket<S, D: Delivery = Messages> {
    inner: Box<Inner<S, D>>,
}

#[derive(Debug)]
struct Inner<S, D> {
    writer: Writer<S>,
    receive: ReceiveHalf<D, ThreadBuffers>,
    subprotocol: Option<Box<str>>,
    trace: Trace,
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Delivery> WebSocket<S, D> {
    pub(super) fn new(stream: S, driver: Driver<D, ThreadBuffers>, subprotocol: Option<&str>, trace: Trace) -> Self {
        trace.opened(subprotocol);
        let (receive, send) = driver.split();
        let writer = Writer { io: Io::new(stream), send };
        Self { inner: Box::new(Inner { writer, receive, subprotocol: subprotocol.map(Box::from), trace }) }
    }

    /// A connection whose opening handshake somebody else has done.
    #[must_use]
    pub fn from_parts(parts: Parts<S, D>) -> Self {
        let Parts { socket, connection, input, output, subprotocol } = parts;
        let driver = Driver::new(connection, &input, output, ThreadBuffers);
        Self::new(socket, driver, subprotocol.as_deref(), Trace::default())
    }

    /// Takes the connection apart; nothing is lost.
    #[must_use]
    pub fn into_parts(self) -> Parts<S, D> {
        let Inner { writer, receive, subprotocol, .. } = *self.inner;
        let (connection, input, output) = Driver::reunite(receive, writer.send).into_parts();
        Parts { socket: writer.io.stream, connection, input, output, subprotocol }
    }

    /// The next message (under [`Chunks`](crate::Chunks), the next piece of one), borrowed together with the sending side;
    /// `None` once both sides have sent their Close. Pings and Closes are answered inside. Resolves to
    /// `Result<Option<(Message<'_>, &mut Writer<S>)>, Error>`.
    ///
    /// What is queued is written first, as far as the stream accepts it.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, and was sent a Close that says so; [`Error::Timeout`] when a
    /// deadline expired; [`Error::Io`] when the stream ended without a Close (`UnexpectedEof`) or failed.
    pub async fn next(&mut self) -> Result<Option<(D::Item<'_>, &mut Writer<S>)>, Error> {
        self.inner.wait().await?;
        let Inner { writer, receive, .. } = &mut *self.inner;
        Ok(receive.item().map(|item| (item, writer)))
    }

    /// Sends a message, or anything else that is [`Outgoing`], as [`Writer::send`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends before the stream has accepted it.
    pub async fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.inner.writer.send(outgoing).await
    }

    /// Queues a message, or anything else that is [`Outgoing`], as [`Writer::feed`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends while the queue is full.
    pub async fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.inner.writer.feed(outgoing).await
    }

    /// Queues at once, or not at all, as [`Writer::try_feed`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.inner.writer.try_feed(outgoing)
    }

    /// Writes all that is queued. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.inner.writer.flush().await
    }

    /// Sends a Ping of at most 125 bytes; the time to its Pong becomes [`latency`](Self::latency). Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a longer payload, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`] when
    /// it ends.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(Outgoing::ping(payload)).await
    }

    /// Begins the closing handshake, as [`Writer::start_close`]; [`next`](Self::next) goes on until the peer's Close.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Io`] when the
    /// stream fails.
    pub async fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.inner.writer.start_close(close).await
    }

    /// Closes the connection: sends a Close unless one is out, discards data until the peer's, and reports how it ended.
    /// Resolves to `Result<End, Error>`. Dropped before it is done, the stream is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent; the stream is dropped without a Close then.
    ///
    /// # Panics
    ///
    /// Never: a stream that has ended has an end.
    pub async fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.start_close(close).await {
            // It is closing already, or it failed: `end` says how it ended.
            Ok(()) | Err(Error::Send(SendError::Closing) | Error::Timeout(..) | Error::Io(_)) => {}
            Err(error) => return Err(error),
        }
        while matches!(self.inner.wait().await, Ok(true)) {}
        Ok(self.end().expect("the stream has ended"))
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner.writer.io.stream
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol.as_deref()
    }

    /// The extensions that were agreed on.
    #[must_use]
    pub fn extensions(&self) -> &Agreement {
        self.inner.receive.extensions()
    }

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.inner.writer.send.latency()
    }

    /// The reason in the peer's Close, for people to read; empty where there is none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.inner.receive.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.inner.writer.send.end()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The next message, owned; `None` once both sides have sent their Close. Resolves to
    /// `Result<Option<OwnedMessage>, Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`], [`Error::Timeout`] or [`Error::Io`], as [`next`](Self::next).
    pub async fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.inner.wait().await?;
        Ok(self.inner.receive.take_item())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Delivery> Inner<S, D> {
    /// Drives the connection to its next item (true) or its end (false).
    async fn wait(&mut self) -> Result<bool, Error> {
        let Self { writer: Writer { io, send }, receive, trace, .. } = self;
        let found = poll_fn(|context| io.poll_drive(&mut receive.with(send), context)).await;
        if !found {
            trace.ended(send.end());
            receive.with(send).result()?;
        }
        Ok(found)
    }
}

/// The sending side of a [`WebSocket`], which [`next`](WebSocket::next) returns together with a message.
///
/// All its futures may be dropped at any await: a message has been queued as a whole then, or not at all.
#[derive(Debug)]
pub struct Writer<S> {
    io: Io<S>,
    send: SendHalf<ThreadBuffers>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Sends a message, or anything else that is [`Outgoing`]: the stream has accepted it when this is done. Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the stream
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    pub async fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.feed(outgoing).await?;
        self.flush().await
    }

    /// Queues a message, or anything else that is [`Outgoing`]. It leaves before the stream is read again, when the queue
    /// reaches [`Config::max_unsent`](crate::Config::max_unsent), or on [`flush`](Self::flush). Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends while the queue is full.
    pub async fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        let outgoing = outgoing.into();
        loop {
            match self.send.feed(outgoing) {
                Err(SendError::Full) => self.write_until(Goal::Room).await?,
                queued => return Ok(queued?),
            }
        }
    }

    /// Queues at once, or not at all. It leaves as with [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send.feed(outgoing)
    }

    /// Writes all that is queued. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.write_until(Goal::Flushed).await
    }

    /// Begins the closing handshake: queues a Close, and writes what the stream accepts at once.
    /// [`next`](WebSocket::next) writes the rest. Nothing follows a Close: whatever is sent after it fails with
    /// [`SendError::Closing`]. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Io`] when the
    /// stream fails.
    pub async fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.send.feed(Outgoing::close(close))?;
        // The peer may have to be read before it reads.
        let Self { io, send } = self;
        let polled = poll_fn(|context| Poll::Ready(io.poll_drive(&mut send.until(Goal::Flushed), context))).await;
        if polled == Poll::Ready(false) { Ok(send.result()?) } else { Ok(()) }
    }

    async fn write_until(&mut self, goal: Goal) -> Result<(), Error> {
        let Self { io, send } = self;
        if !poll_fn(|context| io.poll_drive(&mut send.until(goal), context)).await {
            send.result()?;
        }
        Ok(())
    }
}

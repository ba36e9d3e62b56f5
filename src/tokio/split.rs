//! Two halves of one connection, for two tasks.
//!
//! They share the sending side under one lock, which is held only inside a poll: the reader queues its Pong or Close,
//! tries to write it, and reads whatever that gave; what did not go out leaves with the next write of either half.

use std::boxed::Box;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::Shared;
use super::next::{ReaderNext, ReaderRecv, Waiting};
use super::receiver::Receiver;
use super::sending::{Sending, Then};
use super::websocket::WebSocket;
use crate::extension::Agreement;
use crate::{Close, Delivery, End, Messages, Outgoing, SendError};

impl<S: AsyncRead + AsyncWrite + Unpin, D: Delivery> WebSocket<S, D> {
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
        let Receiver { writer, receive, extras } = *self.receiver;
        let (reader, writer) = Shared::pair(writer);
        let receiver = Box::new(Receiver { writer: reader, receive, extras });
        (WebSocketReader { receiver }, WebSocketWriter { writer })
    }
}

/// The half that receives. It alone keeps Pongs, Closes and the deadlines going, so keep calling
/// [`next`](Self::next).
#[derive(Debug)]
pub struct WebSocketReader<S, D: Delivery = Messages> {
    receiver: Box<Receiver<Shared<S>, D>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Delivery> WebSocketReader<S, D> {
    /// The next message or piece of one; `None` once both sides have sent their Close. The future may be dropped at any
    /// await.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`].
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    pub fn next(&mut self) -> ReaderNext<'_, S, D> {
        ReaderNext(Waiting::new(&mut self.receiver))
    }

    /// Gives back the memory of compression on the receiving side, 48 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.receiver.receive.release_compression();
    }

    /// The connection again.
    ///
    /// # Errors
    ///
    /// Both halves, when they are not of the same connection.
    pub fn reunite(self, writer: WebSocketWriter<S>) -> Result<WebSocket<S, D>, (Self, WebSocketWriter<S>)> {
        if !Arc::ptr_eq(&self.receiver.writer.writer, &writer.writer.writer) {
            return Err((self, writer));
        }
        drop(writer);
        let Receiver { writer: Shared { writer, .. }, receive, extras } = *self.receiver;
        // Two halves held it, and one is gone.
        let writer = Arc::into_inner(writer).expect("this half is the last");
        let writer = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(WebSocket { receiver: Box::new(Receiver { writer, receive, extras }) })
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

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.receiver.writer.look(|writer| writer.send.latency())
    }

    /// The reason in the peer's Close, as [`WebSocket::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.receiver.receive.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.receiver.writer.look(|writer| writer.send.end())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketReader<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close. The future may be dropped at any await.
    /// Resolves to `Result<Option<OwnedMessage>, Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) when the peer broke the rules, and was sent a Close that says so; [`Error::Timeout`](crate::Error::Timeout) when a
    /// deadline expired; [`Error::Io`](crate::Error::Io) when the stream ended without a Close (`UnexpectedEof`) or failed.
    pub fn recv(&mut self) -> ReaderRecv<'_, S> {
        ReaderRecv(&mut self.receiver)
    }
}

/// The half that sends. What it queues with [`feed`](Self::feed) leaves on [`flush`](Self::flush), with the next
/// `send`, or when the reader reads next.
///
/// Its futures may be dropped at any await: a message has been queued whole then, or not at all.
#[derive(Debug)]
pub struct WebSocketWriter<S> {
    writer: Shared<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketWriter<S> {
    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this is done.
    /// Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for what may not be sent, and once the connection is closing; [`Error::Timeout`](crate::Error::Timeout) when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`](crate::Error::Io) when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
        Sending::shared(&mut self.writer, outgoing, Then::Flush)
    }

    /// Queues a message, or anything else that is [`Outgoing`], as [`Writer::feed`](super::Writer::feed). Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for what may not be sent, and once the connection is closing; [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io)
    /// when the connection ends while it waits for room.
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
        Sending::shared(&mut self.writer, outgoing, Then::Return)
    }

    /// Queues at once, or not at all, as [`Writer::try_feed`](super::Writer::try_feed).
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let outgoing = outgoing.into();
        self.writer.look(|writer| writer.try_feed(outgoing))
    }

    /// Waits until a message would be accepted. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io) when the connection ends meanwhile.
    pub fn ready(&mut self) -> Sending<'_, 'static, S> {
        Sending::nothing_shared(&mut self.writer, Then::Room)
    }

    /// Writes all that is queued. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io) when the connection ends before all is written.
    pub fn flush(&mut self) -> Sending<'_, 'static, S> {
        Sending::nothing_shared(&mut self.writer, Then::Flush)
    }

    /// Sends a Ping of at most 125 bytes; the reader measures its round trip. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for a longer payload, and once the connection is closing; [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io) when
    /// it ends.
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, S> {
        self.send(Outgoing::ping(payload))
    }

    /// Sends a Close; the reader goes on until the peer's. This half sends nothing any more. Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for a code that may not be sent, and when the connection is closing already; [`Error::Timeout`](crate::Error::Timeout) or
    /// [`Error::Io`](crate::Error::Io) when the connection ends before it is written.
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, S> {
        self.send(Outgoing::close(close))
    }

    /// Frees the memory of compression on the sending side, as [`Writer::release_compression`](super::Writer::release_compression).
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.writer.look(|writer| writer.release_compression());
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.writer.look(|writer| writer.send.end())
    }
}

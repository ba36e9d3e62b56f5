//! Two halves of one connection, for two tasks.
//!
//! They share the sending side under one lock, which is held only inside a poll: the reader queues its Pong or Close,
//! tries to write it, and reads whatever that gave; what did not go out leaves with the next write of either half.

use std::boxed::Box;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::Shared;
use super::next::{ReaderNext, Recv, Waiting};
use super::reading::Reading;
use super::sending::{Sending, What};
use super::websocket::WebSocket;
use super::writer::Writer;
use crate::proto::close::Close;
use crate::proto::error::SendError;
use crate::proto::extension::Agreement;
use crate::proto::link::End;
use crate::proto::message::{Chunk, Delivery, Message, Messages};
use crate::proto::prepared::Prepared;

pub(super) fn split<S, D: Delivery>(reading: Reading<Writer<S>, D>) -> (WebSocketReader<S, D>, WebSocketWriter<S>) {
    let Reading { half, inbound, input, aside } = reading;
    let (reader, half) = Shared::pair(half);
    (WebSocketReader { reading: Box::new(Reading { half: reader, inbound, input, aside }) }, WebSocketWriter { half })
}

/// The half that receives. It alone keeps Pongs, Closes and the deadlines going, so keep calling
/// [`next`](Self::next).
#[derive(Debug)]
pub struct WebSocketReader<S, D: Delivery = Messages> {
    reading: Box<Reading<Shared<S>, D>>,
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
        ReaderNext(Waiting::new(&mut self.reading))
    }

    /// Gives back the memory of compression on the receiving side, 48 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.reading.inbound.release();
    }

    /// The connection again.
    ///
    /// # Errors
    ///
    /// Both halves, when they are not of the same connection.
    pub fn reunite(self, writer: WebSocketWriter<S>) -> Result<WebSocket<S, D>, (Self, WebSocketWriter<S>)> {
        if !Arc::ptr_eq(&self.reading.half.writer, &writer.half.writer) {
            return Err((self, writer));
        }
        drop(writer);
        let Reading { half: Shared { writer, .. }, inbound, input, aside } = *self.reading;
        // Two halves held it, and one is gone.
        let writer = Arc::into_inner(writer).expect("this half is the last");
        let half = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(WebSocket { reading: Box::new(Reading { half, inbound, input, aside }) })
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
        self.reading.half.look(|writer| writer.link.latency())
    }

    /// The reason in the peer's Close, as [`WebSocket::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.reading.inbound.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.reading.half.look(|writer| writer.link.end())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketReader<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close. The future may be dropped at any await.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`].
    pub fn recv(&mut self) -> Recv<'_, Shared<S>> {
        Recv(&mut self.reading)
    }
}

/// The half that sends. What it queues with [`feed`](Self::feed) leaves on [`flush`](Self::flush), with the next
/// `send`, or when the reader reads next.
///
/// Its futures may be dropped at any await: a message has been queued whole then, or not at all.
#[derive(Debug)]
pub struct WebSocketWriter<S> {
    half: Shared<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketWriter<S> {
    /// Sends a message: its bytes have been handed to the socket when this is done.
    ///
    /// # Errors
    ///
    /// As [`Writer::send`].
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Shared<S>> {
        Sending::flushed(&mut self.half, What::Message(message.into()))
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed`].
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Shared<S>> {
        Sending::queued(&mut self.half, What::Message(message.into()))
    }

    /// Sends a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_plain`].
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Shared<S>> {
        Sending::flushed(&mut self.half, What::Plain(message.into()))
    }

    /// Queues a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_plain`].
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Sending<'_, 'm, Shared<S>> {
        Sending::queued(&mut self.half, What::Plain(message.into()))
    }

    /// Queues a piece of a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_chunk`].
    pub fn feed_chunk<'m>(&mut self, chunk: Chunk<'m>) -> Sending<'_, 'm, Shared<S>> {
        Sending::queued(&mut self.half, What::Chunk(chunk))
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_prepared`].
    pub fn send_prepared<'m>(&mut self, prepared: &'m Prepared) -> Sending<'_, 'm, Shared<S>> {
        Sending::flushed(&mut self.half, What::Prepared(prepared))
    }

    /// Waits until a message would be accepted.
    ///
    /// # Errors
    ///
    /// As [`Writer::ready`].
    pub fn ready(&mut self) -> Sending<'_, 'static, Shared<S>> {
        Sending::queued(&mut self.half, What::Room)
    }

    /// Queues a message at once, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Writer::try_feed`].
    pub fn try_feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        self.half.look(|writer| writer.try_feed(message))
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// As [`Writer::flush`].
    pub fn flush(&mut self) -> Sending<'_, 'static, Shared<S>> {
        Sending::flushed(&mut self.half, What::Nothing)
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As [`Writer::ping`].
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, Shared<S>> {
        Sending::flushed(&mut self.half, What::Ping(payload))
    }

    /// Sends a Close; the reader goes on until the peer's. This half sends nothing any more.
    ///
    /// # Errors
    ///
    /// As [`Writer::start_close`].
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, Shared<S>> {
        Sending::flushed(&mut self.half, What::Close(close))
    }

    /// Gives back the memory of compression on the sending side, as [`Writer::release_compression`].
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.half.look(Writer::release_compression);
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.half.look(|writer| writer.link.end())
    }
}

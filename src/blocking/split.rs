//! Two halves of one connection, for two threads.
//!
//! They share the sending side under one lock, which is held only for work that never blocks: the reader queues its
//! Pong or Close, tries to write it, and reads whatever that gave; what did not go out is left to the writer.

use std::boxed::Box;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;

use super::half::{self, Half as _, Shared};
use super::reading::Reading;
use super::transport::{Duplicate, Transport};
use super::websocket::WebSocket;
#[cfg(feature = "deflate")]
use super::writer::Writer;
use crate::proto::close::Close;
use crate::proto::error::{Error, SendError};
use crate::proto::extension::Agreement;
use crate::proto::link::{End, Link};
use crate::proto::message::{Chunk, Delivery, Message, Messages, OwnedMessage};
use crate::proto::prepared::Prepared;

pub(super) fn split<S: Duplicate, D: Delivery>(
    ws: WebSocket<S, D>,
) -> Result<(WebSocketReader<S, D>, WebSocketWriter<S>), Error> {
    let WebSocket { reading: Reading { half: writer, inbound, input, trace }, subprotocol } = ws;
    let patience = writer.link.config().close_timeout;
    let (reading, writing) = (writer.socket.duplicate()?, writer.socket.duplicate()?);
    let writer = Arc::new(Mutex::new(writer));
    let half = Shared { socket: reading, writer: writer.clone(), patience };
    let reader = WebSocketReader { reading: Reading { half, inbound, input, trace }, subprotocol };
    Ok((reader, WebSocketWriter { half: Shared { socket: writing, writer, patience } }))
}

/// The half that receives. It alone keeps Pongs, Closes and the deadlines going, so keep calling
/// [`next`](Self::next).
#[derive(Debug)]
pub struct WebSocketReader<S: Transport, D: Delivery = Messages> {
    reading: Reading<Shared<S>, D>,
    subprotocol: Option<Box<str>>,
}

impl<S: Transport, D: Delivery> WebSocketReader<S, D> {
    /// The next message or piece of one; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`].
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    pub fn next(&mut self) -> Result<Option<D::Item<'_>>, Error> {
        let Some(data) = self.reading.find()? else { return Ok(None) };
        Ok(Some(self.reading.lend(data)))
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
    #[expect(clippy::result_large_err, reason = "the halves go back to the caller")]
    pub fn reunite(self, writer: WebSocketWriter<S>) -> Result<WebSocket<S, D>, (Self, WebSocketWriter<S>)> {
        if !Arc::ptr_eq(&self.reading.half.writer, &writer.half.writer) {
            return Err((self, writer));
        }
        drop(writer);
        let Self { reading: Reading { half, inbound, input, trace }, subprotocol } = self;
        match Arc::try_unwrap(half.writer) {
            Ok(writer) => {
                let half = writer.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(WebSocket { reading: Reading { half, inbound, input, trace }, subprotocol })
            }
            Err(_) => unreachable!("two halves hold it, and both are gone"),
        }
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
    pub fn latency(&mut self) -> Option<Duration> {
        self.reading.half.with(|writer| writer.link.latency())
    }

    /// The reason in the peer's Close, as [`WebSocket::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.reading.inbound.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    pub fn end(&mut self) -> Option<End> {
        self.reading.half.with(|writer| writer.link.end())
    }
}

impl<S: Transport> WebSocketReader<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`].
    pub fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.reading.recv()
    }
}

/// The half that sends. What it queues with [`feed`](Self::feed) leaves on [`flush`](Self::flush), with the next
/// `send`, or when the reader reads next.
#[derive(Debug)]
pub struct WebSocketWriter<S: Transport> {
    half: Shared<S>,
}

impl<S: Transport> WebSocketWriter<S> {
    /// Sends a message: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// As [`Writer::send`](super::Writer::send).
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed`](super::Writer::feed).
    pub fn feed<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        half::with_room(&mut self.half, |writer| writer.try_feed(message))
    }

    /// Sends a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_plain`](super::Writer::send_plain).
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.feed_plain(message)?;
        self.flush()
    }

    /// Queues a message that is not to be compressed.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_plain`](super::Writer::feed_plain).
    pub fn feed_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        half::with_room(&mut self.half, |writer| writer.try_feed_plain(message))
    }

    /// Queues a piece of a message.
    ///
    /// # Errors
    ///
    /// As [`Writer::feed_chunk`](super::Writer::feed_chunk).
    pub fn feed_chunk(&mut self, chunk: Chunk<'_>) -> Result<(), Error> {
        half::with_room(&mut self.half, |writer| writer.try_feed_chunk(chunk))
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Writer::send_prepared`](super::Writer::send_prepared).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        half::with_room(&mut self.half, |writer| writer.try_feed_prepared(prepared))?;
        self.flush()
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// As [`Writer::flush`](super::Writer::flush).
    pub fn flush(&mut self) -> Result<(), Error> {
        half::flush(&mut self.half)
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As [`Writer::ping`](super::Writer::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.control(|link, output| link.ping(payload, output))
    }

    /// Sends a Close; the reader goes on until the peer's. This half sends nothing any more.
    ///
    /// # Errors
    ///
    /// As [`Writer::start_close`](super::Writer::start_close).
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.control(|link, output| link.close(close, output))
    }

    /// Gives back the memory of compression on the sending side, as
    /// [`Writer::release_compression`](super::Writer::release_compression).
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.half.with(Writer::release_compression);
    }

    fn control(&mut self, append: impl FnOnce(&mut Link, &mut BytesMut) -> Result<(), SendError>) -> Result<(), Error> {
        self.half.with(|writer| writer.control(append))?;
        self.flush()
    }

    /// How the connection is ending or ended; `None` while it is open.
    pub fn end(&mut self) -> Option<End> {
        self.half.with(|writer| writer.link.end())
    }
}

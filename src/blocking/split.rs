//! Two halves of one connection, for two threads.
//!
//! They share the sending side under one lock, which is held only for work that never blocks: the reader queues its
//! Pong or Close, tries to write it, and reads whatever that gave; what did not go out is left to the writer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::half::{Access as _, Shared};
use super::receiver::Receiver;
use super::transport::{Duplicate, Transport};
use super::websocket::WebSocket;
use super::writer::{self, Writer};
use crate::driver::Goal;
use crate::extension::Agreement;
use crate::{Close, Delivery, End, Error, Messages, Outgoing, OwnedMessage, SendError};

impl<S: Duplicate, D: Delivery> WebSocket<S, D> {
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
    pub fn split(self) -> Result<(WebSocketReader<S, D>, WebSocketWriter<S>), Error> {
        let Receiver { writer: Writer { socket, send }, receive, extras } = self.receiver;
        let patience = send.config().close_timeout;
        let other = socket.duplicate()?;
        let send = Arc::new(Mutex::new(send));
        let writer = Shared { socket, send: send.clone(), patience };
        let reader = WebSocketReader { receiver: Receiver { writer, receive, extras } };
        Ok((reader, WebSocketWriter { writer: Shared { socket: other, send, patience } }))
    }
}

/// The half that receives. It alone keeps Pongs, Closes and the deadlines going, so keep calling
/// [`next`](Self::next).
#[derive(Debug)]
pub struct WebSocketReader<S: Transport, D: Delivery = Messages> {
    receiver: Receiver<Shared<S>, D>,
}

impl<S: Transport, D: Delivery> WebSocketReader<S, D> {
    /// The next message or piece of one; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`].
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    pub fn next(&mut self) -> Result<Option<D::Item<'_>>, Error> {
        Ok(if self.receiver.next()? { self.receiver.receive.item() } else { None })
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
    #[expect(clippy::result_large_err, reason = "the halves go back to the caller")]
    pub fn reunite(self, writer: WebSocketWriter<S>) -> Result<WebSocket<S, D>, (Self, WebSocketWriter<S>)> {
        if !Arc::ptr_eq(&self.receiver.writer.send, &writer.writer.send) {
            return Err((self, writer));
        }
        drop(writer);
        let Self { receiver: Receiver { writer: Shared { socket, send, .. }, receive, extras } } = self;
        match Arc::try_unwrap(send) {
            Ok(send) => {
                let send = send.into_inner().unwrap_or_else(PoisonError::into_inner);
                Ok(WebSocket { receiver: Receiver { writer: Writer { socket, send }, receive, extras } })
            }
            Err(_) => unreachable!("two halves hold it, and both are gone"),
        }
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
        self.receiver.writer.look(|send| send.latency())
    }

    /// The reason in the peer's Close, as [`WebSocket::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.receiver.receive.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.receiver.writer.look(|send| send.end())
    }
}

impl<S: Transport> WebSocketReader<S, Messages> {
    /// The next message, owned; `None` once both sides have sent their Close.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] when the peer broke the rules, and was sent a Close that says so; [`Error::Timeout`] when a
    /// deadline expired; [`Error::Io`] when the stream ended without a Close (`UnexpectedEof`) or failed.
    pub fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.recv()
    }
}

/// The half that sends. What it queues with [`feed`](Self::feed) leaves on [`flush`](Self::flush), with the next
/// `send`, or when the reader reads next.
#[derive(Debug)]
pub struct WebSocketWriter<S: Transport> {
    writer: Shared<S>,
}

impl<S: Transport> WebSocketWriter<S> {
    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`] when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        writer::send(&mut self.writer, outgoing.into())
    }

    /// Queues a message, or anything else that is [`Outgoing`], as [`Writer::feed`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for what may not be sent, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`]
    /// when the connection ends while it waits for room.
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        writer::feed(&mut self.writer, outgoing.into())
    }

    /// Queues at once, or not at all, as [`Writer::try_feed`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent;
    /// [`SendError::Closing`] once the connection is closing; any other [`SendError`] for what may not be sent.
    pub fn try_feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let outgoing = outgoing.into();
        self.writer.look(|send| send.feed(outgoing))
    }

    /// Waits until a message would be accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends meanwhile.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.writer.until(Goal::Room)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.until(Goal::Flushed)
    }

    /// Sends a Ping of at most 125 bytes; the reader measures its round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a longer payload, and once the connection is closing; [`Error::Timeout`] or [`Error::Io`] when
    /// it ends.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(Outgoing::ping(payload))
    }

    /// Sends a Close; the reader goes on until the peer's. This half sends nothing any more.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code that may not be sent, and when the connection is closing already; [`Error::Timeout`] or
    /// [`Error::Io`] when the connection ends before it is written.
    pub fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), Error> {
        self.send(Outgoing::close(close))
    }

    /// Frees the memory of compression on the sending side, as [`Writer::release_compression`].
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.writer.look(|send| send.release_compression());
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.writer.look(|send| send.end())
    }
}

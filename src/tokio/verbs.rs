//! What the sending side can be asked for.

use tokio::io::{AsyncRead, AsyncWrite};

use super::sending::{Sending, Then};
use super::writer::Writer;
use crate::{Close, Outgoing, SendError};

/// Each verb waits while [`Config::max_unsent`](crate::Config::max_unsent) bytes or more are unsent.
impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Sends a message, or anything else that is [`Outgoing`]: its bytes have been handed to the socket when this is done.
    /// Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for what may not be sent, and once the connection is closing; [`Error::Timeout`](crate::Error::Timeout) when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`](crate::Error::Io) when it fails.
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
        Sending::own(self, outgoing, Then::Flush)
    }

    /// Queues a message, or anything else that is [`Outgoing`]. It leaves before the socket is read again, when the queue
    /// reaches [`Config::max_unsent`](crate::Config::max_unsent), or on [`flush`](Self::flush). (An unmasked payload of
    /// 4 KiB or more leaves at once, as far as the socket accepts it.) Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`](crate::Error::Send) for what may not be sent, and once the connection is closing; [`Error::Timeout`](crate::Error::Timeout) when the transport
    /// accepts too little for [`Config::write_timeout`](crate::Config::write_timeout); [`Error::Io`](crate::Error::Io) when it fails.
    #[inline]
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Sending<'_, 'm, S> {
        Sending::own(self, outgoing, Then::Return)
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

    /// Waits until a message would be accepted: [`try_feed`](Self::try_feed) succeeds then. Resolves to
    /// `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io) when the connection ends meanwhile.
    pub fn ready(&mut self) -> Sending<'_, 'static, S> {
        Sending::nothing(self, Then::Room)
    }

    /// Writes all that is queued. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Io`](crate::Error::Io) when the connection ends before all is written.
    pub fn flush(&mut self) -> Sending<'_, 'static, S> {
        Sending::nothing(self, Then::Flush)
    }

    /// Sends a Ping of at most 125 bytes; the time to its Pong becomes `latency()`. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`] for a longer payload, else as [`send`](Self::send): [`Error::Send`](crate::Error::Send),
    /// [`Error::Timeout`](crate::Error::Timeout), [`Error::Io`](crate::Error::Io).
    pub fn ping<'m>(&mut self, payload: &'m [u8]) -> Sending<'_, 'm, S> {
        self.send(Outgoing::ping(payload))
    }

    /// Begins the closing handshake: queues a Close, and writes what the socket accepts at once.
    /// [`next`](super::WebSocket::next) writes the rest, and goes on until the peer's Close. Resolves to
    /// `Result<(), Error>`.
    ///
    /// Nothing follows a Close: whatever is sent after it fails with [`SendError::Closing`], and so ends a loop that goes
    /// on answering what `next` gives.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] for a code that may not be sent, [`SendError::Closing`] when the connection is
    /// closing already, [`Error::Io`](crate::Error::Io) when the transport fails.
    pub fn start_close<'m>(&mut self, close: Option<Close<'m>>) -> Sending<'_, 'm, S> {
        Sending::own(self, Outgoing::close(close), Then::TryFlush)
    }

    /// Frees the memory of compression on the sending side, some 300 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message that goes out in chunks.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.send.release_compression();
    }
}

//! A connection as `Stream` and `Sink`.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::websocket::WebSocket;
use crate::driver::Goal;
use crate::{CloseCode, Error, Outgoing, OwnedMessage, SendError};

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A `Stream` and a `Sink` of owned messages.
    #[must_use]
    pub fn into_stream(self) -> WebSocketStream<S> {
        WebSocketStream { ws: self, done: false }
    }
}

/// A `Stream` and a `Sink` of owned messages: from [`WebSocket::into_stream`].
///
/// The stream ends once both sides have sent their Close, or behind its first error. What the sink was fed leaves when it
/// is flushed, and before the stream reads from the socket. To close the sink sends a Close (1000); the stream goes on
/// until the peer's.
///
/// ```no_run
/// use futures_util::{SinkExt as _, StreamExt as _};
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let mut ws = bowsprit::tokio::connect("ws://127.0.0.1:9001/").await?.into_stream();
/// while let Some(message) = ws.next().await {
///     ws.send(message?).await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Cancel safety is that of the combinators: the stream loses nothing, and a `SinkExt::send` that is dropped before it
/// was done may have queued its message, or not.
#[derive(Debug)]
pub struct WebSocketStream<S> {
    ws: WebSocket<S>,
    done: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    /// The connection.
    #[must_use]
    pub fn get_ref(&self) -> &WebSocket<S> {
        &self.ws
    }

    /// The connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut WebSocket<S> {
        &mut self.ws
    }

    /// Writes all that is queued; as the `Sink`'s, whatever its items are.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| Sink::<OwnedMessage>::poll_flush(Pin::new(&mut *self), context)).await
    }

    /// Sends a Close (1000) behind all that is queued; as the `Sink`'s, whatever its items are.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] or [`Error::Io`] when the connection ends before all is written.
    pub async fn close(&mut self) -> Result<(), Error> {
        poll_fn(|context| Sink::<OwnedMessage>::poll_close(Pin::new(&mut *self), context)).await
    }

    /// The connection again; nothing is lost.
    #[must_use]
    pub fn into_inner(self) -> WebSocket<S> {
        self.ws
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocketStream<S> {
    type Item = Result<OwnedMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let received = ready!(self.ws.receiver.poll_recv(context)).transpose();
        self.done = !matches!(received, Some(Ok(_)));
        Poll::Ready(received)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocketStream<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<'m, S: AsyncRead + AsyncWrite + Unpin> Sink<Outgoing<'m>> for WebSocketStream<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ws.receiver.writer.poll_until(Goal::Room, context)
    }

    fn start_send(mut self: Pin<&mut Self>, outgoing: Outgoing<'m>) -> Result<(), Error> {
        Ok(self.ws.try_feed(outgoing)?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ws.receiver.writer.poll_until(Goal::Flushed, context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let writer = &mut self.ws.receiver.writer;
        match writer.send.feed(Outgoing::close(Some(CloseCode::NORMAL.into()))) {
            // Closing already, perhaps.
            Ok(()) | Err(SendError::Closing) => writer.poll_until(Goal::Flushed, context),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

/// As `Sink<Outgoing>`, of owned messages.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<OwnedMessage> for WebSocketStream<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Sink::<Outgoing<'_>>::poll_ready(self, context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), Error> {
        Ok(self.ws.try_feed(&message)?)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Sink::<Outgoing<'_>>::poll_flush(self, context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Sink::<Outgoing<'_>>::poll_close(self, context)
    }
}

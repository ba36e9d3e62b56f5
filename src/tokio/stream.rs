//! A connection as `Stream` and `Sink`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::sending::What;
use super::websocket::WebSocket;
use crate::proto::error::{Error, SendError};
use crate::proto::message::{Message, OwnedMessage};

/// A `Stream` and a `Sink` of owned messages: from [`WebSocket::into_stream`].
///
/// The stream ends once both sides have sent their Close, or behind its first error. What the sink was fed leaves when it
/// is flushed, and before the stream reads from the socket. To close the sink sends a Close (1000); the stream goes on
/// until the peer's.
///
/// ```no_run
///
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
    pub(super) fn new(ws: WebSocket<S>) -> Self {
        Self { ws, done: false }
    }

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
        let received = ready!(self.ws.reading.poll_recv(context)).transpose();
        self.done = !matches!(received, Some(Ok(_)));
        Poll::Ready(received)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocketStream<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<OwnedMessage> for WebSocketStream<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ws.reading.half.poll_queue(context, What::Room)
    }

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), Error> {
        Ok(self.ws.try_feed(Message::from(&message))?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ws.reading.half.poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let close = What::Close(Some(crate::CloseCode::NORMAL.into()));
        match ready!(self.ws.reading.half.poll_queue(context, close)) {
            // Closing already.
            Ok(()) | Err(Error::Send(SendError::Closing)) => self.ws.reading.half.poll_flush(context),
            error => Poll::Ready(error),
        }
    }
}

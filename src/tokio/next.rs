//! The futures of the verbs that receive, written by hand: an `async fn` would move the message through its own memory.
//!
//! To drop them is safe at any time: what has arrived is kept for the next call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::{Access, Shared};
use super::message_reader::MessageReader;
use super::receiver::Receiver;
use super::writer::Writer;
use crate::{Chunks, Delivery, Error, Messages, OwnedMessage};

/// Waits for the next message: from [`WebSocket::next`](super::WebSocket::next). Resolves to
/// `Result<Option<(Message<'_>, &mut Writer<S>)>, Error>`, with a [`Chunk`](crate::Chunk) under [`Chunks`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Next<'a, S, D: Delivery = Messages>(pub(super) Waiting<'a, Writer<S>, D>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin, D: Delivery> Future for Next<'a, S, D> {
    type Output = Result<Option<(D::Item<'a>, &'a mut Writer<S>)>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(receiver) = ready!(self.0.poll(context))? else { return Poll::Ready(Ok(None)) };
        let Receiver { writer, receive, .. } = receiver;
        Poll::Ready(Ok(receive.item().map(|item| (item, writer))))
    }
}

/// Waits for the next message: from [`WebSocketReader::next`](super::WebSocketReader::next). Resolves to
/// `Result<Option<Message<'_>>, Error>`, with a [`Chunk`](crate::Chunk) under [`Chunks`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ReaderNext<'a, S, D: Delivery = Messages>(pub(super) Waiting<'a, Shared<S>, D>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin, D: Delivery> Future for ReaderNext<'a, S, D> {
    type Output = Result<Option<D::Item<'a>>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(receiver) = ready!(self.0.poll(context))? else { return Poll::Ready(Ok(None)) };
        Poll::Ready(Ok(receiver.receive.item()))
    }
}

/// Waits for the next message, owned: from [`WebSocket::recv`](super::WebSocket::recv). Resolves to
/// `Result<Option<OwnedMessage>, Error>`.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, S>(pub(super) &'a mut Receiver<Writer<S>, Messages>);

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Recv<'_, S> {
    type Output = Result<Option<OwnedMessage>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_recv(context)
    }
}

/// Waits for the next message, owned: from [`WebSocketReader::recv`](super::WebSocketReader::recv). Resolves to
/// `Result<Option<OwnedMessage>, Error>`.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ReaderRecv<'a, S>(pub(super) &'a mut Receiver<Shared<S>, Messages>);

impl<S: AsyncRead + AsyncWrite + Unpin> Future for ReaderRecv<'_, S> {
    type Output = Result<Option<OwnedMessage>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_recv(context)
    }
}

/// Waits for the first piece of a message: from [`WebSocket::read_message`](super::WebSocket::read_message). Resolves to
/// `Result<Option<MessageReader<'_, S>>, Error>`.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ReadMessage<'a, S>(pub(super) Waiting<'a, Writer<S>, Chunks>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Future for ReadMessage<'a, S> {
    type Output = Result<Option<MessageReader<'a, S>>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What is left of the message before is skipped.
        while self.0.receiver().receive.is_inside_message() {
            if !ready!(self.0.receiver().poll_next(context))? {
                return Poll::Ready(Ok(None));
            }
        }
        Poll::Ready(Ok(ready!(self.0.poll(context))?.map(MessageReader::new)))
    }
}

/// The receiving side, until its item is borrowed.
#[derive(Debug)]
pub(super) struct Waiting<'a, A, D>(Option<&'a mut Receiver<A, D>>);

impl<'a, A, D> Waiting<'a, A, D> {
    pub(super) const fn new(receiver: &'a mut Receiver<A, D>) -> Self {
        Self(Some(receiver))
    }

    /// # Panics
    ///
    /// When a future is polled after it was done, which nobody may do.
    fn receiver(&mut self) -> &mut Receiver<A, D> {
        self.0.as_deref_mut().expect("a future is not polled after it was done")
    }
}

impl<'a, A: Access<Socket: AsyncRead + AsyncWrite + Unpin>, D: Delivery> Waiting<'a, A, D> {
    /// The receiving side once it has an item; `None` at the end.
    #[inline]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<&'a mut Receiver<A, D>>, Error>> {
        let found = ready!(self.receiver().poll_next(context))?;
        Poll::Ready(Ok(if found { self.0.take() } else { None }))
    }
}

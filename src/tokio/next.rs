//! The futures of the verbs that receive. By hand: an `async fn` would move the message through its own memory.
//!
//! To drop them is safe at any time: what has arrived is kept for the next call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::{Half, Shared};
use super::message_reader::MessageReader;
use super::reading::{Data, Reading};
use super::writer::Writer;
use crate::proto::error::Error;
use crate::proto::message::{Chunks, Delivery, Messages, OwnedMessage};

/// Waits for the next message: from [`WebSocket::next`](super::WebSocket::next).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Next<'a, S, D: Delivery = Messages>(pub(super) Waiting<'a, Writer<S>, D>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin, D: Delivery> Future for Next<'a, S, D> {
    type Output = Result<Option<(D::Item<'a>, &'a mut Writer<S>)>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(((text, end, location), reading)) = ready!(self.0.poll(context))? else {
            return Poll::Ready(Ok(None));
        };
        let Reading { half, inbound, input, .. } = reading;
        // SAFETY: found last, in this input.
        #[expect(unsafe_code, reason = "the input is its own")]
        let data = unsafe { inbound.data(text, location, input.bytes()) };
        Poll::Ready(Ok(Some((D::item(data, end), half))))
    }
}

/// Waits for the next message: from [`WebSocketReader::next`](super::WebSocketReader::next).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ReaderNext<'a, S, D: Delivery = Messages>(pub(super) Waiting<'a, Shared<S>, D>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin, D: Delivery> Future for ReaderNext<'a, S, D> {
    type Output = Result<Option<D::Item<'a>>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let found = ready!(self.0.poll(context))?;
        Poll::Ready(Ok(found.map(|(data, reading)| reading.lend(data))))
    }
}

/// Waits for the next message, owned: from [`WebSocket::recv`](super::WebSocket::recv).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, H>(pub(super) &'a mut Reading<H, Messages>);

impl<H: Half<Socket: AsyncRead + AsyncWrite + Unpin>> Future for Recv<'_, H> {
    type Output = Result<Option<OwnedMessage>, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_recv(context)
    }
}

/// Waits for the first piece of a message: from [`WebSocket::read_message`](super::WebSocket::read_message).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ReadMessage<'a, S>(pub(super) Waiting<'a, Writer<S>, Chunks>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Future for ReadMessage<'a, S> {
    type Output = Result<Option<MessageReader<'a, S>>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What is left of the message before is skipped.
        while self.0.reading().inbound.is_handed_out_in_part() {
            if ready!(self.0.reading().poll_find(context))?.is_none() {
                return Poll::Ready(Ok(None));
            }
        }
        let found = ready!(self.0.poll(context))?;
        Poll::Ready(Ok(found.map(|(piece, reading)| MessageReader::new(reading, piece))))
    }
}

/// The receiving side, until it is lent.
#[derive(Debug)]
pub(super) struct Waiting<'a, H, D>(Option<&'a mut Reading<H, D>>);

impl<'a, H, D> Waiting<'a, H, D> {
    pub(super) fn new(reading: &'a mut Reading<H, D>) -> Self {
        Self(Some(reading))
    }

    /// # Panics
    ///
    /// When a future is polled after it was done, which nobody may do.
    fn reading(&mut self) -> &mut Reading<H, D> {
        self.0.as_deref_mut().expect("a future is not polled after it was done")
    }
}

impl<'a, H: Half<Socket: AsyncRead + AsyncWrite + Unpin>, D: Delivery> Waiting<'a, H, D> {
    #[inline]
    #[expect(clippy::type_complexity, reason = "what is lent, spelled out")]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<(Data, &'a mut Reading<H, D>)>, Error>> {
        let found = ready!(self.reading().poll_find(context))?;
        Poll::Ready(Ok(found.zip(self.0.take())))
    }
}

//! The future of every verb that sends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::Half;
use crate::proto::close::Close;
use crate::proto::error::Error;
use crate::proto::message::{Chunk, Message};
use crate::proto::prepared::Prepared;

/// Waits until what was to be sent is queued, or written. By hand: an `async fn` would move the message through its own
/// memory.
///
/// To drop it is safe at any time: what was to be sent has been queued whole, or not at all.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'w, 'm, H> {
    half: &'w mut H,
    /// Until it is queued.
    what: Option<What<'m>>,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What<'m> {
    Message(Message<'m>),
    Plain(Message<'m>),
    Chunk(Chunk<'m>),
    Prepared(&'m Prepared),
    Ping(&'m [u8]),
    Close(Option<Close<'m>>),
    /// Waits until a message would be accepted.
    Room,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Done,
    /// Writes what the socket takes at once: the peer may have to be read before it reads.
    Try,
    Flush,
}

impl<'w, 'm, H> Sending<'w, 'm, H> {
    /// Done once it is queued.
    #[inline]
    pub(super) fn queued(half: &'w mut H, what: What<'m>) -> Self {
        Self { half, what: Some(what), then: Then::Done }
    }

    /// Done once it is written.
    #[inline]
    pub(super) fn flushed(half: &'w mut H, what: What<'m>) -> Self {
        Self { half, what: Some(what), then: Then::Flush }
    }

    /// Done once it is queued, and the socket has taken of it what it takes at once.
    #[inline]
    pub(super) fn tried(half: &'w mut H, what: What<'m>) -> Self {
        Self { half, what: Some(what), then: Then::Try }
    }
}

impl<H: Half<Socket: AsyncRead + AsyncWrite + Unpin>> Future for Sending<'_, '_, H> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { half, what, then } = &mut *self;
        // Behind the last piece of a message, the other half may send what is queued.
        let tells = matches!(what, Some(What::Close(_) | What::Chunk(Chunk { end: true, .. })));
        let sent = half.with(context, |writer, context| {
            if let Some(queued) = *what {
                ready!(writer.poll_queue(context, queued))?;
                *what = None;
            }
            match then {
                Then::Done => Poll::Ready(Ok(())),
                Then::Try => Poll::Ready(writer.try_flush(context).map(drop)),
                Then::Flush => writer.poll_flush(context),
            }
        });
        if !tells && matches!(sent, Poll::Ready(Ok(()))) {
            // Not `sent` itself: its room for an error would be copied as well, which takes longer than to queue a short
            // message.
            return Poll::Ready(Ok(()));
        }
        if tells || matches!(sent, Poll::Ready(Err(_))) {
            half.wake_other();
        }
        sent
    }
}

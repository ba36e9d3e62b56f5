//! The future of every verb that sends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::{Access as _, Shared};
use super::writer::Writer;
use crate::driver::Goal;
use crate::{Error, Outgoing};

/// Waits until what was to be sent is queued, or written: from the verbs of [`WebSocket`](super::WebSocket),
/// [`Writer`] and [`WebSocketWriter`](super::WebSocketWriter). Resolves to `Result<(), Error>`.
///
/// It is written by hand: an `async fn` would move the message through its own memory. To drop it is safe at any time:
/// what was to be sent has been queued whole, or not at all.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'w, 'm, S> {
    writer: Handle<'w, S>,
    /// Until it is queued.
    outgoing: Option<Outgoing<'m>>,
    then: Then,
}

#[derive(Debug)]
enum Handle<'w, S> {
    Own(&'w mut Writer<S>),
    Shared(&'w mut Shared<S>),
}

/// What follows once the message is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    Return,
    /// Wait until a message would be accepted.
    Room,
    /// Write what the socket accepts at once: the peer may have to be read before it reads.
    TryFlush,
    Flush,
}

impl<'w, 'm, S> Sending<'w, 'm, S> {
    #[inline]
    pub(super) fn own(writer: &'w mut Writer<S>, outgoing: impl Into<Outgoing<'m>>, then: Then) -> Self {
        Self { writer: Handle::Own(writer), outgoing: Some(outgoing.into()), then }
    }

    pub(super) fn shared(writer: &'w mut Shared<S>, outgoing: impl Into<Outgoing<'m>>, then: Then) -> Self {
        Self { writer: Handle::Shared(writer), outgoing: Some(outgoing.into()), then }
    }

    pub(super) fn nothing(writer: &'w mut Writer<S>, then: Then) -> Self {
        Self { writer: Handle::Own(writer), outgoing: None, then }
    }

    pub(super) fn nothing_shared(writer: &'w mut Shared<S>, then: Then) -> Self {
        Self { writer: Handle::Shared(writer), outgoing: None, then }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Sending<'_, '_, S> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { writer, outgoing, then } = &mut *self;
        match writer {
            Handle::Own(writer) => poll(writer, outgoing, *then, context),
            Handle::Shared(writer) => writer.with(context, |writer, context| poll(writer, outgoing, *then, context)),
        }
    }
}

#[inline]
fn poll<S: AsyncRead + AsyncWrite + Unpin>(
    writer: &mut Writer<S>,
    outgoing: &mut Option<Outgoing<'_>>,
    then: Then,
    context: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    if let Some(queued) = *outgoing {
        ready!(writer.poll_feed(context, queued))?;
        *outgoing = None;
    }
    match then {
        Then::Return => Poll::Ready(Ok(())),
        Then::Room => writer.poll_until(Goal::Room, context),
        Then::Flush => writer.poll_until(Goal::Flushed, context),
        Then::TryFlush => match writer.poll_until(Goal::Flushed, context) {
            Poll::Pending => Poll::Ready(Ok(())),
            flushed => flushed,
        },
    }
}

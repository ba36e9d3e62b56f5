//! The receiving side.

use std::boxed::Box;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::Access;
use super::queue::Queue;
use super::watch::Watch;
use crate::adapter::ThreadBuffers;
use crate::adapter::trace::Trace;
use crate::driver::ReceiveHalf;
use crate::{CloseCode, Delivery, Error, Messages, Outgoing, OwnedMessage};

#[derive(Debug)]
pub(super) struct Receiver<A, D> {
    pub(super) writer: A,
    pub(super) receive: ReceiveHalf<D, ThreadBuffers>,
    pub(super) extras: Option<Box<Extras>>,
}

/// What few connections have: the others pay a pointer.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) subprotocol: Option<Box<str>>,
    pub(super) shutdown: Option<Box<Watch>>,
    pub(super) senders: Option<Senders>,
    pub(super) trace: Trace,
}

/// The queue of what other tasks want to send. It ends with the connection.
#[derive(Debug)]
pub(super) struct Senders(pub(super) Arc<Queue>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<A, D> Receiver<A, D> {
    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.extras.as_ref()?.subprotocol.as_deref()
    }
}

impl<A: Access<Socket: AsyncRead + AsyncWrite + Unpin>, D: Delivery> Receiver<A, D> {
    /// Whether there is an item; false once the connection has ended with a Close from each side.
    #[inline]
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let Self { writer, receive, .. } = self;
        if writer.with(context, |writer, _| receive.next_buffered(&mut writer.send)) {
            return Poll::Ready(Ok(true));
        }
        self.poll_fill(context)
    }

    #[cold]
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            let left = self.drain_senders(context);
            let Self { writer, receive, .. } = self;
            let polled = writer
                .with(context, |writer, context| writer.io.poll_drive(&mut receive.with(&mut writer.send), context));
            match polled {
                Poll::Ready(true) => return Poll::Ready(Ok(true)),
                Poll::Ready(false) => return Poll::Ready(self.ended(context).map(|()| false)),
                Poll::Pending => {}
            }
            if self.is_ending(context) {
                self.end_senders();
                return Poll::Pending;
            }
            // What was queued meanwhile leaves now.
            if self.poll_shutdown(context).is_pending() && !(left && self.has_room(context)) {
                return Poll::Pending;
            }
        }
    }

    /// Why the connection has ended.
    fn ended(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        self.end_senders();
        let Self { writer, receive, extras } = self;
        writer.with(context, |writer, _| {
            if let Some(extras) = extras {
                extras.trace.ended(writer.send.end());
            }
            Ok(receive.with(&mut writer.send).result()?)
        })
    }

    fn is_ending(&mut self, context: &mut Context<'_>) -> bool {
        self.extras.is_some() && self.writer.with(context, |writer, _| writer.send.is_ending())
    }

    /// Sends a Close once the process shuts down.
    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(watch) = self.extras.as_mut().and_then(|extras| extras.shutdown.as_mut()) else {
            return Poll::Pending;
        };
        ready!(watch.poll_begun(context));
        // It has room of its own; a connection that is closing already goes on to do so.
        let close = Outgoing::close(Some(CloseCode::GOING_AWAY.into()));
        let _ = self.writer.with(context, |writer, _| writer.send.feed(close));
        Poll::Ready(())
    }

    /// Takes what other tasks want to send, while little waits in the output. Whether some is left.
    pub(super) fn drain_senders(&mut self, context: &mut Context<'_>) -> bool {
        let Some(senders) = self.extras.as_ref().and_then(|extras| extras.senders.as_ref()) else { return false };
        self.writer.with(context, |writer, context| senders.0.drain(writer, context))
    }

    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        self.writer.with(context, |writer, _| Queue::has_room(writer))
    }

    fn end_senders(&self) {
        if let Some(senders) = self.extras.as_ref().and_then(|extras| extras.senders.as_ref()) {
            senders.0.end();
        }
    }

    /// Discards data until the end of the connection.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // An error comes only once the transport has ended.
        while matches!(ready!(self.poll_next(context)), Ok(true)) {}
        Poll::Ready(())
    }
}

impl<A: Access<Socket: AsyncRead + AsyncWrite + Unpin>> Receiver<A, Messages> {
    pub(super) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<OwnedMessage>, Error>> {
        let found = ready!(self.poll_next(context))?;
        Poll::Ready(Ok(if found { self.receive.take_item() } else { None }))
    }
}

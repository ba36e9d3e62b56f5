//! The receiving side, over whichever half it has.

use std::boxed::Box;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::half::Half;
use super::queue::Queue;
use super::sending::What;
use super::shutdown::Watch;
use crate::adapter;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::proto::close::CloseCode;
use crate::proto::error::Error;
use crate::proto::inbound::{Decoded, Inbound, Location};
use crate::proto::link::TransportState;
use crate::proto::message::{Delivery, Messages, OwnedMessage};

#[derive(Debug)]
pub(super) struct Reading<H, D> {
    pub(super) half: H,
    pub(super) inbound: Inbound<D>,
    pub(super) input: Input,
    pub(super) aside: Option<Box<Aside>>,
}

/// What few connections have: an idle one pays a pointer.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) subprotocol: Option<Box<str>>,
    pub(super) shutdown: Option<Watch>,
    pub(super) senders: Option<Senders>,
    pub(super) trace: Trace,
}

/// What other tasks want to send. They are told when it goes away.
#[derive(Debug)]
pub(super) struct Senders(pub(super) Arc<Queue>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Data that was found: where it lies, borrowing nothing.
pub(super) type Data = (bool, bool, Location);

impl<H, D> Reading<H, D> {
    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.aside.as_ref()?.subprotocol.as_deref()
    }
}

impl<H: Half<Socket: AsyncRead + AsyncWrite + Unpin>, D: Delivery> Reading<H, D> {
    /// The next data; `None` once the connection has ended with a Close from each side.
    #[inline]
    pub(super) fn poll_find(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Data>, Error>> {
        loop {
            let (input, at) = self.input.cursor();
            // SAFETY: the input is this half's own, which only appends to it.
            #[expect(unsafe_code, reason = "the input is its own")]
            let found = unsafe { self.inbound.find_owned(input, at) };
            match found {
                Ok(Some(Decoded::Data { text, end, location })) => return Poll::Ready(Ok(Some((text, end, location)))),
                Ok(Some(control)) => {
                    self.half.with(context, |writer, _| writer.follow(control, input));
                    self.half.wake_other();
                }
                Err(error) => {
                    self.half.with(context, |writer, _| writer.fail(error));
                    self.half.wake_other();
                    ready!(self.poll_end(context));
                    self.half.wake_other();
                    self.trace_end(context);
                    return Poll::Ready(Err(error.into()));
                }
                Ok(None) => {
                    let filled = ready!(self.poll_fill(context));
                    if !matches!(filled, Ok(true)) {
                        self.half.wake_other();
                        self.trace_end(context);
                        return Poll::Ready(filled.map(|_| None));
                    }
                }
            }
        }
    }

    pub(super) fn lend(&self, (text, end, location): Data) -> D::Item<'_> {
        // SAFETY: found last, in this input.
        #[expect(unsafe_code, reason = "the input is its own")]
        let data = unsafe { self.inbound.data(text, location, self.input.bytes()) };
        D::item(data, end)
    }

    /// Writes what is queued as far as it goes, then reads, whether or not it all went: two peers that each wait for
    /// the other to read would wait for ever. False at the end of the connection.
    #[cold]
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        self.inbound.shrink();
        loop {
            let open = self.half.with(context, |writer, _| writer.link.transport()) == TransportState::Open;
            if !open {
                ready!(self.poll_end(context));
                return Poll::Ready(
                    self.half
                        .with(context, |writer, _| adapter::ended(writer.link.end(), writer.failed))
                        .map(|()| false),
                );
            }
            let left = self.drain_senders(context);
            let inside = self.inbound.status();
            let Self { half, input, .. } = self;
            let (read, overdue) = half.with(context, |writer, context| {
                // Where the transport takes nothing any more, what the peer sent before comes first.
                let _ = writer.try_flush(context);
                // The time that the caller took is not the peer's: what has arrived is read once before a deadline is
                // judged.
                let overdue = writer.is_overdue();
                let read = if overdue && inside.activity.late { None } else { Some(writer.poll_read(context, input)) };
                (read, overdue)
            });
            match read {
                Some(Poll::Ready(Ok(0))) => {
                    self.half.with(context, |writer, _| writer.link.disconnected(false));
                    continue;
                }
                Some(Poll::Ready(Ok(_))) => {
                    self.inbound.note_received(true);
                    self.inbound.note_late(overdue);
                    return Poll::Ready(Ok(true));
                }
                Some(Poll::Ready(Err(error))) => {
                    let error = self.half.with(context, |writer, _| writer.broken(error));
                    ready!(self.poll_end(context));
                    return Poll::Ready(Err(error));
                }
                Some(Poll::Pending) => {
                    self.input.park();
                    if self.poll_shutdown(context).is_ready() || left && self.has_room(context) {
                        continue;
                    }
                }
                None => {}
            }
            let waited = self.half.with(context, |writer, context| {
                writer.link.shrink();
                writer.poll_deadline(context, Some(inside))
            });
            self.inbound.clear_activity();
            // An error is a deadline that ended the connection: what `link` makes of it is looked at above.
            if waited.is_pending() && read.is_some() {
                return Poll::Pending;
            }
        }
    }

    /// Sends a Close once the process shuts down.
    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(watch) = self.aside.as_mut().and_then(|aside| aside.shutdown.as_mut()) else { return Poll::Pending };
        ready!(watch.poll_begun(context));
        let close = What::Close(Some(CloseCode::GOING_AWAY.into()));
        // It has room of its own; a connection that is closing already goes on to do so.
        let _ = self.half.with(context, |writer, context| writer.poll_queue(context, close));
        Poll::Ready(())
    }

    /// Takes what other tasks want to send, while little waits in the output. Whether some is left.
    pub(super) fn drain_senders(&mut self, context: &mut Context<'_>) -> bool {
        let Some(senders) = self.aside.as_ref().and_then(|aside| aside.senders.as_ref()) else { return false };
        self.half.with(context, |writer, context| senders.0.drain(writer, context))
    }

    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        self.half.with(context, |writer, _| Queue::has_room(writer))
    }

    fn end_senders(&self) {
        if let Some(senders) = self.aside.as_ref().and_then(|aside| aside.senders.as_ref()) {
            senders.0.end();
        }
    }

    /// Ends the transport as the machine says.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.end_senders();
        self.inbound.stop();
        self.input.discard();
        let inside = self.inbound.status();
        self.half.with(context, |writer, context| writer.poll_linger(context, inside))
    }

    #[cold]
    fn trace_end(&mut self, context: &mut Context<'_>) {
        if let Some(aside) = &mut self.aside {
            aside.trace.ended(self.half.with(context, |writer, _| writer.link.end()));
        }
    }

    /// Sends a Close unless one is out, discards data until the end of the connection.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(found) = self.poll_find(context) {
            let closed = self.half.with(context, |writer, _| writer.link.transport()) == TransportState::Closed;
            if closed && !matches!(found, Ok(Some(_))) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl<H: Half<Socket: AsyncRead + AsyncWrite + Unpin>> Reading<H, Messages> {
    pub(super) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<OwnedMessage>, Error>> {
        let Some((text, _, location)) = ready!(self.poll_find(context))? else { return Poll::Ready(Ok(None)) };
        // SAFETY: found last, in this input.
        #[expect(unsafe_code, reason = "the input is its own")]
        let message = unsafe { self.inbound.take(text, location, |range| self.input.take(range)) };
        if self.input.unread().is_empty() {
            self.input.park();
        }
        Poll::Ready(Ok(Some(message)))
    }
}

//! The sending side, which owns the socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::io::Io;
use crate::adapter::ThreadBuffers;
use crate::driver::{Goal, SendHalf};
use crate::{Error, Outgoing, SendError};

/// The sending side of a [`WebSocket`](super::WebSocket), which [`next`](super::WebSocket::next) returns together with a
/// message, so that the answer may borrow from the message.
///
/// All its futures may be dropped at any await: a message has been queued whole then, or not at all.
#[derive(Debug)]
pub struct Writer<S> {
    pub(crate) io: Io<S>,
    pub(crate) send: SendHalf<ThreadBuffers>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// Queues at once what there is room for. A large payload is offered to the socket, and what that does not accept is
    /// queued.
    #[inline]
    pub(super) fn queue(&mut self, context: &mut Context<'_>, outgoing: Outgoing<'_>) -> Result<(), Error> {
        if outgoing.len() < VECTORED || !self.io.socket.is_write_vectored() {
            return Ok(self.send.feed(outgoing)?);
        }
        let Some(uncopied) = self.send.feed_uncopied(outgoing)? else { return Ok(()) };
        let parts = self.send.to_write_with(&uncopied).map(IoSlice::new);
        match Pin::new(&mut self.io.socket).poll_write_vectored(context, &parts) {
            Poll::Ready(Ok(n)) => self.send.written_with(&uncopied, n),
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::Interrupted => {
                self.send.write_failed((&error).into());
                return Err(error.into());
            }
            Poll::Ready(Err(_)) | Poll::Pending => self.send.written_with(&uncopied, 0),
        }
        Ok(())
    }

    /// Queues, once there is room.
    #[inline]
    pub(crate) fn poll_feed(&mut self, context: &mut Context<'_>, outgoing: Outgoing<'_>) -> Poll<Result<(), Error>> {
        while let Err(error) = self.queue(context, outgoing) {
            match error {
                Error::Send(SendError::Full) => ready!(self.poll_until(Goal::Room, context))?,
                error => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes until `goal` is reached.
    pub(crate) fn poll_until(&mut self, goal: Goal, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { io, send } = self;
        if !ready!(io.poll_drive(&mut send.until(goal), context)) {
            send.result()?;
        }
        Poll::Ready(Ok(()))
    }
}

/// From this many bytes on, a payload may go out uncopied, in a vectored write.
const VECTORED: usize = 4 << 10;

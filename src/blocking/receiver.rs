//! The receiving side.

use std::boxed::Box;

use super::half::Access;
use crate::adapter::ThreadBuffers;
use crate::adapter::trace::Trace;
use crate::driver::ReceiveHalf;
use crate::{Delivery, Error, Messages, OwnedMessage};

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
    pub(super) trace: Trace,
}

impl<A, D> Receiver<A, D> {
    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.extras.as_ref()?.subprotocol.as_deref()
    }
}

impl<A: Access, D: Delivery> Receiver<A, D> {
    /// Whether there is an item; false once the connection has ended with a Close from each side.
    ///
    /// # Errors
    ///
    /// Why the connection has ended otherwise; or a pause of the stream, which ends nothing.
    #[inline]
    pub(super) fn next(&mut self) -> Result<bool, Error> {
        let Self { writer, receive, .. } = self;
        if writer.with(|send, _| receive.next_buffered(send)) {
            return Ok(true);
        }
        self.fill()
    }

    #[cold]
    fn fill(&mut self) -> Result<bool, Error> {
        let Self { writer, receive, extras } = self;
        if writer.drive(receive)? {
            return Ok(true);
        }
        if let Some(extras) = extras {
            extras.trace.ended(writer.with(|send, _| send.end()));
        }
        writer.with(|send, _| receive.with(send).result())?;
        Ok(false)
    }
}

impl<A: Access> Receiver<A, Messages> {
    pub(super) fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        Ok(if self.next()? { self.receive.take_item() } else { None })
    }
}

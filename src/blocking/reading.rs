//! The receiving side, over whichever half it has.

use std::io::{self, Read};

use super::half::{self, Half};
use super::linger::linger;
use super::transport::{Interest, Ready, Transport};
use crate::adapter;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::error::Error;
use crate::inbound::{Found, Inbound, Place};
use crate::link::TransportState;
use crate::message::{Delivery, Messages, OwnedMessage};

#[derive(Debug)]
pub(super) struct Reading<H, D> {
    pub(super) half: H,
    pub(super) inbound: Inbound<D>,
    pub(super) input: Input,
    pub(super) trace: Trace,
}

/// Data that was found: where it lies, borrowing nothing.
pub(super) type Data = (bool, bool, Place);

impl<H: Half, D: Delivery> Reading<H, D> {
    /// The next data; `None` once the connection has ended with a Close from each side.
    #[inline]
    pub(super) fn find(&mut self) -> Result<Option<Data>, Error> {
        loop {
            let (input, at) = self.input.cursor();
            let found = self.inbound.find(input, at).transpose();
            match found {
                Some(Ok(Found::Data { text, end, place })) => return Ok(Some((text, end, place))),
                Some(told) => {
                    self.half.with(|writer| writer.follow(told, input));
                    if let Err(error) = told {
                        self.finish();
                        return Err(error.into());
                    }
                }
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    pub(super) fn lend(&self, (text, end, place): Data) -> D::Item<'_> {
        D::item(self.inbound.data(text, place, self.input.bytes()), end)
    }

    /// Writes what is queued as far as it goes, then reads, whether or not it all went: two peers that each wait for
    /// the other to read would wait for ever. False at the end of the connection.
    #[cold]
    fn fill(&mut self) -> Result<bool, Error> {
        if !self.is_open() {
            self.finish();
            return self.ended();
        }
        self.inbound.shrink();
        let filled = self.read();
        if let Err(Error::Io(error)) = &filled
            && half::is_pause(error)
            && self.is_open()
        {
            self.input.park();
        } else if filled.is_err() {
            self.finish();
        }
        filled.map(|()| true)
    }

    fn is_open(&mut self) -> bool {
        self.half.with(|writer| writer.link.transport()) == TransportState::Open
    }

    /// False, or what went wrong.
    fn ended(&mut self) -> Result<bool, Error> {
        self.half.with(|writer| adapter::ended(writer.link.end(), writer.failed)).map(|()| false)
    }

    fn read(&mut self) -> Result<(), Error> {
        loop {
            // Where the transport takes nothing any more, what the peer sent before comes first.
            let flushed = self.half.with(|writer| {
                writer.link.shrink();
                writer.try_flush().unwrap_or(true)
            });
            let inside = self.inbound.inside();
            // The time that the caller took is not the peer's: what has arrived is read once before a deadline is judged.
            let late = !inside.activity.late && half::is_late_to_read(&mut self.half, inside);
            let ready = if late {
                Ok(Ready { read: true, write: false })
            } else {
                half::wait(&mut self.half, Interest { read: true, write: !flushed }, Some(inside))
            };
            self.inbound.clear_activity();
            self.inbound.note_late(late);
            if !ready?.read {
                continue;
            }
            match self.half.socket().read(self.input.room()) {
                Ok(0) => {
                    self.half.with(|writer| writer.link.disconnected(false));
                    return Err(adapter::no_close(self.half.with(|writer| writer.failed)));
                }
                Ok(n) => {
                    self.input.filled(n);
                    self.inbound.note_received(true);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if half::is_pause(&error) => return Err(error.into()),
                Err(error) => {
                    return Err(self.half.with(|writer| {
                        let error = writer.broken(error);
                        writer.failed.map_or(error, |kind| io::Error::from(kind).into())
                    }));
                }
            }
        }
    }

    /// Ends the transport as the machine says, and tells the machine.
    fn finish(&mut self) {
        self.inbound.stop();
        self.input.discard();
        let inside = self.inbound.inside();
        let (transport, output, deadline) = self.half.with(|writer| {
            writer.arm(Some(inside));
            if writer.link.transport() == TransportState::Closed {
                // Known to the other half before it finds the queue empty.
                writer.link.disconnected(!writer.output.is_empty());
            }
            (writer.link.transport(), std::mem::take(&mut writer.output), writer.link.poll_timeout())
        });
        let sent = match transport {
            TransportState::Closed => output.is_empty(),
            TransportState::Open | TransportState::AwaitEof => linger(self.half.socket(), &output, false, deadline),
            TransportState::Shutdown => linger(self.half.socket(), &output, true, deadline),
        };
        if transport != TransportState::Shutdown {
            // The peer sees the end now, not only when the stream is dropped.
            let _ = self.half.socket().shutdown_write();
        }
        let end = self.half.with(|writer| {
            writer.link.disconnected(!sent);
            writer.link.end()
        });
        self.trace.ended(end);
    }
}

impl<H: Half> Reading<H, Messages> {
    pub(super) fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        let Some((text, _, place)) = self.find()? else { return Ok(None) };
        let message = self.inbound.take(text, place, |span| self.input.take(span));
        if self.input.unread().is_empty() {
            self.input.park();
        }
        Ok(Some(message))
    }
}

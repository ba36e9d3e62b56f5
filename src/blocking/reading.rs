//! The receiving side, over whichever half it has.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use bytes::BytesMut;

use super::half::{self, Half};
use super::transport::{Interest, Ready, Transport};
use super::writer::Writer;
use crate::adapter;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::proto::error::Error;
use crate::proto::inbound::{Decoded, Inbound, Location};
use crate::proto::link::TransportState;
use crate::proto::message::{Delivery, Messages, OwnedMessage};

#[derive(Debug)]
pub(super) struct Reading<H, D> {
    pub(super) half: H,
    pub(super) inbound: Inbound<D>,
    pub(super) input: Input,
    pub(super) trace: Trace,
}

/// Data that was found: where it lies, borrowing nothing.
pub(super) type Data = (bool, bool, Location);

impl<H: Half, D: Delivery> Reading<H, D> {
    /// The next data; `None` once the connection has ended with a Close from each side.
    #[inline]
    pub(super) fn find(&mut self) -> Result<Option<Data>, Error> {
        loop {
            let (input, at) = self.input.cursor();
            // SAFETY: the input is this half's own, which only appends to it.
            #[expect(unsafe_code, reason = "the input is its own")]
            let found = unsafe { self.inbound.find_owned(input, at) };
            match found {
                Ok(Some(Decoded::Data { text, end, location })) => return Ok(Some((text, end, location))),
                Ok(Some(control)) => self.half.with(|writer| writer.follow(control, input)),
                Ok(None) if self.fill()? => {}
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.half.with(|writer| writer.fail(error));
                    self.finish();
                    return Err(error.into());
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
    fn fill(&mut self) -> Result<bool, Error> {
        if self.transport() != TransportState::Open {
            self.finish();
            return self.ended();
        }
        self.inbound.shrink();
        let filled = self.read();
        if let Err(Error::Io(error)) = &filled
            && half::is_pause(error)
            && self.transport() == TransportState::Open
        {
            self.input.park();
        } else if filled.is_err() {
            self.finish();
        }
        filled.map(|()| true)
    }

    fn transport(&mut self) -> TransportState {
        self.half.with(|writer| writer.link.transport())
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
            let inside = self.inbound.status();
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
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
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
        if !self.linger() {
            // The peer sees the end now, not only when the stream is dropped.
            let _ = self.half.socket().shutdown_write();
        }
        self.input.discard();
        let end = self.half.with(|writer| {
            writer.link.disconnected(writer.has_unsent());
            writer.output = BytesMut::new();
            writer.link.end()
        });
        self.trace.ended(end);
    }

    /// Writes what is left, shuts the writing side down, reads and discards until the peer ends the stream or the close
    /// deadline is over. Closing at once would send a reset for input that nobody read, and with it destroy what is still
    /// on its way to the peer. Whether the writing side has been shut down.
    fn linger(&mut self) -> bool {
        let inside = self.inbound.status();
        let (mut shut, mut peer_ended) = (false, false);
        loop {
            let transport = self.transport();
            if transport == TransportState::Closed {
                break;
            }
            let Ok(flushed) = self.half.with(Writer::try_flush) else { break };
            // A client lets the server end the stream first (RFC 6455 section 7.1.1).
            let shut_down = !shut && (peer_ended || transport == TransportState::Shutdown);
            if flushed && shut_down {
                match self.half.socket().shutdown_write() {
                    Ok(()) => shut = true,
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(_) => break,
                }
            }
            if shut && peer_ended {
                break;
            }
            let deadline = self.half.with(|writer| writer.arm(Some(inside)));
            if deadline == Some(Duration::ZERO) {
                // An error is a deadline that ended the transport, or the connection: the loop looks.
                let _ = self.half.with(|writer| writer.expire(Some(inside)));
                continue;
            }
            let interest = Interest { read: !peer_ended, write: !flushed || (shut_down && !shut) };
            match self.half.socket().wait(interest, deadline) {
                Ok(ready) if ready.read => match self.half.socket().read(self.input.room()) {
                    // It may have ended its writing side alone, and still read.
                    Ok(0) => peer_ended = true,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                },
                Ok(_) => {}
                Err(_) => break,
            }
        }
        shut
    }
}

impl<H: Half> Reading<H, Messages> {
    pub(super) fn recv(&mut self) -> Result<Option<OwnedMessage>, Error> {
        let Some((text, _, location)) = self.find()? else { return Ok(None) };
        // SAFETY: found last, in this input.
        #[expect(unsafe_code, reason = "the input is its own")]
        let message = unsafe { self.inbound.take(text, location, |range| self.input.take(range)) };
        if self.input.unread().is_empty() {
            self.input.park();
        }
        Ok(Some(message))
    }
}

//! One end's access to the sending side: its own, or shared with the other half under a lock.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock;
use super::transport::{Interest, Ready, Transport};
use super::writer::Writer;
use crate::adapter;
use crate::proto::error::{Error, SendError};
use crate::proto::inbound::InboundStatus;

/// Who may reach the sending side, and has a handle to the socket to wait on.
pub(super) trait Half {
    type Socket: Transport;

    /// The sending side, for work that never blocks.
    fn with<R>(&mut self, work: impl FnOnce(&mut Writer<Self::Socket>) -> R) -> R;

    /// The socket, for work that may.
    fn socket(&mut self) -> &mut Self::Socket;

    /// The longest wait until the deadlines are looked at again, for the other half may have set one.
    fn patience(&self) -> Option<Duration>;
}

impl<S: Transport> Half for Writer<S> {
    type Socket = S;

    #[inline]
    fn with<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        work(self)
    }

    fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    fn patience(&self) -> Option<Duration> {
        None
    }
}

/// A half of a split connection: a handle of its own, and the sending side shared with the other.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) socket: S,
    pub(super) writer: Arc<Mutex<Writer<S>>>,
    /// [`Config::close_timeout`](crate::Config::close_timeout): a Close from the other half is due no sooner.
    pub(super) patience: Option<Duration>,
}

impl<S: Transport> Half for Shared<S> {
    type Socket = S;

    fn with<R>(&mut self, work: impl FnOnce(&mut Writer<S>) -> R) -> R {
        // A panic of the other half leaves whole frames behind: nothing is half done between two calls.
        work(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

/// Queues with `feed`; while there is no room, writes.
#[inline]
pub(super) fn with_room<H: Half>(
    half: &mut H,
    mut feed: impl FnMut(&mut Writer<H::Socket>) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        match half.with(&mut feed) {
            Err(Error::Send(SendError::Full)) => flush(half)?,
            done => return done,
        }
    }
}

/// Writes all that is queued, waiting for room at most as long as the deadlines allow.
pub(super) fn flush<H: Half>(half: &mut H) -> Result<(), Error> {
    while !half.with(Writer::try_flush)? {
        wait(half, Interest { read: false, write: true }, None)?;
    }
    // An empty queue may also be one that was thrown away, by an earlier call or the other half.
    half.with(
        |writer| if writer.link.is_lost() { Err(adapter::lost(writer.link.end(), writer.failed)) } else { Ok(()) },
    )
}

/// Waits for the socket, or until the next deadline, which it handles. `inside` is what the reader knows.
pub(super) fn wait<H: Half>(half: &mut H, interest: Interest, inside: Option<InboundStatus>) -> Result<Ready, Error> {
    let deadline = half.with(|writer| writer.arm(inside));
    if deadline == Some(Duration::ZERO) {
        half.with(|writer| writer.expire(inside))?;
        return Ok(Ready::default());
    }
    if deadline.is_none() && half.patience().is_none() && !interest.write {
        // The read itself may wait as long as it likes.
        return Ok(Ready { read: true, write: false });
    }
    match wait_for_socket(half, interest, deadline) {
        Err(error) if !is_pause(&error) => Err(half.with(|writer| writer.broken(error))),
        ready => Ok(ready?),
    }
}

/// Waits as long as `deadline`, the other half and the stream's own setting allow.
///
/// # Errors
///
/// `WouldBlock` when the stream's own setting was the shortest.
fn wait_for_socket<H: Half>(half: &mut H, interest: Interest, deadline: Option<Duration>) -> io::Result<Ready> {
    let own = if interest.read { half.socket().read_patience()? } else { None };
    let until = own.map(|own| clock::now().saturating_add(own));
    let timeout = [deadline, half.patience(), own].into_iter().flatten().min();
    let ready = half.socket().wait(interest, timeout)?;
    // It may have returned early, with neither.
    if ready == Ready::default() && until.is_some_and(|until| until <= clock::now()) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(ready)
}

/// Whether a deadline is over, and yet something has arrived: it may be what the deadline waits for.
pub(super) fn is_late_to_read<H: Half>(half: &mut H, inside: InboundStatus) -> bool {
    half.with(|writer| writer.arm(Some(inside))) == Some(Duration::ZERO)
        && half.socket().wait(Interest { read: true, write: false }, Some(Duration::ZERO)).is_ok_and(|ready| ready.read)
}

/// Whether the stream only has nothing now: its owner made it non-blocking or gave it a timeout.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

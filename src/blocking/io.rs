//! The loop of the adapter: a blocking socket does what a state machine of the driver says.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use super::clock;
use super::transport::{Interest, Ready, Transport};
use crate::driver::{Drive, Step, TransportError};

/// A state machine of the driver, one's own or shared with another thread under a lock, and a socket to write to.
pub(super) trait Machine<S> {
    /// The next step, after all that can be written without waiting has been: ready, closed, read or wait.
    fn poll(&mut self, socket: &mut S, error: &mut Option<io::Error>) -> Step;

    /// The next deadline that is set.
    fn poll_timeout(&self) -> Option<Duration>;

    fn read_buffer(&mut self) -> &mut [u8];

    /// Reports a read: how many bytes, `None` where there is nothing at the moment, or how it failed.
    fn report_read(&mut self, read: Result<Option<usize>, TransportError>);

    /// The transport accepts nothing at the moment.
    fn write_blocked(&mut self);

    /// Waiting for the transport failed.
    fn wait_failed(&mut self, error: TransportError);

    /// Whether the transport is being ended: a pause of the stream is no reason to come back later then.
    fn is_ending(&self) -> bool;
}

/// An opening handshake, or a sending side on its way to a goal.
pub(super) struct Own<M>(pub(super) M);

impl<S: Transport, M: Drive> Machine<S> for Own<M> {
    fn poll(&mut self, socket: &mut S, error: &mut Option<io::Error>) -> Step {
        poll_writing(&mut self.0, socket, error)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.0.poll_timeout()
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        self.0.read_buffer()
    }

    fn report_read(&mut self, read: Result<Option<usize>, TransportError>) {
        report(&mut self.0, read);
    }

    fn write_blocked(&mut self) {
        self.0.write_blocked();
    }

    fn wait_failed(&mut self, error: TransportError) {
        wait_failed(&mut self.0, error);
    }

    fn is_ending(&self) -> bool {
        false
    }
}

pub(super) fn wait_failed(machine: &mut impl Drive, error: TransportError) {
    machine.write_failed(error);
    machine.read_failed(error);
}

pub(super) fn report(machine: &mut impl Drive, read: Result<Option<usize>, TransportError>) {
    match read {
        Ok(Some(n)) => machine.received(n),
        Ok(None) => machine.read_blocked(),
        Err(error) => machine.read_failed(error),
    }
}

/// Polls `machine`, and writes what it wants written, without waiting.
pub(super) fn poll_writing<S: Transport>(
    machine: &mut impl Drive,
    socket: &mut S,
    error: &mut Option<io::Error>,
) -> Step {
    loop {
        let step = machine.poll(clock::now);
        let done = match step {
            Step::Write => socket.try_write(&[IoSlice::new(machine.to_write())]).map(|n| machine.written(n)),
            Step::Flush => socket.flush().map(|()| machine.flushed()),
            Step::ShutdownWrite => socket.shutdown_write().map(|()| machine.write_shut_down()),
            step => return step,
        };
        match done {
            Ok(()) => {}
            Err(failed) if failed.kind() == ErrorKind::WouldBlock => machine.write_blocked(),
            Err(failed) if failed.kind() == ErrorKind::Interrupted => {}
            Err(failed) => {
                machine.write_failed((&failed).into());
                // That the writing side cannot be shut down is no reason for anything.
                if step != Step::ShutdownWrite {
                    error.get_or_insert(failed);
                }
            }
        }
    }
}

/// Does what `machine` says until it is ready (true) or closed (false). It waits no longer than `patience` without a look
/// at the machine, which another thread may have changed. `error` keeps the first error of the socket.
///
/// # Errors
///
/// `WouldBlock` or `TimedOut` when the stream has nothing now, and its owner made it non-blocking or gave it a timeout:
/// nothing is lost, call again.
pub(super) fn drive<S: Transport>(
    machine: &mut impl Machine<S>,
    socket: &mut S,
    patience: Option<Duration>,
    error: &mut Option<io::Error>,
) -> io::Result<bool> {
    // Whether a read would not wait.
    let mut readable = false;
    loop {
        match machine.poll(socket, error) {
            Step::Ready => return Ok(true),
            Step::Closed => return Ok(false),
            Step::Wait { read, write, until } => {
                if read && !write && until.is_none() && patience.is_none() {
                    // The read itself may wait as long as it likes.
                    read_once(machine, socket, error)?;
                } else {
                    readable = wait(machine, socket, (Interest { read, write }, until, patience), error)?;
                }
            }
            _ if std::mem::take(&mut readable) || has_arrived(machine, socket) => {
                read_once(machine, socket, error)?;
            }
            _ => machine.report_read(Ok(None)),
        }
    }
}

/// Whether a deadline is over, and yet something has arrived: it may be what the deadline waits for.
fn has_arrived<S: Transport>(machine: &impl Machine<S>, socket: &mut S) -> bool {
    machine.poll_timeout().is_some_and(|deadline| deadline <= clock::now())
        && socket.wait(Interest { read: true, write: false }, Some(Duration::ZERO)).is_ok_and(|ready| ready.read)
}

fn read_once<S: Transport>(
    machine: &mut impl Machine<S>,
    socket: &mut S,
    error: &mut Option<io::Error>,
) -> io::Result<()> {
    match socket.read(machine.read_buffer()) {
        Ok(n) => machine.report_read(Ok(Some(n))),
        Err(failed) if failed.kind() == ErrorKind::Interrupted => {}
        Err(failed) if is_pause(&failed) && !machine.is_ending() => {
            machine.report_read(Ok(None));
            // Nothing was read since the last poll, so this gives no item: the machine only returns its block before the
            // caller leaves.
            let _ = machine.poll(socket, error);
            return Err(failed);
        }
        Err(failed) => {
            machine.report_read(Err((&failed).into()));
            error.get_or_insert(failed);
        }
    }
    Ok(())
}

/// Waits for the socket, as long as the deadline, the other half and the stream's own setting allow. Whether there is
/// something to read.
fn wait<S: Transport>(
    machine: &mut impl Machine<S>,
    socket: &mut S,
    (interest, until, patience): (Interest, Option<Duration>, Option<Duration>),
    error: &mut Option<io::Error>,
) -> io::Result<bool> {
    let now = clock::now();
    let until = until.map(|until| until.saturating_sub(now));
    let waited: io::Result<Ready> = (|| {
        let own = if interest.read && !machine.is_ending() { socket.read_patience()? } else { None };
        let timeout = [until, patience, own].into_iter().flatten().min();
        let ready = socket.wait(interest, timeout)?;
        let paused = own.is_some_and(|own| now.saturating_add(own) <= clock::now());
        // It may have returned early, with neither.
        if ready == Ready::default() && paused { Err(ErrorKind::WouldBlock.into()) } else { Ok(ready) }
    })();
    match waited {
        Ok(ready) => {
            if interest.write && !ready.write {
                machine.write_blocked();
            }
            Ok(ready.read)
        }
        Err(failed) if failed.kind() == ErrorKind::Interrupted => Ok(false),
        Err(failed) if is_pause(&failed) && !machine.is_ending() => Err(failed),
        Err(failed) => {
            machine.wait_failed((&failed).into());
            error.get_or_insert(failed);
            Ok(false)
        }
    }
}

/// Whether the stream only has nothing now: its owner made it non-blocking or gave it a timeout.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

//! Access to the sending side: one's own, or shared with the other half under a lock.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::io::{Machine, drive, poll_writing, report, wait_failed};
use super::transport::Transport;
use crate::adapter::ThreadBuffers;
use crate::driver::{Drive as _, Goal, ReceiveHalf, SendHalf, Step, TransportError};
use crate::{Delivery, Error};

/// Who may reach the sending side, and has a handle to the socket.
pub(super) trait Access {
    type Socket: Transport;

    /// The sending side and a handle to the socket, for work that never waits.
    fn with<R>(&mut self, work: impl FnOnce(&mut SendHalf<ThreadBuffers>, &mut Self::Socket) -> R) -> R;

    /// Drives the connection until there is an item (true), or to its end (false).
    ///
    /// # Errors
    ///
    /// A pause of the stream: nothing is lost, call again.
    fn drive<D: Delivery>(&mut self, receive: &mut ReceiveHalf<D, ThreadBuffers>) -> io::Result<bool>;

    /// Writes until `goal` is reached.
    fn until(&mut self, goal: Goal) -> Result<(), Error>;
}

/// A half of a split connection: a handle of its own, and the sending side shared with the other.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) socket: S,
    pub(super) send: Arc<Mutex<SendHalf<ThreadBuffers>>>,
    /// The longest wait until the deadlines are looked at again, for the other half may have set one:
    /// [`Config::close_timeout`](crate::Config::close_timeout), since a Close from the other half is due no sooner.
    pub(super) patience: Option<Duration>,
}

impl<S: Transport> Shared<S> {
    /// Work that waits for nothing.
    pub(super) fn look<R>(&self, work: impl FnOnce(&mut SendHalf<ThreadBuffers>) -> R) -> R {
        work(&mut lock(&self.send))
    }
}

impl<S: Transport> Access for Shared<S> {
    type Socket = S;

    fn with<R>(&mut self, work: impl FnOnce(&mut SendHalf<ThreadBuffers>, &mut S) -> R) -> R {
        with_lock(&self.send, &mut self.socket, work)
    }

    fn drive<D: Delivery>(&mut self, receive: &mut ReceiveHalf<D, ThreadBuffers>) -> io::Result<bool> {
        let Self { socket, send, patience } = self;
        drive(&mut LockedPair { receive, send }, socket, *patience, &mut None)
    }

    fn until(&mut self, goal: Goal) -> Result<(), Error> {
        let Self { socket, send, patience } = self;
        if !drive(&mut LockedSend { send, goal }, socket, *patience, &mut None)? {
            self.look(|send| send.result())?;
        }
        Ok(())
    }
}

fn lock(send: &Mutex<SendHalf<ThreadBuffers>>) -> std::sync::MutexGuard<'_, SendHalf<ThreadBuffers>> {
    // A panic of the other half leaves whole frames behind: nothing is half done between two calls.
    send.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work under the lock. Where it ends the connection, the other half is woken: it may wait for the socket.
fn with_lock<S: Transport, R>(
    send: &Mutex<SendHalf<ThreadBuffers>>,
    socket: &mut S,
    work: impl FnOnce(&mut SendHalf<ThreadBuffers>, &mut S) -> R,
) -> R {
    let mut send = lock(send);
    let was_closed = send.is_closed();
    let result = work(&mut send, socket);
    let closes = send.is_closed() && !was_closed;
    drop(send);
    if closes {
        // What fails here has failed already.
        let _ = socket.shutdown_both();
    }
    result
}

/// The reading half of a connection. The lock is held for what never waits.
struct LockedPair<'a, D> {
    receive: &'a mut ReceiveHalf<D, ThreadBuffers>,
    send: &'a Mutex<SendHalf<ThreadBuffers>>,
}

impl<S: Transport, D: Delivery> Machine<S> for LockedPair<'_, D> {
    fn poll(&mut self, socket: &mut S, error: &mut Option<io::Error>) -> Step {
        with_lock(self.send, socket, |send, socket| poll_writing(&mut self.receive.with(send), socket, error))
    }

    fn poll_timeout(&self) -> Option<Duration> {
        lock(self.send).poll_timeout()
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        self.receive.read_buffer()
    }

    fn report_read(&mut self, read: Result<Option<usize>, TransportError>) {
        report(&mut self.receive.with(&mut lock(self.send)), read);
    }

    fn write_blocked(&mut self) {
        lock(self.send).write_blocked();
    }

    fn wait_failed(&mut self, error: TransportError) {
        wait_failed(&mut self.receive.with(&mut lock(self.send)), error);
    }

    fn is_ending(&self) -> bool {
        lock(self.send).is_ending()
    }
}

/// The writing half of a connection, on its way to a goal.
struct LockedSend<'a> {
    send: &'a Mutex<SendHalf<ThreadBuffers>>,
    goal: Goal,
}

impl<S: Transport> Machine<S> for LockedSend<'_> {
    fn poll(&mut self, socket: &mut S, error: &mut Option<io::Error>) -> Step {
        with_lock(self.send, socket, |send, socket| poll_writing(&mut send.until(self.goal), socket, error))
    }

    fn poll_timeout(&self) -> Option<Duration> {
        lock(self.send).until(self.goal).poll_timeout()
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        &mut []
    }

    fn report_read(&mut self, _: Result<Option<usize>, TransportError>) {}

    fn write_blocked(&mut self) {
        lock(self.send).write_blocked();
    }

    fn wait_failed(&mut self, error: TransportError) {
        lock(self.send).write_failed(error);
    }

    fn is_ending(&self) -> bool {
        lock(self.send).is_ending()
    }
}

//! The loop of the adapter: a socket and a timer do what a state machine of the driver says.

use std::boxed::Box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::clock;
use crate::driver::{Drive, Step};

/// A socket, and a timer while a deadline is set.
#[derive(Debug)]
pub(crate) struct Io<S> {
    pub(crate) socket: S,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Io<S> {
    pub(super) const fn new(socket: S) -> Self {
        Self { socket, timer: None }
    }

    /// Ready when the clock shows `until`.
    fn poll_timer(&mut self, until: Option<Duration>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = until.and_then(clock::instant) else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // One that fires too early costs less than to move it each time.
        if at < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    /// Does what `machine` says until it is ready (true) or closed (false).
    pub(super) fn poll_drive(&mut self, machine: &mut impl Drive, context: &mut Context<'_>) -> Poll<bool> {
        self.poll_drive_with(machine, context, &mut None)
    }

    /// As [`poll_drive`](Self::poll_drive), and keeps the first error of the socket.
    pub(super) fn poll_drive_with(
        &mut self,
        machine: &mut impl Drive,
        context: &mut Context<'_>,
        error: &mut Option<io::Error>,
    ) -> Poll<bool> {
        loop {
            match machine.poll(clock::now) {
                Step::Ready => return Poll::Ready(true),
                Step::Closed => {
                    self.timer = None;
                    return Poll::Ready(false);
                }
                Step::Read => {
                    let mut buffer = ReadBuf::new(machine.read_buffer());
                    match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                        Poll::Ready(Ok(())) => {
                            let n = buffer.filled().len();
                            machine.received(n);
                        }
                        Poll::Ready(Err(failed)) if failed.kind() == io::ErrorKind::Interrupted => {}
                        Poll::Ready(Err(failed)) => {
                            machine.read_failed((&failed).into());
                            error.get_or_insert(failed);
                        }
                        Poll::Pending => machine.read_blocked(),
                    }
                }
                Step::Write => {
                    let written = Pin::new(&mut self.socket).poll_write(context, machine.to_write());
                    if let Some(n) = done(written, machine, error) {
                        machine.written(n);
                    }
                }
                Step::Flush => {
                    let flushed = Pin::new(&mut self.socket).poll_flush(context);
                    if done(flushed, machine, error).is_some() {
                        machine.flushed();
                    }
                }
                Step::ShutdownWrite => {
                    let shut_down = Pin::new(&mut self.socket).poll_shutdown(context);
                    // That the writing side cannot be shut down is no reason for anything.
                    if done(shut_down, machine, &mut None).is_some() {
                        machine.write_shut_down();
                    }
                }
                Step::Wait { until, .. } => ready!(self.poll_timer(until, context)),
            }
        }
    }
}

/// What came of writing; what did not work is reported.
fn done<T>(polled: Poll<io::Result<T>>, machine: &mut impl Drive, error: &mut Option<io::Error>) -> Option<T> {
    match polled {
        Poll::Ready(Ok(done)) => return Some(done),
        Poll::Ready(Err(failed)) if failed.kind() == io::ErrorKind::Interrupted => {}
        Poll::Ready(Err(failed)) => {
            machine.write_failed((&failed).into());
            error.get_or_insert(failed);
        }
        Poll::Pending => machine.write_blocked(),
    }
    None
}

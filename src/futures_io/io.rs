//! The loop of the adapter: a stream and a timer do what a state machine of the driver says.

use std::boxed::Box;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_io::{AsyncRead, AsyncWrite};

use crate::adapter::clock;
use crate::driver::{Drive, Step};

/// A stream, and a timer while a deadline is set.
#[derive(Debug)]
pub(super) struct Io<S> {
    pub(super) stream: S,
    timer: Option<Box<(Instant, Timer)>>,
    /// How the stream failed first: the driver knows the kind alone.
    pub(super) error: Option<io::Error>,
}

impl<S> Io<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, timer: None, error: None }
    }

    /// Ready when the clock shows `until`.
    fn poll_timer(&mut self, until: Option<Duration>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = until.and_then(clock::instant) else {
            self.timer = None;
            return Poll::Pending;
        };
        // One that fires too early costs less than to move it each time.
        if self.timer.as_ref().is_none_or(|timer| timer.0 > at) {
            self.timer = Some(Box::new((at, Timer::at(at))));
        }
        if let Some(timer) = &mut self.timer {
            ready!(Pin::new(&mut timer.1).poll(context));
        }
        self.timer = None;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    /// Does what `machine` says until it is ready (true) or closed (false).
    pub(super) fn poll_drive(&mut self, machine: &mut impl Drive, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            let Self { stream, error, .. } = self;
            let stream = Pin::new(stream);
            match machine.poll(clock::now) {
                Step::Ready => return Poll::Ready(true),
                Step::Closed => {
                    self.timer = None;
                    return Poll::Ready(false);
                }
                Step::Read => match stream.poll_read(context, machine.read_buffer()) {
                    Poll::Ready(Ok(n)) => machine.received(n),
                    Poll::Ready(Err(failed)) if failed.kind() == ErrorKind::Interrupted => {}
                    Poll::Ready(Err(failed)) => {
                        machine.read_failed((&failed).into());
                        error.get_or_insert(failed);
                    }
                    Poll::Pending => machine.read_blocked(),
                },
                Step::Write => {
                    let written = stream.poll_write(context, machine.to_write());
                    report(written, machine, error, Drive::written);
                }
                Step::Flush => report(stream.poll_flush(context), machine, error, |machine, ()| machine.flushed()),
                Step::ShutdownWrite => {
                    // That the writing side cannot be shut down explains nothing.
                    report(stream.poll_close(context), machine, &mut None, |machine, ()| machine.write_shut_down());
                }
                Step::Wait { until, .. } => ready!(self.poll_timer(until, context)),
            }
        }
    }
}

/// Reports the outcome of writing; `done` reports a success.
fn report<M: Drive, T>(
    polled: Poll<io::Result<T>>,
    machine: &mut M,
    error: &mut Option<io::Error>,
    done: impl FnOnce(&mut M, T),
) {
    match polled {
        Poll::Ready(Ok(value)) => done(machine, value),
        Poll::Ready(Err(failed)) if failed.kind() == ErrorKind::Interrupted => {}
        Poll::Ready(Err(failed)) => {
            machine.write_failed((&failed).into());
            error.get_or_insert(failed);
        }
        Poll::Pending => machine.write_blocked(),
    }
}

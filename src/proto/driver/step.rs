//! What the driver and the owner of a transport say to each other.

use core::fmt;
use core::time::Duration;

/// What to do next with the transport. It borrows nothing, so that a loop can hold it.
///
/// No step may wait. Where the transport can do nothing at the moment, say so
/// ([`read_blocked`](Drive::read_blocked), [`write_blocked`](Drive::write_blocked)) and poll again: the driver then names
/// another step or asks to [wait](Step::Wait).
///
/// The enum is complete: an adapter has to do each of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Something for the application is ready: an [`Item`](super::Driver::item), a request, a response, a flushed queue.
    Ready,
    /// Read into [`read_buffer`](Drive::read_buffer) and report with [`received`](Drive::received).
    Read,
    /// Write [`to_write`](Drive::to_write) and report with [`written`](Drive::written).
    Write,
    /// Flush the transport, if it buffers what it accepts, and report with [`flushed`](Drive::flushed).
    Flush,
    /// Shut down the writing side of the transport and report with [`write_shut_down`](Drive::write_shut_down).
    ShutdownWrite,
    /// Wait until the transport can be read (if `read`) or written (if `write`), or until the clock shows `until`, then
    /// poll again. To poll sooner is harmless.
    Wait {
        /// Whether to wait for something to read; the end of the stream counts.
        read: bool,
        /// Whether to wait until the transport accepts output.
        write: bool,
        /// When to poll at the latest, on the clock that [`poll`](Drive::poll) was given.
        until: Option<Duration>,
    },
    /// The connection is over: drop the transport.
    Closed,
}

/// A state machine that drives a transport: [`Driver`](super::Driver), its parts, and the opening handshakes.
///
/// The loop of an adapter is the same for all of them: [`poll`](Self::poll), do what the [`Step`] says, report, poll again.
pub trait Drive {
    /// The next step. `clock` gives the time since an origin of the caller's choice, the same in every call; it is read
    /// only when a deadline is set, moved or judged, at most once a call.
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step;

    /// The next deadline that is set, on the clock of [`poll`](Self::poll): a caller that cannot try a read without
    /// waiting looks whether something has arrived before it lets one be judged that is over.
    fn poll_timeout(&self) -> Option<Duration>;

    /// Where to read into; never empty after [`Step::Read`].
    fn read_buffer(&mut self) -> &mut [u8];

    /// The transport gave `n` bytes, which lie at the start of the [`read_buffer`](Self::read_buffer); zero means the end
    /// of the stream.
    ///
    /// # Panics
    ///
    /// May panic when `n` is larger than the buffer.
    fn received(&mut self, n: usize);

    /// The transport has nothing to read at the moment.
    fn read_blocked(&mut self);

    /// Reading failed: the transport is broken.
    fn read_failed(&mut self, error: TransportError);

    /// The output that waits.
    fn to_write(&self) -> &[u8];

    /// The transport accepted the first `n` bytes of [`to_write`](Self::to_write); zero counts as a failure.
    ///
    /// # Panics
    ///
    /// May panic when `n` is larger than the output.
    fn written(&mut self, n: usize);

    /// The transport has handed on all that it accepted.
    fn flushed(&mut self);

    /// The writing side of the transport has been shut down.
    fn write_shut_down(&mut self);

    /// The transport cannot write, flush or shut down at the moment.
    fn write_blocked(&mut self);

    /// Writing, flushing or shutting down failed: the transport accepts no more bytes. What the peer sent before may still
    /// be read.
    fn write_failed(&mut self, error: TransportError);
}

impl<T: Drive + ?Sized> Drive for &mut T {
    #[inline]
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        T::poll(self, clock)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        T::poll_timeout(self)
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        T::read_buffer(self)
    }

    fn received(&mut self, n: usize) {
        T::received(self, n);
    }

    fn read_blocked(&mut self) {
        T::read_blocked(self);
    }

    fn read_failed(&mut self, error: TransportError) {
        T::read_failed(self, error);
    }

    fn to_write(&self) -> &[u8] {
        T::to_write(self)
    }

    fn written(&mut self, n: usize) {
        T::written(self, n);
    }

    fn flushed(&mut self) {
        T::flushed(self);
    }

    fn write_shut_down(&mut self) {
        T::write_shut_down(self);
    }

    fn write_blocked(&mut self) {
        T::write_blocked(self);
    }

    fn write_failed(&mut self, error: TransportError) {
        T::write_failed(self, error);
    }
}

/// How a transport failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// The stream ended where it should not: no Close of each side, or a handshake that is not complete.
    UnexpectedEof,
    /// The transport accepted zero bytes.
    WriteZero,
    /// The transport failed, for a reason without a name here.
    Failed,
    /// The transport failed with an I/O error of this kind.
    #[cfg(feature = "std")]
    Io(std::io::ErrorKind),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEof => f.write_str("the peer ended the stream without a Close"),
            Self::WriteZero => f.write_str("the transport accepts no bytes"),
            Self::Failed => f.write_str("the transport failed"),
            #[cfg(feature = "std")]
            Self::Io(kind) => fmt::Display::fmt(kind, f),
        }
    }
}

impl core::error::Error for TransportError {}

#[cfg(feature = "std")]
impl From<std::io::ErrorKind> for TransportError {
    fn from(kind: std::io::ErrorKind) -> Self {
        match kind {
            std::io::ErrorKind::WriteZero => Self::WriteZero,
            kind => Self::Io(kind),
        }
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for TransportError {
    fn from(error: &std::io::Error) -> Self {
        error.kind().into()
    }
}

#[cfg(feature = "std")]
impl From<TransportError> for std::io::Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::UnexpectedEof => Self::new(std::io::ErrorKind::UnexpectedEof, error),
            TransportError::WriteZero => Self::new(std::io::ErrorKind::WriteZero, error),
            TransportError::Failed => Self::other(error),
            TransportError::Io(kind) => kind.into(),
        }
    }
}

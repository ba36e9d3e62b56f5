//! What the adapters share: the buffers of a thread, what a connection is made of, how it ends.
//!
//! No socket, no clock, and no rule of the protocol.

pub(crate) mod buffers;
mod parts;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub(crate) mod trace;

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Buf, BytesMut};

pub use parts::Parts;

use crate::proto::config::Config;
use crate::proto::error::{Error, HandshakeError};
use crate::proto::link::{Cause, End, Link};
use crate::proto::timers::Timeout;

/// From this many bytes on, an unmasked payload goes out uncopied, in one vectored write behind what is queued.
pub(crate) const UNCOPIED: usize = 4 << 10;

/// When a piece of work has to be complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// On the adapter's clock.
    pub(crate) at: Duration,
    limit: Duration,
}

impl Deadline {
    /// For work that begins at `start` and may take `limit`.
    pub(crate) fn new(start: Duration, limit: Duration) -> Self {
        Self { at: start.saturating_add(limit), limit }
    }

    /// For an opening handshake that begins at `start`.
    pub(crate) fn of_handshake(config: &Config, start: Duration) -> Option<Self> {
        config.handshake_timeout.map(|limit| Self::new(start, limit))
    }

    /// An equal share of the time that is left, for one of `shares` attempts.
    pub(crate) fn share(self, now: Duration, shares: usize) -> Self {
        let left = self.at.saturating_sub(now) / u32::try_from(shares).unwrap_or(u32::MAX);
        Self { at: now.saturating_add(left), limit: self.limit }
    }

    pub(crate) const fn error(self) -> HandshakeError {
        HandshakeError::TimedOut(self.limit)
    }
}

/// The defaults, one for all connections that were given nothing else.
pub(crate) fn default_config() -> Arc<Config> {
    static DEFAULT: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);
    DEFAULT.clone()
}

/// Bytes that nobody can guess, from the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// What `next` makes of an `end` when nothing is left to read: nothing, or what went wrong, also when it was the other
/// half or an earlier call that met it. `failed` is how the first write failed that did.
pub(crate) fn ended(end: Option<End>, failed: Option<io::ErrorKind>) -> Result<(), Error> {
    match end.map(|end| (end.cause, end.received)) {
        None | Some((Cause::Close, Some(_))) => Ok(()),
        Some((Cause::Protocol(error), _)) => Err(error.into()),
        Some((Cause::Timeout(timeout), _)) => Err(timed_out(timeout)),
        Some((Cause::Close | Cause::Disconnected, _)) => Err(no_close(failed)),
    }
}

/// The stream has ended without a Close of each side, or took nothing any more before that.
pub(crate) fn no_close(failed: Option<io::ErrorKind>) -> Error {
    let error = failed.map_or_else(
        || io::Error::new(io::ErrorKind::UnexpectedEof, "the peer ended without a Close"),
        io::Error::from,
    );
    error.into()
}

/// The stream failed before the connection was open: what TLS fails with is a kind of its own.
pub(crate) fn not_opened(error: io::Error) -> Error {
    #[cfg(feature = "rustls")]
    return crate::tls::handshake_error(error);
    #[cfg(not(feature = "rustls"))]
    error.into()
}

/// Not all that was queued has gone out, as `end` tells.
pub(crate) fn lost(end: Option<End>, failed: Option<io::ErrorKind>) -> Error {
    match end.map(|end| end.cause) {
        Some(Cause::Timeout(timeout)) => timed_out(timeout),
        _ => io::Error::from(failed.unwrap_or(io::ErrorKind::BrokenPipe)).into(),
    }
}

pub(crate) fn timed_out(timeout: Timeout) -> Error {
    io::Error::new(io::ErrorKind::TimedOut, std::format!("{timeout}")).into()
}

/// The transport took the first `written` bytes of `output`, and of `parts` behind it: queues the rest.
pub(crate) fn queue_rest(written: usize, parts: [&[u8]; 2], link: &mut Link, output: &mut BytesMut) {
    let queued = written.min(output.len());
    output.advance(queued);
    let mut rest = written - queued;
    for part in parts {
        let sent = rest.min(part.len());
        output.extend_from_slice(&part[sent..]);
        rest -= sent;
    }
    // Only now, at the end of a frame, may a Pong come in.
    link.wrote_directly(written, output);
}

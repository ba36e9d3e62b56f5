//! What the adapters share beside the driver: a thread's buffers, randomness, tracing.

mod buffers;
#[cfg(any(feature = "blocking", feature = "futures-io"))]
pub(crate) mod clock;
mod parts;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub(crate) mod trace;

use std::io;
use std::sync::{Arc, LazyLock};
#[cfg(any(feature = "blocking", feature = "tokio"))]
use std::time::Duration;

pub(crate) use buffers::ThreadBuffers;
pub use parts::Parts;

#[cfg(any(feature = "blocking", feature = "tokio"))]
use crate::HandshakeError;
use crate::driver::OpeningError;
use crate::{Config, Error};

/// When a piece of work has to be complete.
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// On the adapter's clock.
    pub(crate) at: Duration,
    limit: Duration,
}

#[cfg(any(feature = "blocking", feature = "tokio"))]
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

/// Why a connection did not open. `error` is how the transport failed, if it did: what TLS fails with is a kind of its own.
pub(crate) fn not_opened(result: Result<(), OpeningError>, error: Option<io::Error>) -> Error {
    match (result, error) {
        #[cfg(feature = "rustls")]
        (Err(OpeningError::Transport(_)), Some(error)) => crate::tls::handshake_error(error),
        #[cfg(not(feature = "rustls"))]
        (Err(OpeningError::Transport(_)), Some(error)) => error.into(),
        (Err(error), _) => error.into(),
        (Ok(()), error) => error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()).into(),
    }
}

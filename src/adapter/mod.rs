//! What the adapters share beside the driver: a thread's buffers, randomness, tracing.

mod buffers;
mod parts;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub(crate) mod trace;

use std::io;
use std::sync::{Arc, LazyLock};

pub(crate) use buffers::ThreadBuffers;
pub use parts::Parts;

use crate::driver::OpeningError;
use crate::{Config, Error};

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

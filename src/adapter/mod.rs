//! What the adapters share beside the driver: a thread's buffers, randomness, tracing.

mod buffers;
#[cfg(any(feature = "blocking", feature = "futures-io"))]
pub(crate) mod clock;
mod parts;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub(crate) mod trace;

#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use std::boxed::Box;
use std::io;
#[cfg(all(any(all(feature = "blocking", unix), feature = "tokio"), feature = "rustls"))]
use std::string::String;
use std::sync::{Arc, LazyLock};

pub(crate) use buffers::ThreadBuffers;
pub use parts::Parts;

#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use crate::HandshakeError;
#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use crate::dial::{DialError, DialFailure, DialOptions, ProxyError};
use crate::driver::OpeningError;
#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use crate::driver::TransportError;
#[cfg(all(any(all(feature = "blocking", unix), feature = "tokio"), feature = "rustls"))]
use crate::handshake::Uri;
use crate::{Config, Error};

/// The dialler's defaults, one for all connections that were given nothing else.
#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
pub(crate) fn default_dial_options() -> Arc<DialOptions> {
    static DEFAULT: LazyLock<Arc<DialOptions>> = LazyLock::new(|| {
        Arc::new(DialOptions {
            #[cfg(feature = "proxy-env")]
            proxy: crate::environment::proxy_choice(),
            tls: cfg!(feature = "rustls"),
            ..DialOptions::default()
        })
    });
    DEFAULT.clone()
}

/// The TLS of one dial: which certificates to trust.
#[cfg(all(any(all(feature = "blocking", unix), feature = "tokio"), feature = "rustls"))]
pub(crate) struct Tls {
    config: Option<Arc<rustls::ClientConfig>>,
    /// The first session, with the name that it is for: made before anything is dialled, since it may fail.
    first: Option<(String, crate::tls::Session)>,
}

#[cfg(all(any(all(feature = "blocking", unix), feature = "tokio"), feature = "rustls"))]
impl Tls {
    pub(crate) fn new(config: Option<Arc<rustls::ClientConfig>>, uri: &Uri) -> Result<Self, HandshakeError> {
        let first = match uri.is_secure() {
            true => Some((uri.host().into(), crate::tls::Session::client(config.clone(), uri.host())?)),
            false => None,
        };
        Ok(Self { config, first })
    }

    /// A client's session with this server.
    pub(crate) fn session(&mut self, server_name: &str) -> Result<crate::tls::Session, HandshakeError> {
        match self.first.take_if(|(name, _)| *name == server_name) {
            Some((_, session)) => Ok(session),
            None => crate::tls::Session::client(self.config.clone(), server_name),
        }
    }
}

/// Why there is no connection. `transport` is how the stream failed, if it did.
#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
pub(crate) fn not_dialled(error: DialError, transport: Option<io::Error>) -> Error {
    match error.failure() {
        DialFailure::TlsUnavailable => HandshakeError::TlsUnavailable.into(),
        DialFailure::Timeout { limit, .. } => HandshakeError::TimedOut(*limit).into(),
        DialFailure::Opening(_) => match error.into_failure() {
            DialFailure::Opening(error) => not_opened(Err(error), transport),
            failure => unreachable!("{failure:?} was an opening handshake's"),
        },
        DialFailure::Proxy(ProxyError::Transport(_)) => {
            match transport.map(|failed| not_opened(Ok(()), Some(failed))) {
                Some(error @ Error::Handshake(_)) => error, // TLS with the proxy
                _ => Error::Dial(Box::new(error)),
            }
        }
        _ => Error::Dial(Box::new(error)),
    }
}

/// Why an opening handshake did not succeed.
#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
pub(crate) fn opening_error(result: Result<(), OpeningError>) -> OpeningError {
    result.err().unwrap_or(OpeningError::Transport(TransportError::UnexpectedEof))
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
        (Err(OpeningError::Transport(_)) | Ok(()), Some(error)) => crate::tls::handshake_error(error),
        #[cfg(not(feature = "rustls"))]
        (Err(OpeningError::Transport(_)) | Ok(()), Some(error)) => error.into(),
        (Err(error), _) => error.into(),
        (Ok(()), None) => io::Error::from(io::ErrorKind::BrokenPipe).into(),
    }
}

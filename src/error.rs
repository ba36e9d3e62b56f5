//! What the adapters return.

use std::io;

use crate::driver::{OpeningError, TransportError};
use crate::{ConnectionError, HandshakeError, ProtocolError, SendError, Timeout};

/// Why an adapter's call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection did not open.
    Handshake(HandshakeError),
    /// The peer broke the protocol; it was sent a Close that says so.
    Protocol(ProtocolError),
    /// The caller asked for what may not be sent; nothing was.
    Send(SendError),
    /// A deadline of [`Config`](crate::Config) expired. A socket's own timeout is [`Error::Io`].
    Timeout(Timeout),
    /// The transport failed, or ended early (`UnexpectedEof`).
    Io(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Handshake(error) => std::fmt::Display::fmt(error, f),
            Self::Protocol(error) => std::fmt::Display::fmt(error, f),
            Self::Send(error) => std::fmt::Display::fmt(error, f),
            Self::Timeout(timeout) => std::fmt::Display::fmt(timeout, f),
            Self::Io(error) => std::fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handshake(error) => error.source(),
            Self::Protocol(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::Timeout(_) => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<Timeout> for Error {
    fn from(timeout: Timeout) -> Self {
        Self::Timeout(timeout)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Io(error.into())
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Protocol(error) => error.into(),
            ConnectionError::Timeout(timeout) => timeout.into(),
            ConnectionError::Transport(error) => error.into(),
        }
    }
}

impl From<OpeningError> for Error {
    fn from(error: OpeningError) -> Self {
        match error {
            OpeningError::Handshake(error) => error.into(),
            OpeningError::Timeout(timeout) => timeout.into(),
            error @ OpeningError::Transport(TransportError::UnexpectedEof) => {
                io::Error::new(io::ErrorKind::UnexpectedEof, error).into()
            }
            OpeningError::Transport(error) => error.into(),
        }
    }
}

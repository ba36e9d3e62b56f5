//! What the adapters return.

use std::boxed::Box;
use std::io;
use std::time::Duration;

use crate::dial::DialError;
use crate::driver::{OpeningError, TransportError};
use crate::handshake::{BuildError, OriginError, RequestError, ResponseError, UriError};
use crate::{ConnectionError, HandshakeError, ProtocolError, SendError, Timeout};

/// Why an adapter's call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no way to the server: its name could not be resolved, no address accepted a connection, the proxy opened no
    /// tunnel, or a redirect was not followed.
    Dial(Box<DialError>),
    /// The connection did not open.
    Handshake(HandshakeError),
    /// The peer broke the protocol; it was sent a Close that says so.
    Protocol(ProtocolError),
    /// The caller asked for what may not be sent; nothing was.
    Send(SendError),
    /// A deadline of [`Config`](crate::Config) expired: which one, and how long it was. A socket's own timeout is
    /// [`Error::Io`].
    Timeout(Timeout, Duration),
    /// The transport failed, or ended early (`UnexpectedEof`).
    Io(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dial(error) => std::fmt::Display::fmt(error, f),
            Self::Handshake(error) => std::fmt::Display::fmt(error, f),
            Self::Protocol(error) => std::fmt::Display::fmt(error, f),
            Self::Send(error) => std::fmt::Display::fmt(error, f),
            Self::Timeout(timeout, limit) => write!(f, "{timeout} ({limit:?})"),
            Self::Io(error) => std::fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dial(error) => error.source(),
            Self::Handshake(error) => error.source(),
            Self::Protocol(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::Timeout(..) => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::TimedOut(limit) => Self::Timeout(Timeout::Handshake, limit),
            error => Self::Handshake(error),
        }
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
            ConnectionError::Timeout(timeout, limit) => Self::Timeout(timeout, limit),
            ConnectionError::Transport(error) => error.into(),
        }
    }
}

impl From<OpeningError> for Error {
    fn from(error: OpeningError) -> Self {
        match error {
            OpeningError::Handshake(error) => error.into(),
            OpeningError::Timeout(timeout, limit) => Self::Timeout(timeout, limit),
            error @ OpeningError::Transport(TransportError::UnexpectedEof) => {
                io::Error::new(io::ErrorKind::UnexpectedEof, error).into()
            }
            OpeningError::Transport(error) => error.into(),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        HandshakeError::from(error).into()
    }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        HandshakeError::from(error).into()
    }
}

impl From<OriginError> for Error {
    fn from(error: OriginError) -> Self {
        HandshakeError::from(error).into()
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        HandshakeError::from(error).into()
    }
}

impl From<UriError> for Error {
    fn from(error: UriError) -> Self {
        HandshakeError::from(error).into()
    }
}

impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        Self::Dial(Box::new(error))
    }
}

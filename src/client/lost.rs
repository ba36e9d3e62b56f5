//! What went wrong, and whether it is worth another attempt.

use std::fmt;
use std::time::Duration;

use crate::CloseCode;
use crate::Timeout;
use crate::handshake::UriError;
use crate::session::{BoxError, Closed, Failure};
use crate::{Cause, Initiator};
use crate::{Error, HandshakeError};

/// Why there is no connection: an attempt came to nothing, or one that was open has ended.
#[derive(Debug)]
pub enum Lost {
    /// It did not open, or could not be resumed.
    NotOpened(Failure),
    /// It was open, and has ended.
    Closed(Closed),
}

impl Lost {
    /// Whether another attempt may end otherwise.
    ///
    /// | Not | But |
    /// |---|---|
    /// | a Close that this end began, whatever its code; 1000 from the peer | 1001, 1006, 1011 to 1013 and all other codes |
    /// | a refusal: 2xx, 3xx, 4xx | 408, 425, 429, 5xx |
    /// | an answer that breaks the rules of the handshake; an address that is none | I/O errors, deadlines, protocol errors |
    /// | `wss` without TLS; a certificate that is not accepted | other failures of TLS |
    /// | | an error of a [`Plan`](super::Plan)'s own |
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Closed(_) => !self.is_intended(),
            Self::NotOpened(Failure::Connection(Error::Handshake(error))) => may_open_later(error),
            Self::NotOpened(_) => true,
        }
    }

    /// How long the server asks to wait: the `Retry-After` of its refusal, where it is a number of seconds (RFC 9110
    /// section 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::NotOpened(Failure::Connection(Error::Handshake(HandshakeError::Refused(response)))) = self else {
            return None;
        };
        response.headers().get("Retry-After")?.parse().ok().map(Duration::from_secs)
    }

    /// Whether this is how a connection ends that has done its work.
    pub(super) fn is_intended(&self) -> bool {
        let Self::Closed(Closed { end, .. }) = self else { return false };
        let own = end.by == Initiator::Local && matches!(end.cause, Cause::Close | Cause::Timeout(Timeout::Close));
        own || end.received == Some(CloseCode::NORMAL)
    }

    /// What `?` made of an error of this crate in a plan is that error still.
    pub(super) fn failure(error: BoxError) -> Failure {
        let error = error.downcast::<Error>().map(|error| *error);
        let error = error.or_else(|error| error.downcast::<HandshakeError>().map(|error| (*error).into()));
        let error = error.or_else(|error| error.downcast::<UriError>().map(|error| HandshakeError::Uri(*error).into()));
        error.map_or_else(Failure::Handler, Failure::Connection)
    }
}

fn may_open_later(error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Refused(response) => matches!(response.status(), 408 | 425 | 429 | 500..),
        HandshakeError::TimedOut(_) => true,
        #[cfg(feature = "rustls")]
        HandshakeError::Tls(error) => !matches!(error, rustls::Error::InvalidCertificate(_)),
        _ => false,
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened(failure) => fmt::Display::fmt(failure, f),
            Self::Closed(closed) => write!(f, "the connection ended with {}", closed.code()),
        }
    }
}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotOpened(failure) => failure.source(),
            Self::Closed(_) => None,
        }
    }
}

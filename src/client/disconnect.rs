//! Why a client has no connection, and whether another attempt may succeed.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::CloseCode;
use crate::Timeout;
use crate::dial::{DialError, DialFailure, ProxyError, SocksError};
use crate::handshake::{BuildError, UriError};
use crate::retry::Loss;
use crate::session::{BoxError, Closed, Failure};
use crate::{Cause, Initiator};
use crate::{Error, HandshakeError};

/// Why there is no connection: an attempt failed, or a connection that was open has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The connection did not open, or could not be resumed.
    ConnectFailed(Failure),
    /// The connection was open, and has ended.
    Closed(Closed),
    /// The connection was open, and this end closed it although the application did not ask for that: its queue was full
    /// ([`WhenFull::Disconnect`](crate::tokio::WhenFull::Disconnect)), or a handler failed.
    Dropped(Closed),
}

impl DisconnectReason {
    /// Whether another attempt may succeed.
    ///
    /// | No | Yes |
    /// |---|---|
    /// | a Close that the application began, whatever its code; 1000 from the peer | 1001, 1006, 1011 to 1013 and all other codes; a Close of the queue or of a handler's failure |
    /// | a refusal: 2xx, 3xx, 4xx | 408, 425, 429, 5xx |
    /// | a response that breaks the rules of the handshake; an invalid address | I/O errors, deadlines, protocol errors |
    /// | a proxy that refuses (2xx, 3xx, 4xx) or does not accept the login; a redirect that is not followed | a name that is not found, addresses that do not answer, a proxy that cannot reach the server |
    /// | `wss` without TLS; a certificate that is not accepted | a certificate that has expired or is not valid yet, since the clock may be wrong; other failures of TLS |
    /// | | any other error of a [`Connect`](super::Connect) |
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Closed(_) => !self.is_intended(),
            Self::ConnectFailed(Failure::Connection(Error::Handshake(error))) => may_open_later(error),
            Self::ConnectFailed(Failure::Connection(Error::Dial(error))) => may_be_reached_later(error),
            Self::ConnectFailed(_) | Self::Dropped(_) => true,
        }
    }

    /// How long the server asks to wait: the `Retry-After` of its refusal, in seconds or as a date (RFC 9110 section
    /// 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::ConnectFailed(Failure::Connection(Error::Handshake(HandshakeError::Refused(response)))) = self else {
            return None;
        };
        let value = response.headers().get("Retry-After")?;
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        // A date that has passed asks for no delay.
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Whether a connection ended like this because it was no longer needed.
    pub(super) fn is_intended(&self) -> bool {
        let Self::Closed(Closed { end, .. }) = self else { return false };
        let own = end.by == Initiator::Local && matches!(end.cause, Cause::Close | Cause::Timeout(Timeout::Close));
        own || end.received == Some(CloseCode::NORMAL)
    }

    /// As the schedule of the attempts sees it.
    pub(super) fn loss(&self) -> Loss {
        match self {
            Self::ConnectFailed(_) => self.retry_after().map_or(Loss::Failed, Loss::RetryAfter),
            Self::Closed(Closed { end, .. })
                if matches!(end.received, Some(CloseCode::GOING_AWAY | CloseCode::SERVICE_RESTART)) =>
            {
                Loss::GoingAway
            }
            Self::Closed(_) | Self::Dropped(_) => Loss::Failed,
        }
    }

    /// A failure from an error of [`Connect`](super::Connect), in which `?` may have boxed an error of this crate.
    pub(super) fn failure(error: BoxError) -> Failure {
        let error = error.downcast::<Error>().map(|error| *error);
        let error = error.or_else(|error| error.downcast::<HandshakeError>().map(|error| (*error).into()));
        let error = error.or_else(|error| error.downcast::<UriError>().map(|error| HandshakeError::Uri(*error).into()));
        let error = error.or_else(|error| error.downcast::<BuildError>().map(|error| (*error).into()));
        error.map_or_else(Failure::Handler, Failure::Connection)
    }
}

/// A proxy that refuses the login, and a redirect that is not followed, do not change.
fn may_be_reached_later(error: &DialError) -> bool {
    match error.failure() {
        DialFailure::Proxy(ProxyError::Refused(response)) => may_change(response.status()),
        DialFailure::Proxy(ProxyError::Socks(error)) => matches!(error, SocksError::Reply(_)),
        DialFailure::Redirect(_) => false,
        _ => true,
    }
}

const fn may_change(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

fn may_open_later(error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Refused(response) => may_change(response.status()),
        HandshakeError::TimedOut(_) => true,
        #[cfg(feature = "rustls")]
        HandshakeError::Tls(rustls::Error::InvalidCertificate(error)) => {
            use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
            matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
        }
        #[cfg(feature = "rustls")]
        HandshakeError::Tls(_) => true,
        _ => false,
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectFailed(failure) => fmt::Display::fmt(failure, f),
            Self::Closed(closed) => write!(f, "the connection ended with {}", closed.code()),
            Self::Dropped(closed) => match closed.end.sent {
                Some(code) => write!(f, "this end closed the connection with {code}"),
                None => f.write_str("this end closed the connection"),
            },
        }
    }
}

impl std::error::Error for DisconnectReason {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ConnectFailed(failure) => failure.source(),
            Self::Closed(_) | Self::Dropped(_) => None,
        }
    }
}

//! [`ConnectionError`]: why an open connection has ended.

use core::fmt;
use core::time::Duration;

use super::step::TransportError;
use crate::proto::error::ProtocolError;
use crate::proto::timers::Timeout;

/// Why a connection that was open has ended, other than by a Close of each side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke the protocol; the Close that it was sent says so.
    Protocol(ProtocolError),
    /// A deadline of [`Config`](crate::Config) expired: which one, and how long it was.
    Timeout(Timeout, Duration),
    /// The transport failed, or ended before both sides had sent a Close.
    Transport(TransportError),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::Timeout(timeout, limit) => write!(f, "{timeout} ({limit:?})"),
            Self::Transport(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for ConnectionError {}

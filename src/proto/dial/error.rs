//! [`DialError`]: which part of dialling failed, at whom, and how.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::attempts::FailedAttempt;
use super::location::RedirectError;
use super::peer::DialPhase;
use super::proxy_error::ProxyError;
use crate::proto::driver::OpeningError;
use crate::proto::handshake::Uri;

/// There is no connection: what was going on, with whom, and what failed.
#[derive(Clone, PartialEq, Debug)]
pub struct DialError {
    pub(super) phase: DialPhase,
    pub(super) uri: Uri,
    pub(super) peer: String,
    pub(super) failure: DialFailure,
}

impl DialError {
    /// The part of dialling that failed.
    #[must_use]
    pub const fn phase(&self) -> DialPhase {
        self.phase
    }

    /// The address that was dialled, which after a redirect is not the one that the caller gave.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Who was dialled: `example.com:443`, or `the proxy proxy.example:3128`.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What failed.
    #[must_use]
    pub const fn failure(&self) -> &DialFailure {
        &self.failure
    }

    /// The kind of the failure of the last address that was tried; `None` where none was, or none has failed.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let DialFailure::Connect(attempts) = &self.failure else { return None };
        let error = attempts.iter().rev().find_map(|attempt| attempt.error)?;
        Some(std::io::Error::from(error).kind())
    }

    /// What failed.
    #[must_use]
    pub fn into_failure(self) -> DialFailure {
        self.failure
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, uri, peer, failure } = self;
        match phase {
            DialPhase::Resolve(_) => write!(f, "cannot find the host of {peer}: {failure}"),
            DialPhase::Connect(_) => write!(f, "cannot connect to {peer}: {failure}"),
            DialPhase::Tls(_) => write!(f, "cannot establish TLS with {peer}: {failure}"),
            DialPhase::Tunnel => write!(f, "cannot reach {} through {peer}: {failure}", uri.authority()),
            DialPhase::Upgrade => write!(f, "cannot open a WebSocket at {peer}: {failure}"),
        }
    }
}

impl core::error::Error for DialError {}

/// What failed.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum DialFailure {
    /// The name could not be resolved: what the resolver said.
    Resolve(String),
    /// The name has no addresses.
    NoAddresses,
    /// No address accepted a connection: each with its failure, in the order in which they failed.
    Connect(Vec<FailedAttempt>),
    /// The proxy opened no tunnel.
    Proxy(ProxyError),
    /// TLS or the upgrade failed, or the server refused.
    Opening(OpeningError),
    /// The server redirected, and that was not followed.
    Redirect(RedirectError),
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout) expired.
    Timeout {
        /// How long it was.
        limit: Duration,
        /// The connection attempts until then, where connecting took too long.
        attempts: Vec<FailedAttempt>,
    },
    /// TLS is needed, and [`DialOptions::tls`](super::DialOptions::tls) is false. Nothing was dialled.
    TlsUnavailable,
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(text) => f.write_str(text),
            Self::NoAddresses => f.write_str("the name has no addresses"),
            Self::Connect(attempts) => fmt_attempts(attempts, f),
            Self::Proxy(error) => fmt::Display::fmt(error, f),
            Self::Opening(error) => fmt::Display::fmt(error, f),
            Self::Redirect(error) => fmt::Display::fmt(error, f),
            Self::Timeout { limit, attempts } => {
                write!(f, "not complete after {limit:?}")?;
                if !attempts.is_empty() {
                    f.write_str(" (")?;
                    fmt_attempts(attempts, f)?;
                    f.write_str(")")?;
                }
                Ok(())
            }
            Self::TlsUnavailable => f.write_str("this program was built without TLS"),
        }
    }
}

fn fmt_attempts(attempts: &[FailedAttempt], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, attempt) in attempts.iter().enumerate() {
        write!(f, "{}{attempt}", if at == 0 { "" } else { "; " })?;
    }
    Ok(())
}

//! Deadlines of work that hyper does.

use std::time::Duration;

use crate::tokio::clock;
use crate::{Config, HandshakeError};

/// When a piece of work has to be complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Duration,
    limit: Duration,
}

impl Deadline {
    /// For an opening handshake that begins at `start`.
    pub(crate) fn of_handshake(config: &Config, start: Duration) -> Option<Self> {
        config.handshake_timeout.map(|limit| Self { at: start.saturating_add(limit), limit })
    }
}

/// `work`, unless the deadline is over first.
pub(crate) async fn before<F: Future>(deadline: Option<Deadline>, work: F) -> Result<F::Output, HandshakeError> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    match clock::instant(deadline.at) {
        None => Ok(work.await),
        Some(at) => tokio::time::timeout_at(at, work).await.map_err(|_| HandshakeError::TimedOut(deadline.limit)),
    }
}

//! The one place that reads a clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(unix)]
use crate::Config;

/// The time since the first call in this process.
pub(super) fn now() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

/// When an opening handshake that began at `start` is over.
#[cfg(unix)]
pub(super) fn deadline(config: &Config, start: Duration) -> Option<Duration> {
    config.handshake_timeout.map(|timeout| start.saturating_add(timeout))
}

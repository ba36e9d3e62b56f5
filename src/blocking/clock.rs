//! The one place that reads a clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time since the first call in this process.
pub(super) fn now() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

//! The one place that reads the clock of the operating system.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time since the first call in this process.
pub(crate) fn now() -> Duration {
    origin().elapsed()
}

/// When [`now`] will be `time`; `None` beyond what can be represented.
#[cfg(feature = "futures-io")]
pub(crate) fn instant(time: Duration) -> Option<Instant> {
    origin().checked_add(time)
}

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

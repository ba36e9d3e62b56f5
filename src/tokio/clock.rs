//! The one place that reads a clock: tokio's, so that a test can turn it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// The time since an origin that is the same for all connections of the process.
pub(crate) fn now() -> Duration {
    Instant::now().duration_since(origin())
}

/// When the clock will show `time`; `None` beyond what it can show.
pub(crate) fn instant(time: Duration) -> Option<Instant> {
    origin().checked_add(time)
}

/// A day before the first call: the clock of another runtime, turned by hand, may stand before it.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(24 * 60 * 60)).unwrap_or(now)
    })
}

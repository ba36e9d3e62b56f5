//! The one place that reads a clock: tokio's, so that a test can turn it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use crate::HandshakeError;
use crate::adapter::Deadline;

/// The time since an origin that is the same for all connections of the process.
pub(crate) fn now() -> Duration {
    Instant::now().duration_since(origin())
}

/// When the clock will show `time`; `None` beyond what it can show.
pub(super) fn instant(time: Duration) -> Option<Instant> {
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

/// `work`, unless the deadline is over first.
pub(crate) async fn before<F: Future>(deadline: Option<Deadline>, work: F) -> Result<F::Output, HandshakeError> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    match instant(deadline.at) {
        None => Ok(work.await),
        Some(at) => tokio::time::timeout_at(at, work).await.map_err(|_| deadline.error()),
    }
}

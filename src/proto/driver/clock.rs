//! A clock that is read at most once.

use core::time::Duration;

/// The caller's clock in one call of [`poll`](super::Drive::poll).
pub(super) struct Clock<F> {
    read: Option<F>,
    now: Duration,
}

impl<F: FnOnce() -> Duration> Clock<F> {
    pub(super) const fn new(read: F) -> Self {
        Self { read: Some(read), now: Duration::ZERO }
    }

    pub(super) fn now(&mut self) -> Duration {
        if let Some(read) = self.read.take() {
            self.now = read();
        }
        self.now
    }
}

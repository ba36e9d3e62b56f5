//! A clock that is read at most once.

use core::time::Duration;

/// The caller's clock in one call of [`poll`](super::Drive::poll).
pub(in crate::proto) struct Clock<F> {
    read: Option<F>,
    now: Duration,
}

impl<F: FnOnce() -> Duration> Clock<F> {
    pub(in crate::proto) const fn new(read: F) -> Self {
        Self { read: Some(read), now: Duration::ZERO }
    }

    pub(in crate::proto) fn now(&mut self) -> Duration {
        if let Some(read) = self.read.take() {
            self.now = read();
        }
        self.now
    }
}

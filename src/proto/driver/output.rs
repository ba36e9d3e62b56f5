//! What waits to be written, and the state of the transport's writing side.

use bytes::{Buf as _, BytesMut};

use super::step::{Step, TransportError};

#[derive(Debug)]
pub(in crate::proto) struct Output {
    pub(in crate::proto) bytes: BytesMut,
    /// How the transport failed first.
    pub(in crate::proto) failed: Option<TransportError>,
    /// The transport has accepted bytes, and may not have handed them on.
    pub(in crate::proto) unflushed: bool,
    /// The transport accepts nothing at the moment.
    pub(in crate::proto) blocked: bool,
    /// The writing side was shut down, or that was tried in vain.
    pub(in crate::proto) shut_down: bool,
}

impl Output {
    pub(in crate::proto) const fn new(bytes: BytesMut) -> Self {
        // Whoever had the transport before may have left something in it.
        Self { bytes, failed: None, unflushed: true, blocked: false, shut_down: false }
    }

    /// Whether something has not left: a transport that buffers may hold what it accepted.
    pub(in crate::proto) fn has_unsent(&self) -> bool {
        !self.bytes.is_empty() || self.unflushed
    }

    /// What to write or flush now, if anything.
    pub(in crate::proto) fn step(&self) -> Option<Step> {
        if self.blocked {
            None
        } else if !self.bytes.is_empty() {
            Some(Step::Write)
        } else {
            self.unflushed.then_some(Step::Flush)
        }
    }

    /// Whether the writing side is to be shut down now: nothing is in the way.
    pub(in crate::proto) fn is_shutdown_due(&self) -> bool {
        !self.shut_down && !self.blocked && !self.has_unsent()
    }

    /// Whether the writing side is to be shut down a last time, without a wait for it.
    pub(in crate::proto) fn take_last_shutdown(&mut self) -> bool {
        !core::mem::replace(&mut self.shut_down, true)
    }

    /// Whether the transport did not accept what it was offered. It will be offered it again.
    pub(in crate::proto) fn take_blocked(&mut self) -> bool {
        core::mem::take(&mut self.blocked)
    }

    /// The transport accepted the first `n` bytes: drops them.
    pub(in crate::proto) fn advance(&mut self, n: usize) {
        self.unflushed = true;
        self.bytes.advance(n);
    }

    /// The transport accepts no more bytes: what is left is thrown away.
    pub(in crate::proto) fn fail(&mut self, error: TransportError) {
        self.failed.get_or_insert(error);
        self.shut_down = true;
        self.throw_away();
    }

    pub(in crate::proto) fn throw_away(&mut self) {
        self.bytes = BytesMut::new();
        self.unflushed = false;
        self.blocked = false;
    }
}

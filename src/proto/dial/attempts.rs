//! Connection attempts in parallel (RFC 8305, "happy eyeballs").

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::options::DialOptions;
use super::peer::{AttemptId, DialAddress};
use crate::proto::driver::TransportError;

/// The attempts to connect to one host: which address is next, and when.
#[derive(Debug)]
pub(super) struct Attempts {
    waiting: VecDeque<DialAddress>,
    running: Vec<(AttemptId, DialAddress)>,
    failed: Vec<FailedAttempt>,
    delay: Duration,
    /// When the next attempt starts, even if none has failed.
    next_at: Duration,
}

impl Attempts {
    pub(super) fn new(addresses: impl IntoIterator<Item = DialAddress>, delay: Duration) -> Self {
        Self {
            waiting: addresses.into_iter().collect(),
            running: Vec::new(),
            failed: Vec::new(),
            delay: delay.max(DialOptions::MIN_ATTEMPT_DELAY),
            next_at: Duration::ZERO,
        }
    }

    /// Starts the next attempt, if it is due.
    pub(super) fn start(&mut self, now: Duration, id: AttemptId) -> Option<DialAddress> {
        if now < self.next_at {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.next_at = now.saturating_add(self.delay);
        self.running.push((id, address.clone()));
        Some(address)
    }

    /// When the next attempt is due, if there is one.
    pub(super) fn next_at(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    pub(super) fn is_running(&self, id: AttemptId) -> bool {
        self.running.iter().any(|(running, _)| *running == id)
    }

    /// Notes a failure. The next attempt is due at once (RFC 8305 section 5).
    pub(super) fn fail(&mut self, id: AttemptId, error: TransportError) {
        if let Some(at) = self.running.iter().position(|(running, _)| *running == id) {
            let (_, address) = self.running.remove(at);
            self.failed.push(FailedAttempt { address, error: Some(error) });
            self.next_at = Duration::ZERO;
        }
    }

    /// Whether every address has failed.
    pub(super) fn are_over(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// The attempts that have failed, then those that have not come to an end.
    pub(super) fn take_unsuccessful(&mut self) -> Vec<FailedAttempt> {
        let mut attempts = core::mem::take(&mut self.failed);
        let running = self.running.drain(..).map(|(_, address)| FailedAttempt { address, error: None });
        attempts.extend(running);
        attempts
    }
}

/// The addresses in the order in which they are tried: by turns of each family, beginning with that of the first one
/// (RFC 8305 section 4), each once, at most [`DialOptions::MAX_ADDRESSES`].
pub(super) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if unique.len() < DialOptions::MAX_ADDRESSES && !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        unique.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut families, mut order) = ([first, second], Vec::new());
    while families.iter().any(|family| !family.is_empty()) {
        order.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    order
}

/// An attempt to connect to one address that did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The address.
    pub address: DialAddress,
    /// How it failed; `None` when it was still going on at the deadline.
    pub error: Option<TransportError>,
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{}: {error}", self.address),
            None => write!(f, "{}: no answer", self.address),
        }
    }
}

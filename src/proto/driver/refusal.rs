//! The body of a refusal, from a server or from a proxy.

use alloc::boxed::Box;
use core::time::Duration;

use super::clock::Clock;
use super::opening::Exchange;
use super::step::Step;
use crate::proto::handshake::ClientResponse;

/// A response that refuses, and the time until which its body is read: it may never end.
#[derive(Debug)]
pub(in crate::proto) struct Refusal {
    response: Box<ClientResponse>,
    /// Set at the first poll.
    until: Option<Duration>,
}

impl Refusal {
    /// What has arrived after the head is in the input of `exchange`.
    pub(in crate::proto) fn new(response: Box<ClientResponse>, exchange: &mut Exchange) -> Self {
        exchange.has_news = true;
        Self { response, until: None }
    }

    /// Reads on; `None` once the body is complete or long enough, or when the time is up.
    pub(in crate::proto) fn read(
        &mut self,
        exchange: &mut Exchange,
        deadline: Option<Duration>,
        clock: &mut Clock<impl FnOnce() -> Duration>,
    ) -> Option<Step> {
        if core::mem::take(&mut exchange.has_news)
            && (self.response.receive_body(&mut exchange.input, MAX_BODY) || exchange.peer_ended)
        {
            return None;
        }
        let own = *self.until.get_or_insert_with(|| clock.now().saturating_add(BODY_TIMEOUT));
        let until = deadline.map_or(own, |deadline| deadline.min(own));
        // However much comes, the deadline is judged.
        if until <= clock.now() { None } else { exchange.read_or_wait(Some(until), clock) }
    }

    pub(in crate::proto) fn poll_timeout(&self, deadline: Option<Duration>) -> Option<Duration> {
        [self.until, deadline].into_iter().flatten().min()
    }

    pub(in crate::proto) fn into_response(self) -> Box<ClientResponse> {
        self.response
    }
}

/// The most of a refusal's body that is read, in bytes.
const MAX_BODY: usize = 64 << 10;

/// How long a refusal's body is awaited.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

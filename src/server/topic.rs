//! One topic: who subscribes, and what reaches them.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::session::Session;
use crate::Prepared;
use crate::tokio::clock::before;
use crate::tokio::{Ticket, clock};
use crate::{Close, CloseCode};

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// For how many sessions of this process it was queued. None with a backplane, where it comes back from the broker.
    pub queued: usize,
    /// For how many it was not: their queue was full, or they are closing.
    pub refused: usize,
}

/// One with subscribers, or about to have some.
pub(super) struct Topic {
    name: Box<str>,
    /// With the number of subscriptions that each of them holds.
    subscribers: Mutex<HashMap<Session, usize>>,
    /// The backplane has said that it subscribes.
    followed: AtomicBool,
}

impl Topic {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), subscribers: Mutex::default(), followed: AtomicBool::new(false) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Acquire)
    }

    pub(super) fn set_followed(&self) {
        self.followed.store(true, Ordering::Release);
    }

    /// One more subscription. Whether it is the session's first, and how many sessions there are now.
    pub(super) fn join(&self, session: &Session) -> (bool, usize) {
        let mut subscribers = self.lock();
        let times = subscribers.entry(session.clone()).or_default();
        *times += 1;
        (*times == 1, subscribers.len())
    }

    /// One subscription less. How many sessions are left, if it was the session's last.
    pub(super) fn leave(&self, session: &Session) -> Option<usize> {
        let mut subscribers = self.lock();
        let times = subscribers.get_mut(session)?;
        *times -= 1;
        if *times > 0 {
            return None;
        }
        subscribers.remove(session);
        Some(subscribers.len())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// In the order of their opening.
    pub(super) fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.lock().keys().cloned().collect();
        sessions.sort_by_key(Session::id);
        sessions
    }

    /// Queues a message for all, where it can be at once.
    pub(super) fn try_deliver(&self, prepared: &Prepared) -> Published {
        self.offer(prepared, false).0
    }

    /// As [`try_deliver`](Self::try_deliver), but who would have senders wait is closed: nobody is to miss a message and
    /// not know.
    pub(super) fn deliver_or_close(&self, prepared: &Prepared) {
        let (_, waiting) = self.offer(prepared, true);
        for (session, ticket) in waiting {
            // Taken back, so that the Close is next behind what there was room for.
            drop(ticket);
            close(&session);
        }
    }

    /// Queues a message for all, and waits for room where that is wanted: no longer than the peer may take nothing, for
    /// one whose own task waits here would wait for ever.
    pub(super) async fn deliver(&self, prepared: &Prepared) -> Published {
        let start = clock::now();
        let (mut published, waiting) = self.offer(prepared, true);
        for (session, ticket) in waiting {
            let patience = session.request().head().config().write_timeout;
            match before(patience.map(|patience| crate::adapter::Deadline::new(start, patience)), ticket).await {
                Ok(Ok(())) => published.queued += 1,
                Ok(Err(_)) => published.refused += 1,
                Err(_) => {
                    published.refused += 1;
                    close(&session);
                }
            }
        }
        published
    }

    /// Queues a message for all, one message at a time: they are in one order in all queues. Those for whom it waits
    /// beyond the bound, where it may.
    fn offer(&self, prepared: &Prepared, may_wait: bool) -> (Published, Vec<(Session, Ticket)>) {
        let (mut published, mut waiting) = (Published::default(), Vec::new());
        for session in self.lock().keys() {
            match session.sender().offer_prepared(prepared, may_wait) {
                Ok(None) => published.queued += 1,
                Ok(Some(ticket)) => waiting.push((session.clone(), ticket)),
                Err(_) => published.refused += 1,
            }
        }
        (published, waiting)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Session, usize>> {
        // Nothing panics halfway through a change.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Closes a session that is too slow.
fn close(session: &Session) {
    // Closing already, otherwise.
    let _ = session.close(Some(Close { code: CloseCode::POLICY_VIOLATION, reason: "you read too slowly" }));
}

//! One topic: its subscribers, and the delivery of messages to them.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::vec::Vec;

use super::session::Session;
use super::topics::{Shared, lock, shrink};
use crate::Prepared;
use crate::tokio::Offered;

/// How many sessions a message was queued for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// The number of sessions of this process that the message was queued for. Zero with a backplane, which delivers the
    /// message when it comes back from the broker.
    pub queued: usize,
    /// The number of sessions that it was not queued for, because their queue was full or they are closing.
    pub refused: usize,
}

/// A topic with subscribers, or about to have some.
pub(super) struct Topic {
    name: Box<str>,
    /// The topics that it belongs to.
    topics: Weak<Shared>,
    /// Never locked over a delivery.
    members: Mutex<Members>,
    /// Held over a delivery, so that messages are in one order in all queues.
    delivering: Mutex<()>,
    /// The last delivery found a queue above its bound.
    is_behind: AtomicBool,
    /// The backplane has confirmed its subscription.
    followed: AtomicBool,
}

#[derive(Default)]
struct Members {
    /// The number of subscriptions of each session.
    sessions: HashMap<Session, usize>,
    /// The sessions, for deliveries; made by the first delivery after a change.
    list: Option<Arc<[Session]>>,
    /// The last session has left: no session joins any more, and another topic takes its place.
    retired: bool,
}

impl Topic {
    pub(super) fn new(name: &str, topics: Weak<Shared>) -> Self {
        Self {
            name: name.into(),
            topics,
            members: Mutex::default(),
            delivering: Mutex::default(),
            is_behind: AtomicBool::new(false),
            followed: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn topics(&self) -> Option<Arc<Shared>> {
        self.topics.upgrade()
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Acquire)
    }

    pub(super) fn set_followed(&self) {
        self.followed.store(true, Ordering::Release);
    }

    /// Adds a subscription. Returns whether it is the session's first, and the number of sessions; `None` if the topic has
    /// been retired.
    pub(super) fn join(&self, session: &Session) -> Option<(bool, usize)> {
        let mut members = lock(&self.members);
        if members.retired {
            return None;
        }
        let times = members.sessions.entry(session.clone()).or_default();
        *times += 1;
        let is_first = *times == 1;
        if is_first {
            members.list = None;
        }
        Some((is_first, members.sessions.len()))
    }

    /// Removes a subscription, or all of the session's. Returns how many sessions are left if the session has none any
    /// more.
    pub(super) fn leave(&self, session: &Session, all: bool) -> Option<usize> {
        let mut members = lock(&self.members);
        let times = members.sessions.get_mut(session)?;
        *times -= 1;
        if *times > 0 && !all {
            return None;
        }
        members.sessions.remove(session);
        shrink(&mut members.sessions);
        // It may keep sessions that have ended.
        let list = members.list.take();
        let left = members.sessions.len();
        members.retired = left == 0;
        drop(members);
        drop(list);
        Some(left)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.members).sessions.len()
    }

    /// The sessions in the order of their opening.
    pub(super) fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = lock(&self.members).sessions.keys().cloned().collect();
        sessions.sort_by_key(Session::id);
        sessions
    }

    /// Queues a message for all sessions whose queue has capacity.
    pub(super) fn try_deliver(&self, prepared: &Prepared) -> Published {
        let mut published = Published::default();
        let list = self.list();
        let _delivering = lock(&self.delivering);
        for session in &*list {
            match session.sender().try_send_prepared(prepared) {
                Ok(()) => published.queued += 1,
                Err(_) => published.refused += 1,
            }
        }
        published
    }

    /// Queues a message for all sessions, and waits for none of them.
    pub(super) async fn deliver(&self, prepared: &Prepared) -> Published {
        if self.is_behind.load(Ordering::Relaxed) {
            // The tasks of the sessions run before a queue is judged: a burst fills all of them at once.
            tokio::task::yield_now().await;
        }
        self.offer(prepared)
    }

    /// As a delivery holds it.
    #[cfg(test)]
    pub(super) fn delivering(&self) -> std::sync::MutexGuard<'_, ()> {
        lock(&self.delivering)
    }

    fn offer(&self, prepared: &Prepared) -> Published {
        let (mut published, mut is_behind) = (Published::default(), false);
        let list = self.list();
        let delivering = lock(&self.delivering);
        for session in &*list {
            match session.sender().offer(prepared) {
                Ok(offered) => {
                    published.queued += 1;
                    is_behind |= offered == Offered::Behind;
                }
                Err(_) => published.refused += 1,
            }
        }
        drop(delivering);
        self.is_behind.store(is_behind, Ordering::Relaxed);
        published
    }

    fn list(&self) -> Arc<[Session]> {
        let mut members = lock(&self.members);
        if let Some(list) = &members.list {
            return Arc::clone(list);
        }
        let list: Arc<[Session]> = members.sessions.keys().cloned().collect();
        members.list = Some(Arc::clone(&list));
        list
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).finish_non_exhaustive()
    }
}

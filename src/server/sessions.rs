//! All sessions of a server, for its end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::session::Session;
use crate::CloseCode;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    sessions: HashSet<Session>,
    /// How many have been agreed on and are not open yet.
    opening: usize,
    /// Those that open later are closed at once.
    closing: bool,
    /// Those that start later are ended at once.
    aborted: bool,
}

impl Sessions {
    /// A session is agreed on, and opens until the guard is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Opening {
        self.lock().opening += 1;
        Opening(Arc::clone(self))
    }

    /// A session is open, until it [leaves](Self::leave).
    pub(super) fn enter(&self, session: Session) {
        let mut open = self.lock();
        if open.closing {
            close(&session);
        }
        open.sessions.insert(session);
    }

    /// Its task has started.
    pub(super) fn started(&self, session: &Session) {
        if self.lock().aborted {
            session.abort();
        }
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: &Session) {
        let mut open = self.lock();
        open.sessions.remove(session);
        if open.sessions.is_empty() {
            open.sessions.shrink_to_fit();
        }
        drop(open);
        self.changed.notify_waiters();
    }

    /// Has each of them send a Close (1001), behind what is queued.
    pub(super) fn close(&self) {
        let mut open = self.lock();
        open.closing = true;
        open.sessions.iter().for_each(close);
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Ends the tasks of those that are left, as they are.
    pub(super) fn abort(&self) {
        let mut open = self.lock();
        open.aborted = true;
        open.sessions.iter().for_each(Session::abort);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics halfway through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.opening == 0
    }
}

/// A session that opens.
#[derive(Debug)]
pub(super) struct Opening(Arc<Sessions>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.lock().opening -= 1;
        self.0.changed.notify_waiters();
    }
}

fn close(session: &Session) {
    // Closing already, otherwise.
    let _ = session.close(Some(CloseCode::GOING_AWAY.into()));
}

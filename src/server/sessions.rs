//! All sessions of a server, for its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::session::{Session, SessionId};
use crate::close::CloseCode;

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<SessionId, (Session, Option<AbortHandle>)>,
    /// How many have been agreed on and are not open yet.
    opening: usize,
    /// Those that open later are closed at once.
    closing: bool,
}

impl Sessions {
    /// A session is agreed on, and opens until the guard is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Opening {
        self.lock().opening += 1;
        Opening(Arc::clone(self))
    }

    /// A session is open; it has ended when the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, session: Session) -> Entered {
        let mut open = self.lock();
        let (id, closing) = (session.id(), open.closing);
        if closing {
            close(&session);
        }
        open.sessions.insert(id, (session, None));
        Entered { sessions: Arc::clone(self), id }
    }

    /// By which to end its task.
    pub(super) fn runs_in(&self, id: SessionId, task: AbortHandle) {
        if let Some((_, known)) = self.lock().sessions.get_mut(&id) {
            *known = Some(task);
        }
    }

    /// Has each of them send a Close (1001), behind what is queued.
    pub(super) fn close(&self) {
        let mut open = self.lock();
        open.closing = true;
        open.sessions.values().for_each(|(session, _)| close(session));
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
        self.lock().sessions.values().filter_map(|(_, task)| task.as_ref()).for_each(AbortHandle::abort);
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

/// A session that is open.
#[derive(Debug)]
pub(super) struct Entered {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        // The session is dropped when the lock is not held: foreign code may hang on it.
        let gone = open.sessions.remove(&self.id);
        if open.sessions.is_empty() {
            open.sessions.shrink_to_fit();
        }
        drop(open);
        drop(gone);
        self.sessions.changed.notify_waiters();
    }
}

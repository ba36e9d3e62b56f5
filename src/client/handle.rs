//! Reaching a client's connection from any task, whether it is open or not.

use std::future::Future;
use std::pin::pin;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use super::disconnect::DisconnectReason;
use crate::OwnedMessage;
use crate::Prepared;
use crate::Role;
use crate::SendError;
use crate::extension::Agreement;
use crate::tokio::{Queuing, Sender, WebSocket};
use crate::{Close, CloseCode};

/// What a client does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum State {
    /// An attempt is under way. `retry` is 0 for the first of all, else the number of the new attempt in a row.
    Connecting {
        /// Which attempt.
        retry: u32,
    },
    /// A connection is open, as far as its task has noticed.
    Open,
    /// There is none, and the next attempt comes after this delay.
    Waiting {
        /// Which attempt comes next.
        retry: u32,
        /// From the loss to that attempt.
        delay: Duration,
    },
    /// There is none, and none will come.
    Ended,
}

/// Sends over a client's connection, closes it, and tells its state, from any task. Clones reach the same client.
///
/// Nothing is kept for a connection that is still to come: what is sent while none is open fails at once. What was queued
/// or sent shortly before a loss may not have arrived; only an answer of the peer tells.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    slot: Mutex<Slot>,
    /// Tells the task of the client that `closing` is set.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    /// Closed by its handle: no attempt follows.
    closing: bool,
    /// The newest connection, which may have ended.
    newest: Option<Arc<Connected>>,
    gave_up: Option<Arc<DisconnectReason>>,
    last: Option<Arc<DisconnectReason>>,
    /// Who calls `next`, and whether a call is waiting.
    runner: Option<(Place, bool)>,
}

/// A task, or a thread outside of tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Task(tokio::task::Id),
    Thread(std::thread::ThreadId),
}

impl Place {
    fn here() -> Self {
        tokio::task::try_id().map_or_else(|| Self::Thread(std::thread::current().id()), Self::Task)
    }
}

/// A connection that was opened.
#[derive(Debug)]
struct Connected {
    sender: Sender,
    subprotocol: Option<String>,
    extensions: Agreement,
    since: SystemTime,
}

impl Handle {
    /// Queues a message, as [`Sender::send`]. Dropped while it waits for capacity, the message is not sent.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`] while no connection is open; [`SendError::Closing`] once it closes or has ended;
    /// [`SendError::Full`] under [`WhenFull::DropNewest`](crate::tokio::WhenFull::DropNewest), and where it would wait for
    /// ever: in the task that calls [`Reconnecting::next`](super::Reconnecting::next), outside of that call.
    pub async fn send(&self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        let message = message.into();
        let open = self.open()?;
        self.wait(open.sender.send(message)).await
    }

    /// Queues a message that was encoded before, as [`Sender::send_prepared`].
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub async fn send_prepared(&self, prepared: &Prepared) -> Result<(), SendError> {
        let open = self.open()?;
        self.wait(open.sender.send_prepared(prepared)).await
    }

    /// Waits for capacity, unless nobody else makes it.
    async fn wait(&self, queuing: Queuing<'_>) -> Result<(), SendError> {
        let mut queuing = pin!(queuing);
        std::future::poll_fn(|context| match queuing.as_mut().poll(context) {
            Poll::Pending if self.slot().runner == Some((Place::here(), false)) => Poll::Ready(Err(SendError::Full)),
            polled => polled,
        })
        .await
    }

    /// Queues a message at once, or not at all, as [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`] while no connection is open; else as [`Sender::try_send`].
    pub fn try_send(&self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        self.open()?.sender.try_send(message)
    }

    /// Queues a message that was encoded before, at once or not at all, as [`Sender::try_send_prepared`].
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_prepared(&self, prepared: &Prepared) -> Result<(), SendError> {
        self.open()?.sender.try_send_prepared(prepared)
    }

    /// Ends the client: closes its connection behind all that is queued, and no attempt follows. One that is under way is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] and [`SendError::ReasonTooLong`] for what may not be sent,
    /// [`SendError::Closing`] when the client was closed before, or has ended. (A connection that opens at that very moment
    /// is closed with 1000.)
    pub fn close(&self, close: Option<Close<'_>>) -> Result<(), SendError> {
        if let Some(close) = &close {
            close.encode_as(Role::Client)?;
        }
        let mut slot = self.slot();
        if slot.closing || self.state() == State::Ended {
            return Err(SendError::Closing);
        }
        slot.closing = true;
        let newest = slot.newest.clone();
        drop(slot);
        if let Some(newest) = newest {
            // One that closes already, or has ended, does so without us.
            let _ = newest.sender.close(close);
        }
        self.0.closed.notify_one();
        Ok(())
    }

    /// Whether nothing is taken any more, now or later: closed by a handle, or ended.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.slot().closing || self.state() == State::Ended
    }

    /// What the client does at the moment.
    #[must_use]
    pub fn state(&self) -> State {
        *self.0.state.borrow()
    }

    /// Watches the state. One who looks seldom sees the newest alone.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Waits until the client has ended. May be dropped at any await.
    pub async fn ended(&self) {
        // It fails when the sending side is gone, which is here.
        let _ = self.watch().wait_for(|state| *state == State::Ended).await;
    }

    /// Why the client gave up: a permanent refusal, or the attempts are used up. `None` before that, and if it ended as
    /// intended.
    #[must_use]
    pub fn gave_up(&self) -> Option<Arc<DisconnectReason>> {
        self.slot().gave_up.clone()
    }

    /// Why the last connection ended or the last attempt failed, also after the client has ended; `None` before that.
    #[must_use]
    pub fn last_disconnect(&self) -> Option<Arc<DisconnectReason>> {
        self.slot().last.clone()
    }

    /// The subprotocol that the newest connection agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<String> {
        self.newest()?.subprotocol.clone()
    }

    /// The extensions that the newest connection agreed on; none before the first.
    #[must_use]
    pub fn extensions(&self) -> Agreement {
        self.newest().map_or_else(Agreement::default, |newest| newest.extensions.clone())
    }

    /// When the newest connection opened.
    #[must_use]
    pub fn opened_at(&self) -> Option<SystemTime> {
        Some(self.newest()?.since)
    }

    fn open(&self) -> Result<Arc<Connected>, SendError> {
        let open = self.newest().filter(|_| self.state() == State::Open);
        open.ok_or(SendError::NotOpen)
    }

    fn newest(&self) -> Option<Arc<Connected>> {
        self.slot().newest.clone()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing panics halfway through a change.
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other end of a [`Handle`]: whoever runs the client. Dropped, the client has ended.
#[derive(Debug)]
pub(super) struct Driver(Handle);

impl Driver {
    pub(super) fn new() -> Self {
        let state = watch::Sender::new(State::Connecting { retry: 0 });
        Self(Handle(Arc::new(Shared { state, slot: Mutex::default(), closed: Notify::new() })))
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.0
    }

    pub(super) fn is_closing(&self) -> bool {
        self.0.slot().closing
    }

    /// No attempt follows, for this reason.
    pub(super) fn give_up(&self, reason: Arc<DisconnectReason>) {
        self.0.slot().gave_up = Some(reason);
    }

    /// There is no connection, for this reason.
    pub(super) fn lost(&self, reason: Arc<DisconnectReason>) {
        self.0.slot().last = Some(reason);
    }

    /// A call of `next` waits in this task until the guard is dropped.
    pub(super) fn waits(&self) -> Waits {
        self.0.slot().runner = Some((Place::here(), true));
        Waits(self.0.clone())
    }

    pub(super) fn set(&self, state: State) {
        self.0.0.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }

    /// A connection is open, and this is its sender.
    pub(super) fn open<S: AsyncRead + AsyncWrite + Unpin>(&self, ws: &WebSocket<S>, sender: Sender) {
        let newest = Arc::new(Connected {
            sender: sender.clone(),
            subprotocol: ws.subprotocol().map(String::from),
            extensions: ws.extensions().clone(),
            since: SystemTime::now(),
        });
        let mut slot = self.0.slot();
        slot.newest = Some(newest);
        let closing = slot.closing;
        drop(slot);
        if closing {
            // The handle found no connection to close.
            let _ = sender.close(Some(CloseCode::NORMAL.into()));
        }
        self.set(State::Open);
    }

    /// What comes of `work`; `None` once a handle closes.
    pub(super) async fn unless_closed<T>(&self, mut work: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        let mut closed = pin!(self.0.0.closed.notified());
        std::future::poll_fn(|context| {
            // `close` sets the flag, then notifies: registered first, nothing is missed.
            if closed.as_mut().poll(context).is_ready() || self.is_closing() {
                return Poll::Ready(None);
            }
            work(context).map(Some)
        })
        .await
    }
}

/// A call of `next`.
pub(super) struct Waits(Handle);

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some((_, waits)) = &mut self.0.slot().runner {
            *waits = false;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.set(State::Ended);
    }
}

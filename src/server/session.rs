//! One connection of the server, as everybody else sees it.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, Weak};

use tokio::task::AbortHandle;

use super::request::Request;
use super::serve::Server;
use super::topic::Topic;
use super::topics::{leave, lock, shrink};
use crate::Close;
use crate::OwnedMessage;
use crate::Prepared;
use crate::SendError;
use crate::extension::Agreement;
use crate::session::Failure;
use crate::tokio::{Queuing, Sender};

/// A connection of the server: who it is, and a way to send to it. Clones are the same session; one that is kept does not
/// keep the connection.
///
/// What is sent goes through the session's queue, of [`Endpoint::queue`](super::Endpoint::queue) bytes, and leaves while
/// the connection's own task waits for its peer: as [`Sender`] says.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: SessionId,
    request: Request,
    /// `None` where neither a subprotocol nor an extension was agreed on: most sessions pay a pointer.
    agreed: Option<Box<Agreed>>,
    sender: Sender,
    /// Of which server: whose routes may hold sessions.
    server: Weak<Server>,
    /// Set once it runs.
    task: OnceLock<AbortHandle>,
    /// The topics that it subscribes to; `None` once it has ended.
    topics: Mutex<Option<Subscribed>>,
}

#[derive(Debug)]
struct Agreed {
    subprotocol: Option<Box<str>>,
    extensions: Agreement,
}

static NO_EXTENSIONS: LazyLock<Agreement> = LazyLock::new(Agreement::default);

/// Topics by their address. Boxed by the first one: most sessions subscribe to few topics, or none.
type Subscribed = Option<Box<HashMap<usize, Arc<Topic>>>>;

impl Session {
    pub(super) fn new(
        server: Weak<Server>,
        request: Request,
        subprotocol: Option<&str>,
        extensions: Agreement,
        sender: Sender,
    ) -> Self {
        let agreed = (subprotocol.is_some() || extensions != *NO_EXTENSIONS)
            .then(|| Box::new(Agreed { subprotocol: subprotocol.map(Box::from), extensions }));
        Self(Arc::new(Inner {
            id: SessionId::next(),
            request,
            agreed,
            sender,
            server,
            task: OnceLock::new(),
            topics: Mutex::new(Some(None)),
        }))
    }

    /// It runs in this task.
    pub(super) fn runs_in(&self, task: AbortHandle) {
        // Once.
        let _ = self.0.task.set(task);
    }

    /// It subscribes to the topic. False if it has ended.
    pub(super) fn joined(&self, topic: &Arc<Topic>) -> bool {
        let mut topics = lock(&self.0.topics);
        let Some(topics) = &mut *topics else { return false };
        topics.get_or_insert_default().insert(Arc::as_ptr(topic).addr(), Arc::clone(topic));
        true
    }

    /// It has left the topic.
    pub(super) fn left(&self, topic: &Arc<Topic>) {
        let mut topics = lock(&self.0.topics);
        let Some(subscribed) = &mut *topics else { return };
        if let Some(map) = subscribed {
            map.remove(&Arc::as_ptr(topic).addr());
            if map.is_empty() {
                *subscribed = None;
            } else {
                shrink(map);
            }
        }
    }

    /// How many clones there are.
    #[cfg(test)]
    pub(super) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// It has ended: its subscriptions end.
    pub(super) fn ended(&self) {
        self.0.sender.end();
        let topics = lock(&self.0.topics).take();
        for topic in topics.flatten().into_iter().flat_map(|topics| topics.into_values()) {
            leave(&topic, self, true);
        }
    }

    /// Aborts its task.
    pub(super) fn abort(&self) {
        if let Some(task) = self.0.task.get() {
            task.abort();
        }
    }

    /// Tells the server of a failure that no handler is told of.
    pub(super) fn report(&self, failure: &Failure) {
        if let Some(server) = self.server() {
            server.report_failure(self.peer_address(), failure);
        }
    }

    /// Its server, while that serves.
    pub(super) fn server(&self) -> Option<Arc<Server>> {
        self.0.server.upgrade()
    }

    /// No other session of this process has this.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Where the client's end of the connection is: of a proxy, where there is one.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.0.request.peer_address()
    }

    /// What opened it: path, parameters, query, header fields, cookies.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.agreed.as_ref()?.subprotocol.as_deref()
    }

    /// The extensions that were agreed on.
    #[must_use]
    pub fn extensions(&self) -> &Agreement {
        self.0.agreed.as_ref().map_or(&NO_EXTENSIONS, |agreed| &agreed.extensions)
    }

    /// Queues a message, as [`Sender::send`]: under [`WhenFull::Wait`](crate::tokio::WhenFull::Wait) it waits for room.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send(&self, message: impl Into<OwnedMessage>) -> Queuing<'_> {
        self.0.sender.send(message)
    }

    /// Queues a message at once, or not at all, as [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`]: full, or closing.
    pub fn try_send(&self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        self.0.sender.try_send(message)
    }

    /// Queues a message that was encoded before, as [`Sender::send_prepared`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_prepared`].
    pub fn send_prepared(&self, prepared: &Prepared) -> Queuing<'_> {
        self.0.sender.send_prepared(prepared)
    }

    /// Queues a message that was encoded before, at once or not at all, as [`Sender::try_send_prepared`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send_prepared`].
    pub fn try_send_prepared(&self, prepared: &Prepared) -> Result<(), SendError> {
        self.0.sender.try_send_prepared(prepared)
    }

    /// Closes the connection behind all that is queued, as [`Sender::close`].
    ///
    /// # Errors
    ///
    /// As [`Sender::close`].
    pub fn close(&self, close: Option<Close<'_>>) -> Result<(), SendError> {
        self.0.sender.close(close)
    }

    /// Waits until the connection closes or has ended, as far as its task has noticed. A callback that takes long looks
    /// here whether anybody still waits for it:
    ///
    /// ```
    /// # use bowsprit::server::Session;
    /// # async fn long_query() -> u64 { 1 }
    /// # async fn example(session: &Session) {
    /// tokio::select! {
    ///     result = long_query() => drop(session.send(result.to_string()).await),
    ///     () = session.closed() => {} // nobody waits for the result
    /// }
    /// # }
    /// ```
    pub async fn closed(&self) {
        self.0.sender.closed().await;
    }

    /// The sender of its queue.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }
}

/// Two are equal if they are one and the same.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Session {}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

/// Tells the sessions of a process apart, in the order of their opening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(u64);

impl SessionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

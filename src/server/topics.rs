//! Messages to all who want them.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec::Vec;

use tokio::sync::Mutex as AsyncMutex;

use super::backplane::{Backplane, BackplaneError, Incoming};
use super::session::Session;
use super::topic::{Published, Topic};
#[cfg(feature = "deflate")]
use crate::Deflate;
use crate::OwnedMessage;
use crate::Prepared;

/// Topics by name: sessions subscribe, and what is published reaches all of them. Clones share the topics.
///
/// A message is encoded once, and compressed once for all sessions that agreed on the same window, when the first of them
/// sends it. Messages that are published one after the other reach every session in that order. What becomes of a
/// message for a session whose queue is full, says its [`Endpoint::queue`](super::Endpoint::queue).
///
/// In one process it needs nothing; [`with_backplane`](Self::with_backplane) reaches others.
///
/// ```no_run
/// use bowsprit::tokio::WhenFull;
/// use bowsprit::server::{Router, Topics, WebSocket, websocket};
/// use bowsprit::session::BoxError;
///
/// let topics = Topics::new();
/// let router = Router::new().route("/news", websocket(move |mut ws: WebSocket| {
///     let topics = topics.clone();
///     async move {
///         let _subscription = topics.subscribe("news", ws.session()).await?; // until it is dropped
///         while let Some((message, _)) = ws.next().await? {
///             topics.publish("news", message).await?;
///         }
///         Ok::<_, BoxError>(())
///     }
/// })
/// .queue(1 << 20, WhenFull::Disconnect)); // who publishes here does not wait for its own queue
/// # let _ = router;
/// ```
#[derive(Clone, Debug)]
pub struct Topics(Arc<Shared>);

pub(super) struct Shared {
    topics: Mutex<HashMap<Box<str>, Arc<Topic>>>,
    on_join: OnceLock<Box<Moved>>,
    on_leave: OnceLock<Box<Moved>>,
    on_error: OnceLock<Box<Missed>>,
    #[cfg(feature = "deflate")]
    compression: OnceLock<Deflate>,
    backplane: Option<Box<dyn Backplane>>,
    /// The topics that the backplane subscribes to, or may: it has said so, or was asked and has not. Held while that
    /// changes, so that it follows `topics`.
    followed: AsyncMutex<HashMap<Box<str>, bool>>,
}

/// A session came or went, and so many are there now.
type Moved = dyn Fn(&str, &Session, usize) + Send + Sync;

/// Messages may be missing.
type Missed = dyn Fn(&BackplaneError) + Send + Sync;

impl Topics {
    /// Of this process alone.
    #[must_use]
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Together with all processes that this backplane reaches.
    ///
    /// # Panics
    ///
    /// As [`Backplane::start`]: outside a tokio runtime.
    #[must_use]
    pub fn with_backplane(backplane: impl Backplane) -> Self {
        let topics = Self::of(Some(Box::new(backplane)));
        if let Some(backplane) = &topics.0.backplane {
            backplane.start(Incoming::new(Arc::downgrade(&topics.0)));
        }
        topics
    }

    /// Calls back when a session joins a topic: the topic, the session, and how many sessions of this process were there
    /// then. What others join and leave meanwhile may be told in another order: [`count`](Self::count) is how many there are
    /// now. Of several callbacks, the first counts.
    #[must_use]
    pub fn on_join(self, callback: impl Fn(&str, &Session, usize) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_join.set(Box::new(callback));
        self
    }

    /// Calls back when a session leaves a topic, by itself or because it ended. A panic in it ends nothing.
    #[must_use]
    pub fn on_leave(self, callback: impl Fn(&str, &Session, usize) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_leave.set(Box::new(callback));
        self
    }

    /// How messages are compressed for the sessions that agreed on permessage-deflate: the level, and from how many bytes
    /// on. Of several settings, the first counts; by default those of [`Deflate`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, deflate: Deflate) -> Self {
        let _ = self.0.compression.set(deflate);
        self
    }

    /// Calls back when the backplane may have missed messages of other processes, or goes on delivering what nobody
    /// wants.
    #[must_use]
    pub fn on_error(self, callback: impl Fn(&BackplaneError) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_error.set(Box::new(callback));
        self
    }

    /// Subscribes a session to a topic, until the subscription is dropped. Keep it where it goes when the session does:
    /// in the function that serves it, or in its handler. A session that subscribes twice gets each message once, until
    /// both are dropped.
    ///
    /// # Errors
    ///
    /// Those of the backplane; without one there are none.
    pub async fn subscribe(&self, topic: &str, session: &Session) -> Result<Subscription, BackplaneError> {
        let subscription = self.0.join(topic, session);
        self.0.follow(topic).await?;
        Ok(subscription)
    }

    /// Publishes a message to all sessions that subscribe to the topic; done once it is queued for all of them. It waits
    /// for room in those queues that want that ([`WhenFull::Wait`](crate::tokio::WhenFull::Wait)), but no longer than
    /// [`Config::write_timeout`](crate::Config::write_timeout) of the session, which is closed then with 1008. Dropped
    /// meanwhile, the message reaches the others alone.
    ///
    /// A [`websocket`](super::websocket) function that subscribes itself should not wait like that: its own queue gets
    /// room only once it is back in [`next`](crate::tokio::WebSocket::next), and two of them would wait for each other, until
    /// that time is over. Choose another policy, publish from another task, or be a
    /// [`Handler`](crate::session::Handler), whose queue goes on leaving while it waits.
    ///
    /// With a backplane it is done once the broker has the message.
    ///
    /// # Errors
    ///
    /// Those of the backplane; without one there are none.
    pub async fn publish(&self, topic: &str, message: impl Into<OwnedMessage>) -> Result<Published, BackplaneError> {
        let message = message.into();
        match &self.0.backplane {
            Some(backplane) => {
                backplane.publish(topic, message.as_message()).await?;
                Ok(Published::default())
            }
            None => Ok(self.publish_prepared(topic, &self.0.prepare(&message)).await),
        }
    }

    /// As [`publish`](Self::publish) in this process alone, a message that was encoded before, and perhaps compressed.
    pub async fn publish_prepared(&self, topic: &str, prepared: &Prepared) -> Published {
        match self.0.find(topic) {
            Some(topic) => topic.deliver(prepared).await,
            None => Published::default(),
        }
    }

    /// As [`publish_prepared`](Self::publish_prepared), at once: who has no room for it does not get it. So it can stand
    /// under a lock that gives messages their numbers.
    pub fn try_publish_prepared(&self, topic: &str, prepared: &Prepared) -> Published {
        self.0.find(topic).map_or_else(Published::default, |topic| topic.try_deliver(prepared))
    }

    /// How many sessions of this process subscribe to the topic.
    #[must_use]
    pub fn count(&self, topic: &str) -> usize {
        self.0.find(topic).map_or(0, |topic| topic.len())
    }

    /// The sessions of this process that subscribe to the topic, in the order of their opening.
    #[must_use]
    pub fn sessions(&self, topic: &str) -> Vec<Session> {
        self.0.find(topic).map_or_else(Vec::new, |topic| topic.sessions())
    }

    fn of(backplane: Option<Box<dyn Backplane>>) -> Self {
        Self(Arc::new(Shared {
            topics: Mutex::default(),
            on_join: OnceLock::new(),
            on_leave: OnceLock::new(),
            on_error: OnceLock::new(),
            #[cfg(feature = "deflate")]
            compression: OnceLock::new(),
            backplane,
            followed: AsyncMutex::default(),
        }))
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self::new()
    }
}

/// A session's place in a topic. Dropped, the session leaves.
#[derive(Debug)]
#[must_use = "a subscription that is dropped ends"]
pub struct Subscription {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    session: Session,
}

impl Subscription {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.name()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        Shared::leave(&self.shared, &self.topic, &self.session);
    }
}

impl Shared {
    fn join(self: &Arc<Self>, name: &str, session: &Session) -> Subscription {
        let mut topics = lock(&self.topics);
        let topic = match topics.get(name) {
            Some(topic) => Arc::clone(topic),
            None => {
                let topic = Arc::new(Topic::new(name));
                topics.insert(name.into(), Arc::clone(&topic));
                topic
            }
        };
        let (is_new, count) = topic.join(session);
        drop(topics);
        // It leaves again where the callback panics.
        let subscription = Subscription { shared: Arc::clone(self), topic, session: session.clone() };
        if let Some(on_join) = self.on_join.get()
            && is_new
        {
            on_join(name, session, count);
        }
        subscription
    }

    fn leave(shared: &Arc<Self>, topic: &Topic, session: &Session) {
        let mut topics = lock(&shared.topics);
        let Some(count) = topic.leave(session) else { return };
        if count == 0 {
            topics.remove(topic.name());
        }
        drop(topics);
        if let Some(on_leave) = shared.on_leave.get() {
            // It may leave because something panics: a second panic would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| on_leave(topic.name(), session, count)));
        }
        // Without a runtime the process is ending, and its connection to the broker with it.
        if count == 0
            && shared.backplane.is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (shared, name) = (Arc::clone(shared), Box::<str>::from(topic.name()));
            runtime.spawn(async move {
                if let Err(error) = shared.follow(&name).await {
                    shared.missed(&error);
                }
            });
        }
    }

    /// Has the backplane subscribe to the topic if somebody here does, and only then.
    async fn follow(&self, name: &str) -> Result<(), BackplaneError> {
        let Some(backplane) = &self.backplane else { return Ok(()) };
        // Who joins a topic that arrives already does not wait for those of others.
        if self.find(name).is_some_and(|topic| topic.is_followed()) {
            return Ok(());
        }
        let mut followed = self.followed.lock().await;
        match (self.find(name), followed.get(name)) {
            (Some(topic), None | Some(false)) => {
                // Dropped before it is done, or failed, it may have come to be all the same.
                followed.insert(name.into(), false);
                backplane.subscribe(name).await?;
                followed.insert(name.into(), true);
                topic.set_followed();
            }
            (Some(topic), Some(true)) => topic.set_followed(),
            (None, Some(_)) => {
                followed.remove(name);
                backplane.unsubscribe(name).await?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Encodes a message that came from the backplane, and queues it for all sessions of this process that subscribe.
    pub(super) fn deliver(&self, topic: &str, message: &OwnedMessage) {
        if let Some(topic) = self.find(topic) {
            topic.deliver_or_close(&self.prepare(message));
        }
    }

    /// Encodes a message, to be compressed for those who agreed on that.
    fn prepare(&self, message: &OwnedMessage) -> Prepared {
        let prepared = Prepared::message(message.as_message());
        #[cfg(feature = "deflate")]
        {
            let default = Deflate::default();
            let deflate = self.compression.get().unwrap_or(&default);
            if prepared.payload().len() >= deflate.threshold {
                return prepared.deflated(deflate.level);
            }
        }
        prepared
    }

    pub(super) fn missed(&self, error: &BackplaneError) {
        if let Some(on_error) = self.on_error.get() {
            // It is told by the task that goes on to deliver.
            let _ = catch_unwind(AssertUnwindSafe(|| on_error(error)));
        }
    }

    fn find(&self, topic: &str) -> Option<Arc<Topic>> {
        lock(&self.topics).get(topic).cloned()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("backplane", &self.backplane).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::server::Pending;

    /// Never says that it has subscribed; counts what it is asked to.
    #[derive(Debug)]
    struct Silent(Arc<Mutex<[usize; 2]>>);

    impl Backplane for Silent {
        fn start(&self, _: Incoming) {}

        fn subscribe<'a>(&'a self, _: &'a str) -> Pending<'a> {
            lock(&self.0)[0] += 1;
            Box::pin(pending())
        }

        fn unsubscribe<'a>(&'a self, _: &'a str) -> Pending<'a> {
            lock(&self.0)[1] += 1;
            Box::pin(async { Ok(()) })
        }

        fn publish<'a>(&'a self, _: &'a str, _: Message<'a>) -> Pending<'a> {
            Box::pin(pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_dropped_halfway_is_asked_for_again_and_undone() {
        let asked = Arc::default();
        let shared = Topics::with_backplane(Silent(Arc::clone(&asked))).0;
        let topic = Arc::new(Topic::new("news"));
        lock(&shared.topics).insert("news".into(), topic);
        for _ in 0..2 {
            assert!(tokio::time::timeout(Duration::from_secs(1), shared.follow("news")).await.is_err());
        }
        lock(&shared.topics).clear();
        for _ in 0..2 {
            shared.follow("news").await.unwrap();
        }
        assert_eq!(*lock(&asked), [2, 1]);
    }
}

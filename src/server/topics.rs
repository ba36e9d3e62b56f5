//! Publish and subscribe for sessions.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec::Vec;

use tokio::sync::Mutex as AsyncMutex;

use super::backplane::{Backplane, BackplaneError, Dispatcher};
use super::session::Session;
use super::topic::{Published, Topic};
#[cfg(feature = "deflate")]
use crate::Deflate;
use crate::OwnedMessage;
use crate::Prepared;

/// Topics by name: sessions subscribe, and each published message reaches all of them. Clones share the topics.
///
/// A message is encoded once, and compressed once for all sessions that agreed on the same window, when the first of them
/// sends it. Messages that are published one after the other reach every session in that order.
///
/// **No subscriber stops another one.** [`publish`](Self::publish) waits for no session. The session's
/// [`Endpoint::queue`](super::Endpoint::queue) determines what happens when its queue is full:
///
/// - [`WhenFull::Wait`] (the default) and [`WhenFull::Disconnect`]: the message is queued above the bound. (It is shared:
///   all queues together hold one copy of its payload.) The session is closed with 1008 once its queue holds 16 times its
///   bound (at least 64 KiB), or once its peer has accepted no bytes for 10 s while its queue was above the bound.
/// - [`WhenFull::DropNewest`]: the session does not get the message.
/// - [`WhenFull::DropOldest`]: the session does not get the oldest messages of its queue.
///
/// To wait for slow readers, send to each of the [`sessions`](Self::sessions).
///
/// [`with_backplane`](Self::with_backplane) connects the topics of several processes.
///
/// ```no_run
/// use bowsprit::server::{Router, Topics, WebSocket, websocket};
/// use bowsprit::session::BoxError;
///
/// let topics = Topics::new();
/// let router = Router::new().route("/news", websocket(move |mut ws: WebSocket| {
///     let topics = topics.clone();
///     async move {
///         let _subscription = topics.subscribe("news", ws.session()).await?; // until it is dropped
///         while let Some((message, _)) = ws.next().await? {
///             topics.publish("news", message).await;
///         }
///         Ok::<_, BoxError>(())
///     }
/// }));
/// # let _ = router;
/// ```
///
/// [`WhenFull::Wait`]: crate::tokio::WhenFull::Wait
/// [`WhenFull::Disconnect`]: crate::tokio::WhenFull::Disconnect
/// [`WhenFull::DropNewest`]: crate::tokio::WhenFull::DropNewest
/// [`WhenFull::DropOldest`]: crate::tokio::WhenFull::DropOldest
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
    /// The topics that the backplane subscribes to (true), or was asked to (false). Locked while that changes, so that it
    /// follows `topics`.
    followed: AsyncMutex<HashMap<Box<str>, bool>>,
}

/// Called when a session has joined or left, with the number of sessions.
type Moved = dyn Fn(&str, &Session, usize) + Send + Sync;

/// Called when messages may be missing.
type Missed = dyn Fn(&BackplaneError) + Send + Sync;

impl Topics {
    /// Topics of this process alone.
    #[must_use]
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Topics of all processes that this backplane connects.
    ///
    /// # Panics
    ///
    /// As [`Backplane::start`]: outside a tokio runtime.
    #[must_use]
    pub fn with_backplane(backplane: impl Backplane) -> Self {
        let topics = Self::of(Some(Box::new(backplane)));
        if let Some(backplane) = &topics.0.backplane {
            backplane.start(Dispatcher::new(Arc::downgrade(&topics.0)));
        }
        topics
    }

    /// Sets a callback for sessions that join a topic. Its arguments are the topic, the session, and the number of sessions
    /// of this process at that time. Callbacks for sessions that join and leave at the same time may come in another
    /// order; [`count`](Self::count) is the current number. If set several times, the first callback is used.
    #[must_use]
    pub fn on_join(self, callback: impl Fn(&str, &Session, usize) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_join.set(Box::new(callback));
        self
    }

    /// Sets a callback for sessions that leave a topic, or end. A panic in it is caught.
    #[must_use]
    pub fn on_leave(self, callback: impl Fn(&str, &Session, usize) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_leave.set(Box::new(callback));
        self
    }

    /// Sets how messages are compressed for the sessions that agreed on permessage-deflate: the level, and the least size.
    /// By default those of [`Deflate`]; if set several times, the first is used.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, deflate: Deflate) -> Self {
        let _ = self.0.compression.set(deflate);
        self
    }

    /// Sets a callback for errors of the backplane: a message may not have been published, messages of other processes may
    /// be missing, or a topic without subscribers still arrives. A panic in it is caught.
    #[must_use]
    pub fn on_error(self, callback: impl Fn(&BackplaneError) + Send + Sync + 'static) -> Self {
        let _ = self.0.on_error.set(Box::new(callback));
        self
    }

    /// Subscribes a session to a topic, until the subscription is dropped or the session ends.
    /// [`Subscription::detach`] leaves the session subscribed until its end. A session that subscribes twice gets each
    /// message once, until both subscriptions are dropped.
    ///
    /// # Errors
    ///
    /// Those of the backplane; without one there are none.
    pub async fn subscribe(&self, topic: &str, session: &Session) -> Result<Subscription, BackplaneError> {
        let subscription = self.0.join(topic, session);
        self.0.follow(topic).await?;
        Ok(subscription)
    }

    /// Publishes a message to all sessions that subscribe to the topic. It is done once the message is queued for all of
    /// them, and waits for none of them; with a backplane, it is done once the broker has the message.
    ///
    /// An error of the backplane is passed to [`on_error`](Self::on_error), so that it does not end the session whose
    /// message is published; [`publish_confirmed`](Self::publish_confirmed) returns it.
    pub async fn publish(&self, topic: &str, message: impl Into<OwnedMessage>) -> Published {
        match self.publish_confirmed(topic, message).await {
            Ok(published) => published,
            Err(error) => {
                self.0.missed(&error);
                Published::default()
            }
        }
    }

    /// Publishes a message as [`publish`](Self::publish), and returns the backplane's error.
    ///
    /// # Errors
    ///
    /// Those of the backplane, which may not have the message; without one there are none.
    pub async fn publish_confirmed(
        &self,
        topic: &str,
        message: impl Into<OwnedMessage>,
    ) -> Result<Published, BackplaneError> {
        let message = message.into();
        match &self.0.backplane {
            Some(backplane) => {
                backplane.publish(topic, message.as_message()).await?;
                Ok(Published::default())
            }
            None => Ok(self.publish_prepared(topic, &self.0.prepare(&message)).await),
        }
    }

    /// Publishes an encoded message, which may be compressed, to the sessions of this process.
    pub async fn publish_prepared(&self, topic: &str, prepared: &Prepared) -> Published {
        match self.0.find(topic) {
            Some(topic) => topic.deliver(prepared).await,
            None => Published::default(),
        }
    }

    /// Publishes an encoded message to the sessions of this process whose queue has capacity, without an await: it can be
    /// called under a lock that gives messages their numbers. A full queue follows its own policy.
    pub fn try_publish_prepared(&self, topic: &str, prepared: &Prepared) -> Published {
        self.0.find(topic).map_or_else(Published::default, |topic| topic.try_deliver(prepared))
    }

    /// The number of sessions of this process that subscribe to the topic.
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

/// The subscription of a session to a topic. The session leaves when this is dropped, and when it ends.
#[derive(Debug)]
#[must_use = "a subscription that is dropped ends"]
pub struct Subscription {
    topic: Arc<Topic>,
    /// Until it is detached.
    session: Option<Session>,
}

impl Subscription {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.name()
    }

    /// Leaves the session subscribed until it ends.
    pub fn detach(mut self) {
        self.session = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            leave(&self.topic, session, false);
        }
    }
}

/// Ends a subscription of the session to the topic, or all of them because the session has ended.
pub(super) fn leave(topic: &Arc<Topic>, session: &Session, all: bool) {
    let Some(count) = topic.leave(session, all) else { return };
    session.left(topic);
    let Some(shared) = topic.topics() else { return };
    if count == 0 {
        shared.remove(topic);
    }
    if let Some(on_leave) = shared.on_leave.get() {
        // It may leave because of a panic: a second panic would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| on_leave(topic.name(), session, count)));
    }
    // Without a runtime the process is ending, and its connection to the broker with it.
    if count == 0
        && shared.backplane.is_some()
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        let name = Box::<str>::from(topic.name());
        runtime.spawn(async move {
            if let Err(error) = shared.follow(&name).await {
                shared.missed(&error);
            }
        });
    }
}

impl Shared {
    fn join(self: &Arc<Self>, name: &str, session: &Session) -> Subscription {
        let (topic, is_new, count) = loop {
            let topic = self.find_or_insert(name);
            match topic.join(session) {
                Some((is_new, count)) => break (topic, is_new, count),
                // Its last session has left just now.
                None => self.remove(&topic),
            }
        };
        // It leaves again if the callback panics.
        let subscription = Subscription { topic, session: Some(session.clone()) };
        if is_new && !session.joined(&subscription.topic) {
            // The session has ended: there is nothing to subscribe.
            leave(&subscription.topic, session, true);
            return subscription;
        }
        if let Some(on_join) = self.on_join.get()
            && is_new
        {
            on_join(name, session, count);
        }
        subscription
    }

    fn find_or_insert(self: &Arc<Self>, name: &str) -> Arc<Topic> {
        let mut topics = lock(&self.topics);
        if let Some(topic) = topics.get(name) {
            return Arc::clone(topic);
        }
        let topic = Arc::new(Topic::new(name, Arc::downgrade(self)));
        topics.insert(name.into(), Arc::clone(&topic));
        topic
    }

    /// Removes a topic without sessions, unless another one has taken its place.
    fn remove(&self, topic: &Arc<Topic>) {
        let mut topics = lock(&self.topics);
        if topics.get(topic.name()).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(topic.name());
            shrink(&mut topics);
        }
    }

    /// Makes the backplane subscribe to the topic if a session here does, and only then.
    async fn follow(&self, name: &str) -> Result<(), BackplaneError> {
        let Some(backplane) = &self.backplane else { return Ok(()) };
        // A session that joins a topic which arrives already does not wait for other topics.
        if self.find(name).is_some_and(|topic| topic.is_followed()) {
            return Ok(());
        }
        let mut followed = self.followed.lock().await;
        match (self.find(name), followed.get(name)) {
            (Some(topic), None | Some(false)) => {
                // Dropped before it is done, or failed, the backplane may have subscribed all the same.
                followed.insert(name.into(), false);
                backplane.subscribe(name).await?;
                followed.insert(name.into(), true);
                topic.set_followed();
            }
            (Some(topic), Some(true)) => topic.set_followed(),
            (None, Some(_)) => {
                followed.remove(name);
                shrink(&mut followed);
                backplane.unsubscribe(name).await?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Encodes a message of the backplane, and queues it for all sessions of this process that subscribe.
    pub(super) async fn deliver(&self, topic: &str, message: &OwnedMessage) {
        if let Some(topic) = self.find(topic) {
            topic.deliver(&self.prepare(message)).await;
        }
    }

    /// Encodes a message, to be compressed for the sessions that agreed on that.
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
            // It is called by the task that goes on delivering.
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives memory back after a removal, once three quarters are free.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > 4 * map.len() + 16 {
        map.shrink_to(2 * map.len());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Weak;
    use std::time::Duration;

    use bytes::BytesMut;

    use super::*;
    use crate::Config;
    use crate::Connection;
    use crate::extension::Agreement;
    use crate::handshake::ServerHandshake;
    use crate::server::{Pending, Request};
    use crate::tokio::{Parts, WebSocket, WhenFull};
    use crate::{Message, Messages};

    /// Never says that it has subscribed; counts what it is asked to.
    #[derive(Debug)]
    struct Silent(Arc<Mutex<[usize; 2]>>);

    impl Backplane for Silent {
        fn start(&self, _: Dispatcher) {}

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

    /// A session over a connection in memory.
    fn session() -> Session {
        let head =
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let config = Arc::<Config>::default();
        let mut handshake = ServerHandshake::new(Arc::clone(&config), Duration::ZERO);
        let head = handshake.receive(&mut BytesMut::from(&head[..])).unwrap().expect("a whole head");
        let parts = Parts {
            socket: tokio::io::duplex(64).0,
            connection: Connection::server(Messages, config),
            input: BytesMut::new(),
            output: BytesMut::new(),
            subprotocol: None,
        };
        let sender = WebSocket::from_parts(parts).sender(1, WhenFull::Wait);
        let request = Request::new(head, ([127, 0, 0, 1], 1).into());
        Session::new(Weak::new(), request, None, Agreement::default(), sender)
    }

    #[tokio::test]
    async fn subscriptions_that_have_ended_leave_nothing() {
        let (topics, session) = (Topics::new(), session());
        for _ in 0..3 {
            let mut subscriptions = Vec::new();
            for topic in 0..20_000 {
                subscriptions.push(topics.subscribe(&std::format!("{topic}"), &session).await.unwrap());
            }
            assert_eq!(lock(&topics.0.topics).len(), 20_000);
            drop(subscriptions);
            let topics = lock(&topics.0.topics);
            assert!(topics.is_empty() && topics.capacity() <= 16, "{}", topics.capacity());
        }
        let others: Vec<_> = (0..5_000).map(|_| self::session()).collect();
        let stays = topics.subscribe("all", &session).await.unwrap();
        for other in &others {
            topics.subscribe("all", other).await.unwrap().detach();
        }
        let Published { queued, refused } = topics.publish("all", "to all").await;
        assert_eq!(queued + refused, 5_001);
        others.iter().for_each(Session::ended);
        assert_eq!(topics.count("all"), 1);
        // Neither the topic nor the list for deliveries keeps a session.
        assert!(others.iter().all(|other| other.handles() == 1));
        drop(stays);
        assert_eq!(topics.count("all"), 0);
    }

    /// Would wait for ever for a lock that a delivery holds.
    #[test]
    fn joining_and_counting_do_not_wait_for_a_delivery() {
        let (topics, session) = (Topics::new(), session());
        let first = topics.0.join("all", &session);
        let topic = topics.0.find("all").unwrap();
        let delivering = topic.delivering();
        let other = self::session();
        drop(topics.0.join("all", &other));
        drop(topics.0.join("other", &other));
        assert_eq!((topics.count("all"), topics.sessions("all").len(), topics.count("other")), (1, 1, 0));
        drop(delivering);
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_dropped_halfway_is_asked_for_again_and_undone() {
        let asked = Arc::default();
        let shared = Topics::with_backplane(Silent(Arc::clone(&asked))).0;
        let topic = Arc::new(Topic::new("news", Arc::downgrade(&shared)));
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

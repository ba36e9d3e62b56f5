//! Topics across processes.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;

use super::topics::Shared;
use crate::session::BoxError;
use crate::{Message, OwnedMessage};

/// A broker that connects the [`Topics`](super::Topics) of several processes, such as [`Redis`](super::Redis).
///
/// A published message goes to the broker only. It reaches the sessions of every process, including this one, when it comes
/// back from the broker: all processes see the messages of a topic in one order, the broker's.
pub trait Backplane: fmt::Debug + Send + Sync + 'static {
    /// Starts the backplane. Called once, before all other methods, inside a tokio runtime. Messages that arrive for
    /// subscribed topics are passed to `dispatcher`.
    fn start(&self, dispatcher: Dispatcher);

    /// Subscribes to a topic. Done once its messages arrive.
    ///
    /// # Errors
    ///
    /// Any, if the messages of the topic may not arrive.
    fn subscribe<'a>(&'a self, topic: &'a str) -> Pending<'a>;

    /// Unsubscribes from a topic: no session of this process subscribes to it any more.
    ///
    /// # Errors
    ///
    /// Any, if messages of the topic may still arrive.
    fn unsubscribe<'a>(&'a self, topic: &'a str) -> Pending<'a>;

    /// Passes a message to all processes that subscribe to the topic.
    ///
    /// # Errors
    ///
    /// Any, if the message may not have been passed on.
    fn publish<'a>(&'a self, topic: &'a str, message: Message<'a>) -> Pending<'a>;
}

/// The future of a [`Backplane`] method: `Box::pin(async move { .. })`.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<(), BackplaneError>> + Send + 'a>>;

/// The error of a backplane.
pub type BackplaneError = BoxError;

/// Dispatches the messages that arrive at a [`Backplane`] to the sessions of this process.
#[derive(Clone, Debug)]
pub struct Dispatcher(Weak<Shared>);

impl Dispatcher {
    pub(super) fn new(topics: Weak<Shared>) -> Self {
        Self(topics)
    }

    /// Queues a message for all sessions of this process that subscribe to the topic. Messages that are delivered one after
    /// the other stay in order. Returns false once the topics are gone, and nobody listens any more.
    ///
    /// It waits for no session: slow readers are treated as by [`Topics`](super::Topics).
    pub async fn deliver(&self, topic: &str, message: impl Into<OwnedMessage>) -> bool {
        let Some(topics) = self.0.upgrade() else { return false };
        topics.deliver(topic, &message.into()).await;
        true
    }

    /// Reports to [`Topics::on_error`](super::Topics::on_error) that messages may have been missed.
    pub fn missed(&self, error: &BackplaneError) {
        if let Some(topics) = self.0.upgrade() {
            topics.missed(error);
        }
    }
}

//! How a topic reaches other processes.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;

use super::topics::Shared;
use crate::session::BoxError;
use crate::{Message, OwnedMessage};

/// A broker between the [`Topics`](super::Topics) of several processes, as [`Redis`](super::Redis) is one.
///
/// What is published goes to the broker alone, and reaches the sessions of every process, this one's too, when it comes
/// back from there: so all of them see the messages of a topic in one order, the broker's. Who publishes waits for no
/// session, then.
pub trait Backplane: fmt::Debug + Send + Sync + 'static {
    /// Called once, before all else, inside a tokio runtime: what arrives for topics that are subscribed to is handed to
    /// `incoming`.
    fn start(&self, incoming: Incoming);

    /// Has what is published on a topic arrive. Done once that is so.
    ///
    /// # Errors
    ///
    /// Any, when it is not.
    fn subscribe<'a>(&'a self, topic: &'a str) -> Pending<'a>;

    /// No session of this process subscribes to the topic any more.
    ///
    /// # Errors
    ///
    /// Any, when messages of it may still arrive.
    fn unsubscribe<'a>(&'a self, topic: &'a str) -> Pending<'a>;

    /// Hands a message to all processes that subscribe to the topic.
    ///
    /// # Errors
    ///
    /// Any, when it may not have been handed over.
    fn publish<'a>(&'a self, topic: &'a str, message: Message<'a>) -> Pending<'a>;
}

/// What a verb of a [`Backplane`] returns: `Box::pin(async move { .. })`.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<(), BackplaneError>> + Send + 'a>>;

/// Why a backplane did not do what it was asked to.
pub type BackplaneError = BoxError;

/// Where a [`Backplane`] hands in what arrives.
#[derive(Clone, Debug)]
pub struct Incoming(Weak<Shared>);

impl Incoming {
    pub(super) fn new(topics: Weak<Shared>) -> Self {
        Self(topics)
    }

    /// A message for all sessions of this process that subscribe to the topic, queued for all of them: one after the
    /// other, messages stay in order. False when the topics are gone, and nobody wants more.
    ///
    /// It waits for nobody, since a peer that reads slowly would hold up all others: a session whose queue is full and
    /// whose senders wait ([`WhenFull::Wait`](crate::tokio::WhenFull::Wait)) is closed with 1008.
    pub fn deliver(&self, topic: &str, message: impl Into<OwnedMessage>) -> bool {
        let Some(topics) = self.0.upgrade() else { return false };
        topics.deliver(topic, &message.into());
        true
    }

    /// Messages may have been missed: [`Topics::on_error`](super::Topics::on_error) is told.
    pub fn missed(&self, error: &BackplaneError) {
        if let Some(topics) = self.0.upgrade() {
            topics.missed(error);
        }
    }
}

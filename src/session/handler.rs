//! Who is told.

use std::future::{self, Future};

use super::event::{BoxError, Closed, Event, Failure};
use crate::{Message, OwnedMessage};

/// The callbacks of one connection, told one after the other; `P` is how they reach it: a `server::Session`, or a
/// [`client::Client`](crate::client::Client).
///
/// Write those that you want, as `async fn`. A function or closure
/// `FnMut(&P, Event<'_>) -> Result<Option<OwnedMessage>, BoxError>` is a handler, too: one callback for all.
///
/// While a callback runs, nothing is read from its connection, and what others queue for it goes on leaving. An error of
/// `on_open` or `on_message` closes the connection with 1011, or with what a [`CloseError`](crate::CloseError) says, and
/// so does a panic; no other connection notices. [`on_close`](Self::on_close) follows however it ends, once; unless the task
/// itself is ended, as by a server that has waited for long enough.
///
/// ```
/// use bowsprit::session::{BoxError, Handler};
/// use bowsprit::{Message, OwnedMessage};
///
/// /// Counts, and replies with the count.
/// struct Counter(u64);
///
/// impl<P: Sync> Handler<P> for Counter {
///     async fn on_message(&mut self, _: &P, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
///         self.0 += 1;
///         Ok(Some(self.0.to_string().into()))
///     }
/// }
/// ```
pub trait Handler<P: Sync>: Send {
    /// The connection is open, and messages wait until this is done; what is returned is sent first. By default that is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Any closes the connection.
    fn on_open(&mut self, peer: &P) -> impl Future<Output = Result<Option<OwnedMessage>, BoxError>> + Send {
        let _ = peer;
        future::ready(Ok(None))
    }

    /// A message; what is returned is the reply. By default there is none.
    ///
    /// # Errors
    ///
    /// Any closes the connection.
    fn on_message(
        &mut self,
        peer: &P,
        message: Message<'_>,
    ) -> impl Future<Output = Result<Option<OwnedMessage>, BoxError>> + Send {
        let _ = (peer, message);
        future::ready(Ok(None))
    }

    /// The connection failed. [`on_close`](Self::on_close) follows.
    fn on_error(&mut self, peer: &P, error: &Failure) -> impl Future<Output = ()> + Send {
        let _ = (peer, error);
        future::ready(())
    }

    /// The connection has ended: told once, and the last.
    fn on_close(&mut self, peer: &P, closed: &Closed) -> impl Future<Output = ()> + Send {
        let _ = (peer, closed);
        future::ready(())
    }
}

/// One callback for all. What it returns of an error or a close does not count.
impl<P: Sync, F> Handler<P> for F
where
    F: FnMut(&P, Event<'_>) -> Result<Option<OwnedMessage>, BoxError> + Send,
{
    // By `async`, so that it is called when it is polled, where a panic is met.
    async fn on_open(&mut self, peer: &P) -> Result<Option<OwnedMessage>, BoxError> {
        self(peer, Event::Open)
    }

    async fn on_message(&mut self, peer: &P, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        self(peer, Event::Message(message))
    }

    async fn on_error(&mut self, peer: &P, error: &Failure) {
        // It fails already.
        let _ = self(peer, Event::Error(error));
    }

    async fn on_close(&mut self, peer: &P, closed: &Closed) {
        // It has ended.
        let _ = self(peer, Event::Close(closed));
    }
}

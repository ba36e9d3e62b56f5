//! Ending all connections of a process politely.

use std::boxed::Box;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::watch::Watch;
use super::websocket::WebSocket;
use crate::Delivery;

/// Closes many connections at once, with 1001 (RFC 6455 section 7.4.1: an endpoint that is going away).
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let shutdown = bowsprit::tokio::Shutdown::new();
/// # let stream = tokio::io::empty();
/// let mut ws = bowsprit::tokio::accept(stream).await?;
/// shutdown.watch(&mut ws);
/// tokio::spawn(async move {
///     while let Some((message, out)) = ws.next().await? {
///         out.feed(message).await?;
///     }
///     Ok::<_, bowsprit::Error>(())
/// });
///
/// // Later: says goodbye to all, and gives them ten seconds.
/// shutdown.begin();
/// let _ = tokio::time::timeout(Duration::from_secs(10), shutdown.finished()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// Of no connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// From now on, this connection is among them. [`next`](WebSocket::next) sends the Close where it waits for the peer,
    /// and goes on until the peer's.
    pub fn watch<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(&self, ws: &mut WebSocket<S, D>) {
        ws.receiver.extras.get_or_insert_default().shutdown = Some(Box::new(Watch::new(self.0.subscribe())));
    }

    /// Has every connection send a Close, those among them that are watched later.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until every connection has been dropped. Each ends by its own deadlines
    /// ([`Config::close_timeout`](crate::Config::close_timeout)); what its handler does besides is the handler's affair.
    /// May be dropped at any await.
    pub async fn finished(&self) {
        self.0.closed().await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

//! Ending all connections of a process politely.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::websocket::WebSocket;
use crate::Delivery;

/// Closes many connections at once, with 1001 (RFC 6455 section 7.4.1: an endpoint that is going away).
///
/// ```no_run
/// use std::time::Duration;
///
///
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
        let alive = self.0.subscribe();
        let mut receiver = alive.clone();
        let begun = Box::pin(async move {
            // An error means that the `Shutdown` is gone, which closes nobody.
            if receiver.wait_for(|begun| *begun).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        ws.receiver.extras.get_or_insert_default().shutdown = Some(Watch { begun: Some(begun), _alive: alive });
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

/// A connection's part in a shutdown.
pub(super) struct Watch {
    /// Until it has begun.
    begun: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    /// As long as it lives, the connection does.
    _alive: watch::Receiver<bool>,
}

impl Watch {
    /// Ready once, when the shutdown begins.
    pub(super) fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(begun) = &mut self.begun else { return Poll::Pending };
        ready!(begun.as_mut().poll(context));
        self.begun = None;
        Poll::Ready(())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("begun", &self.begun.is_none()).finish()
    }
}

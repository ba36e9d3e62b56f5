//! A connection's part in a shutdown.

use std::boxed::Box;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;

/// Waits for the shutdown, and shows that the connection lives.
pub(super) struct Watch {
    /// Until it has begun.
    begun: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    /// As long as it lives, the connection does.
    _alive: watch::Receiver<bool>,
}

impl Watch {
    pub(super) fn new(alive: watch::Receiver<bool>) -> Self {
        let mut receiver = alive.clone();
        let begun = Box::pin(async move {
            // An error means that the `Shutdown` is gone, which closes no connection.
            if receiver.wait_for(|begun| *begun).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        Self { begun: Some(begun), _alive: alive }
    }

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

//! The connection that a function is given.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio::sync::oneshot;

use super::session::Session;
use crate::Close;
use crate::End;
use crate::upgrade::hyper::Socket;
use crate::{Error, SendError};

/// An open connection of the server: an [`crate::tokio::WebSocket`] that knows its [`Session`].
///
/// Dropped while it is open, as when the function that it was given to returns, it is closed: with 1000, or with 1011
/// (or what a [`CloseError`](crate::CloseError) says) when the function returned an error or panicked. What is queued
/// leaves before.
///
/// What others send to the [`session`](Self::session) leaves while [`next`](crate::tokio::WebSocket::next) waits, and before whatever
/// else is done with the connection: where the session was closed, to send fails with [`SendError::Closing`]. In the task
/// that calls `next`, send by the verbs of the connection itself: a queue that is full waits for them.
pub struct WebSocket {
    /// Until it goes back.
    open: Option<Open>,
    session: Session,
}

struct Open {
    ws: crate::tokio::WebSocket<Socket>,
    /// Where it goes when it is dropped.
    home: oneshot::Sender<crate::tokio::WebSocket<Socket>>,
}

impl WebSocket {
    pub(super) fn new(
        ws: crate::tokio::WebSocket<Socket>,
        session: Session,
        home: oneshot::Sender<crate::tokio::WebSocket<Socket>>,
    ) -> Self {
        Self { open: Some(Open { ws, home }), session }
    }

    /// Who this is, and a way to send from other tasks.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Closes the connection, behind all that is queued, and tells how it ended: as [`crate::tokio::WebSocket::close`].
    ///
    /// # Errors
    ///
    /// [`Error::Send`] for a code or a reason that may not be sent; the connection goes on until it is dropped.
    pub async fn close(mut self, close: Option<Close<'_>>) -> Result<End, Error> {
        match self.session.close(close) {
            // Closing already; how it ends is found out.
            Ok(()) | Err(SendError::Closing) => Ok(self.finish().await),
            Err(error) => Err(error.into()),
        }
    }

    /// The connection itself, for its other verbs: `split`, `into_stream`, `into_parts`. From here on nobody closes it.
    /// What is sent to its session leaves as before.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn into_inner(mut self) -> crate::tokio::WebSocket<Socket> {
        self.open.take().expect("it goes back only when it is dropped").ws
    }
}

impl Deref for WebSocket {
    type Target = crate::tokio::WebSocket<Socket>;

    fn deref(&self) -> &Self::Target {
        &self.open.as_ref().expect("it goes back only when it is dropped").ws
    }
}

impl DerefMut for WebSocket {
    fn deref_mut(&mut self) -> &mut Self::Target {
        let ws = &mut self.open.as_mut().expect("it goes back only when it is dropped").ws;
        // Every verb comes behind what is queued, a Close too.
        ws.take_queued();
        ws
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if let Some(Open { ws, home }) = self.open.take() {
            // Nobody there: the runtime is ending.
            drop(home.send(ws));
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("session", &self.session).finish_non_exhaustive()
    }
}

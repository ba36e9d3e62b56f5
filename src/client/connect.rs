//! How a client connects.

use std::future::{self, Future};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::disconnect::DisconnectReason;
use crate::handshake::ClientResponse;
use crate::handshake::Uri;
use crate::session::BoxError;
use crate::tokio::{Connector, Stream, WebSocket};

/// Determines how a [`Reconnecting`](super::Reconnecting) client opens its connections, what it does with each connection
/// before messages are exchanged, and when it gives up.
///
/// A [`Connector`] implements it: the same request each time. So does a function or closure that makes one for each attempt,
/// `FnMut(u32) -> impl Future<Output = Result<Connector, BoxError>>`: with a fresh token, for example. Everything else needs
/// a type:
///
/// ```
/// use bowsprit::tokio::{Connector, Stream, WebSocket};
/// use bowsprit::client::{Attempt, Connect, DisconnectReason};
/// use bowsprit::handshake::{ClientRequest, ClientResponse};
/// use bowsprit::session::BoxError;
///
/// struct Feed {
///     /// The number of the last message, to resume after it.
///     last_seen: u64,
/// }
///
/// impl Connect for Feed {
///     type Stream = Stream;
///
///     async fn open(&mut self, attempt: Attempt) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
///         let request = ClientRequest::try_from("ws://127.0.0.1:9001/feed")?.header("Authorization", "Bearer 0123")?;
///         attempt.connect(Connector::new(request)).await
///     }
///
///     async fn resume(
///         &mut self,
///         ws: &mut WebSocket<Stream>,
///         _: &ClientResponse,
///         _: Option<&DisconnectReason>,
///     ) -> Result<(), BoxError> {
///         ws.send(format!("from {}", self.last_seen).as_str()).await?;
///         ws.next().await?.ok_or("closed instead of an answer")?;
///         Ok(())
///     }
/// }
/// ```
pub trait Connect: Send + 'static {
    /// The stream of its connections: a [`tokio::Stream`](Stream), or a stream through a proxy or of a TLS library.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// Any error is a failed attempt. For a [`bowsprit::Error`](crate::Error),
    /// [`DisconnectReason::is_temporary`] determines whether another attempt follows.
    fn open(
        &mut self,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(WebSocket<Self::Stream>, ClientResponse), BoxError>> + Send;

    /// Called when a connection has opened, for the first time (`previous` is `None`) or again, before any message of it
    /// is handed out and before anybody else can send: the place to subscribe. By default, it does nothing.
    ///
    /// It has no deadline but those of the connection.
    ///
    /// # Errors
    ///
    /// Any error is a failed attempt. The connection is closed with 1011, or with the code of a
    /// [`CloseError`](crate::CloseError).
    fn resume(
        &mut self,
        ws: &mut WebSocket<Self::Stream>,
        response: &ClientResponse,
        previous: Option<&DisconnectReason>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (ws, response, previous);
        future::ready(Ok(()))
    }

    /// Whether another attempt follows. By default, [`DisconnectReason::is_temporary`]. It is not called after
    /// [`Handle::close`](super::Handle::close).
    fn should_retry(&mut self, reason: &DisconnectReason) -> bool {
        reason.is_temporary()
    }

    /// The address, for lists of clients. `None`, the default, if it differs between attempts.
    fn uri(&self) -> Option<&Uri> {
        None
    }
}

/// An attempt to connect, as a [`Reconnecting`](super::Reconnecting) client makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// 0 for the first attempt of all, else the number of the new attempt in a row.
    pub retry: u32,
    /// The interval of keep-alive pings for a connection whose configuration has none:
    /// [`Reconnecting::keep_alive`](super::Reconnecting::keep_alive).
    pub ping_interval: Option<Duration>,
}

impl Attempt {
    pub(super) const fn new(retry: u32, ping_interval: Option<Duration>) -> Self {
        Self { retry, ping_interval }
    }

    /// Connects with keep-alive pings, unless the connector's configuration has an interval of its own.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::connect`].
    pub async fn connect(self, mut connector: Connector) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        self.apply(&mut connector);
        Ok(connector.connect().await?)
    }

    fn apply(self, connector: &mut Connector) {
        if let Some(interval) = self.ping_interval {
            connector.default_ping_interval(interval);
        }
    }
}

impl Connect for Connector {
    type Stream = Stream;

    async fn open(&mut self, attempt: Attempt) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        attempt.apply(self);
        Ok(self.connect().await?)
    }

    fn uri(&self) -> Option<&Uri> {
        Some(self.request().uri())
    }
}

impl<F, Made> Connect for F
where
    F: FnMut(u32) -> Made + Send + 'static,
    Made: Future<Output = Result<Connector, BoxError>> + Send,
{
    type Stream = Stream;

    async fn open(&mut self, attempt: Attempt) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        attempt.connect(self(attempt.retry).await?).await
    }
}

//! What a client does to come back.

use std::future::{self, Future};

use tokio::io::{AsyncRead, AsyncWrite};

use super::lost::Lost;
use crate::handshake::ClientResponse;
use crate::handshake::Uri;
use crate::session::BoxError;
use crate::tokio::{Connector, Stream, WebSocket};

/// How a [`Reconnecting`](super::Reconnecting) client opens its connections, what it does with each before anybody else,
/// and when it gives up.
///
/// A [`Connector`] is a plan: the same request each time. So is a function or closure that makes one for each attempt,
/// `FnMut(u32) -> impl Future<Output = Result<Connector, BoxError>>`: with a token that is fresh, say. All else takes a
/// type:
///
/// ```
/// use bowsprit::tokio::{Connector, Stream, WebSocket};
/// use bowsprit::client::{Lost, Plan};
/// use bowsprit::handshake::{ClientRequest, ClientResponse};
/// use bowsprit::session::BoxError;
///
/// struct Feed {
///     /// What is asked for again after a loss.
///     last_seen: u64,
/// }
///
/// impl Plan for Feed {
///     type Stream = Stream;
///
///     async fn open(&mut self, _retry: u32) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
///         let request = ClientRequest::try_from("ws://127.0.0.1:9001/feed")?.header("Authorization", "Bearer 0123")?;
///         Ok(Connector::new(request).connect().await?)
///     }
///
///     async fn resume(&mut self, ws: &mut WebSocket<Stream>, _: &ClientResponse, _: Option<&Lost>) -> Result<(), BoxError> {
///         ws.send(format!("from {}", self.last_seen).as_str()).await?;
///         ws.next().await?.ok_or("closed instead of an answer")?;
///         Ok(())
///     }
/// }
/// ```
pub trait Plan: Send + 'static {
    /// What its connections run over: an [`tokio::Stream`](Stream), or a stream that leads through a proxy or a TLS library.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a connection. `retry` is 0 for the first attempt of all, else the number of the new attempt in a row.
    ///
    /// # Errors
    ///
    /// Any is a failed attempt; of a [`bowsprit::Error`](crate::Error), [`Lost::is_temporary`] sees whether another one
    /// is made.
    fn open(
        &mut self,
        retry: u32,
    ) -> impl Future<Output = Result<(WebSocket<Self::Stream>, ClientResponse), BoxError>> + Send;

    /// A connection has opened, for the first time (`lost` is `None`) or again. Whatever is done here comes before the
    /// first message that others send or receive. By default, nothing is done.
    ///
    /// There is no deadline on it but those of the connection.
    ///
    /// # Errors
    ///
    /// Any is a failed attempt. The peer is told 1011, or what a [`CloseError`](crate::CloseError) says.
    fn resume(
        &mut self,
        ws: &mut WebSocket<Self::Stream>,
        response: &ClientResponse,
        lost: Option<&Lost>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (ws, response, lost);
        future::ready(Ok(()))
    }

    /// Whether another attempt follows on this. By default, [`Lost::is_temporary`] says so. It is not asked once the
    /// [`Handle`](super::Handle) has closed.
    fn retries(&mut self, lost: &Lost) -> bool {
        lost.is_temporary()
    }

    /// The address, for who lists clients; `None`, the default, where there is not one for all attempts.
    fn uri(&self) -> Option<&Uri> {
        None
    }
}

impl Plan for Connector {
    type Stream = Stream;

    async fn open(&mut self, _: u32) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        Ok(self.connect().await?)
    }

    fn uri(&self) -> Option<&Uri> {
        Some(self.request().uri())
    }
}

impl<F, Made> Plan for F
where
    F: FnMut(u32) -> Made + Send + 'static,
    Made: Future<Output = Result<Connector, BoxError>> + Send,
{
    type Stream = Stream;

    async fn open(&mut self, retry: u32) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        Ok(self(retry).await?.connect().await?)
    }
}

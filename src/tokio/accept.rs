//! The opening handshake of a server over a stream.
//!
//! What it holds meanwhile is in a box: it would stay in the task for as long as the connection lives.

use std::boxed::Box;
use std::future::poll_fn;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::clock;
use super::io::Io;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{ThreadBuffers, default_config, not_opened};
use crate::driver::Accepting;
use crate::handshake::{AcceptOptions, ServerRequest};
use crate::{Config, Delivery, Error, Messages};

/// Accepts a connection with the defaults: any path, no subprotocol, pages of the same origin only.
///
/// Small messages want `TCP_NODELAY`, which is the stream's owner's to set. Dropped before it is done, the stream is
/// dropped with it.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that is no handshake or comes from a page of another origin, or when the time
/// was up; the client has been answered. [`Error::Io`] when the stream ended or failed.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<WebSocket<S>, Error> {
    Box::pin(async { receive(stream, default_config()).await?.open(&AcceptOptions::new(), Messages).await }).await
}

/// Accepts a connection with these choices, without a look at the request.
///
/// # Errors
///
/// As [`accept`].
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(
    stream: S,
    choices: &AcceptOptions,
    delivery: D,
    config: Arc<Config>,
) -> Result<WebSocket<S, D>, Error> {
    Box::pin(async { receive(stream, config).await?.open(choices, delivery).await }).await
}

/// The first of two steps to accept: reads the request. The second is [`Incoming::accept`] or [`Incoming::respond`].
///
/// ```no_run
/// use std::sync::Arc;
///
/// use bowsprit::tokio::receive_request;
/// use bowsprit::handshake::AcceptOptions;
/// use bowsprit::{Config, Messages};
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let (stream, _) = tokio::net::TcpListener::bind("127.0.0.1:9001").await?.accept().await?;
/// let incoming = receive_request(stream, Arc::new(Config::default())).await?;
/// if !incoming.request().is_upgrade() || incoming.request().path() != "/chat" {
///     incoming.respond(404, &[], b"there is nothing here").await?;
/// } else {
///     let mut ws = incoming.accept(&AcceptOptions::new(), Messages).await?;
///     ws.send("welcome").await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`accept`]. A request of plain HTTP is no error: [`is_upgrade`](ServerRequest::is_upgrade) tells.
pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Arc<Config>,
) -> Result<Incoming<S>, Error> {
    Box::pin(receive(stream, config)).await
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(stream: S, config: Arc<Config>) -> Result<Incoming<S>, Error> {
    let accepting = Accepting::new(config, clock::now());
    let mut incoming = Incoming { io: Io::new(stream), accepting, trace: Trace::server() };
    let mut error = None;
    if poll_fn(|context| incoming.io.poll_drive_with(&mut incoming.accepting, context, &mut error)).await
        && let Some(request) = incoming.accepting.request()
    {
        incoming.trace.requested(request);
        return Ok(incoming);
    }
    Err(incoming.not_opened(error))
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Incoming<S> {
    io: Io<S>,
    accepting: Accepting,
    trace: Trace,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// The request.
    ///
    /// # Panics
    ///
    /// Never: there is one.
    #[must_use]
    pub fn request(&self) -> &ServerRequest {
        self.accepting.request().expect("it is there when this is made")
    }

    /// The stream it came from.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.io.socket
    }

    /// Agrees: the connection is open. Resolves to `Result<WebSocket<S, D>, Error>`.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::accept`]; the client has been answered with the error's status. [`Error::Timeout`] or
    /// [`Error::Io`] when the answer could not be written.
    pub async fn accept<D: Delivery>(self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        Box::pin(self.open(choices, delivery)).await
    }

    async fn open<D: Delivery>(mut self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        // What was wrong is answered by the driver, and reported when that is done.
        let _ = self.accepting.accept(choices);
        let mut error = None;
        if !poll_fn(|context| self.io.poll_drive_with(&mut self.accepting, context, &mut error)).await {
            return Err(self.not_opened(error));
        }
        let (driver, accepted) = self.accepting.into_driver(delivery, ThreadBuffers);
        Ok(WebSocket::new(self.io.socket, driver, accepted.subprotocol().map(Box::from), self.trace))
    }

    /// Answers with another status, and ends the stream. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::respond`], and then nothing has been sent and the stream is dropped; [`Error::Timeout`] or
    /// [`Error::Io`] when the answer could not be written.
    pub async fn respond(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        self.accepting.respond(status, headers, body)?;
        self.trace.answered(status);
        let mut error = None;
        Box::pin(poll_fn(|context| self.io.poll_drive_with(&mut self.accepting, context, &mut error))).await;
        match self.accepting.result() {
            Ok(()) => Ok(()),
            result => Err(not_opened(result, error)),
        }
    }

    fn not_opened(self, error: Option<std::io::Error>) -> Error {
        let error = not_opened(self.accepting.result(), error);
        self.trace.failed(&error);
        error
    }
}

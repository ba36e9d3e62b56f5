//! The opening handshakes. Their state machines are in a box: they would stay in the task for as long as the connection
//! lives.

use std::boxed::Box;
use std::future::poll_fn;
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};

use super::io::Io;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{ThreadBuffers, clock, default_config, not_opened, random};
use crate::driver::{Accepting, Connecting};
use crate::handshake::{AcceptOptions, ClientRequest, ClientResponse, ServerRequest};
use crate::{Config, Delivery, Error, HandshakeError, Messages};

/// Accepts a connection with the defaults: any path, no subprotocol, web pages of the same origin only. Resolves to
/// `Result<WebSocket<S>, Error>`.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that is no handshake or comes from a page of another origin (the client has been
/// answered); [`Error::Timeout`] after [`Config::handshake_timeout`]; [`Error::Io`] when the stream ends or fails.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<WebSocket<S>, Error> {
    accept_with(stream, &AcceptOptions::new(), Messages, default_config()).await
}

/// Accepts a connection with these options, whatever the request's path. Resolves to `Result<WebSocket<S, D>, Error>`.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that is no handshake or that the options refuse (the client has been answered);
/// [`Error::Timeout`] after [`Config::handshake_timeout`]; [`Error::Io`] when the stream ends or fails.
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(
    stream: S,
    options: &AcceptOptions,
    delivery: D,
    config: Arc<Config>,
) -> Result<WebSocket<S, D>, Error> {
    receive_request(stream, config).await?.accept(options, delivery).await
}

/// Reads a request, to be answered with [`Incoming::accept`] or [`Incoming::respond`]. Resolves to
/// `Result<Incoming<S>, Error>`.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that breaks the rules (the client has been answered); [`Error::Timeout`] after
/// [`Config::handshake_timeout`]; [`Error::Io`] when the stream ends or fails. A request of plain HTTP is no error:
/// [`is_upgrade`](ServerRequest::is_upgrade) is false for it.
pub async fn receive_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Arc<Config>,
) -> Result<Incoming<S>, Error> {
    let machine = Box::new(Accepting::new(config, clock::now()));
    let mut incoming = Incoming { io: Io::new(stream), machine, trace: Trace::server() };
    if !incoming.drive().await {
        return Err(incoming.not_opened());
    }
    incoming.trace.requested(incoming.request());
    Ok(incoming)
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Incoming<S> {
    io: Io<S>,
    machine: Box<Accepting>,
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
        self.machine.request().expect("it is there when this is made")
    }

    /// Opens the connection. Resolves to `Result<WebSocket<S, D>, Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] for a request that the options refuse (the client has been answered); [`Error::Timeout`] or
    /// [`Error::Io`] when the answer could not be written.
    pub async fn accept<D: Delivery>(mut self, options: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        // Where it is refused, the answer is written, and the machine keeps the reason.
        let _ = self.machine.accept(options);
        if !self.drive().await {
            return Err(self.not_opened());
        }
        let (driver, accepted) = self.machine.into_driver(delivery, ThreadBuffers);
        Ok(WebSocket::new(self.io.stream, driver, accepted.subprotocol(), self.trace))
    }

    /// Answers with another status, and closes the stream. Resolves to `Result<(), Error>`.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] for a status or header field that may not be sent: nothing was, and the stream is dropped.
    /// [`Error::Timeout`] or [`Error::Io`] when the answer could not be written.
    pub async fn respond(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        self.machine.respond(status, headers, body)?;
        self.trace.answered(status);
        self.drive().await;
        Ok(self.machine.result()?)
    }

    async fn drive(&mut self) -> bool {
        poll_fn(|context| self.io.poll_drive(&mut *self.machine, context)).await
    }

    fn not_opened(self) -> Error {
        let error = not_opened(self.machine.result(), self.io.error);
        self.trace.failed(&error);
        error
    }
}

/// Opens a connection with the defaults of [`Config`], over a stream that leads to the server already. Resolves to
/// `Result<WebSocket<S>, Error>`.
///
/// # Errors
///
/// [`Error::Handshake`] for an address that is no `ws://` or `wss://` one, for a server that refuses
/// ([`Refused`](HandshakeError::Refused) holds its response, with up to 64 KiB of its body) and for one that breaks the
/// rules; [`Error::Timeout`] after [`Config::handshake_timeout`]; [`Error::Io`] when the stream ends or fails.
pub async fn connect_with<S: AsyncRead + AsyncWrite + Unpin>(stream: S, uri: &str) -> Result<WebSocket<S>, Error> {
    let request = ClientRequest::try_from(uri).map_err(HandshakeError::Uri)?;
    Ok(connect_on(stream, &request, Messages, default_config()).await?.0)
}

/// Opens a connection over a stream that leads to the server already, and returns it with the server's response. Resolves
/// to `Result<(WebSocket<S, D>, ClientResponse), Error>`.
///
/// # Errors
///
/// [`Error::Handshake`] for a server that refuses ([`Refused`](HandshakeError::Refused) holds its response, with up to
/// 64 KiB of its body) or breaks the rules; [`Error::Timeout`] after [`Config::handshake_timeout`]; [`Error::Io`] when the
/// stream ends or fails.
pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(
    stream: S,
    request: &ClientRequest,
    delivery: D,
    config: Arc<Config>,
) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
    let (nonce, seed) = (random()?, random()?);
    let trace = Trace::client(request);
    let mut machine = Box::new(Connecting::new(request, nonce, config, clock::now()));
    let mut io = Io::new(stream);
    if !poll_fn(|context| io.poll_drive(&mut *machine, context)).await {
        return trace.step(Err(not_opened(machine.result(), io.error)));
    }
    let (driver, response) = machine.into_driver(delivery, seed, ThreadBuffers);
    Ok((WebSocket::new(io.stream, driver, response.subprotocol(), trace), response))
}

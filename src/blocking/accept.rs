//! The opening handshake of a server over a stream.

use std::boxed::Box;
use std::io;
use std::sync::Arc;

use super::clock;
use super::io::{Own, drive};
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{ThreadBuffers, default_config, not_opened};
use crate::driver::Accepting;
use crate::handshake::{AcceptOptions, ServerRequest};
use crate::{Config, Delivery, Error, Messages};

/// Accepts a connection with the defaults: any path, no subprotocol, pages of the same origin only.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that is no handshake or comes from a page of another origin, or when the time
/// was up; the client has been answered. [`Error::Io`] when the stream ended or failed.
pub fn accept<S: Transport>(stream: S) -> Result<WebSocket<S>, Error> {
    accept_with(stream, &AcceptOptions::new(), Messages, default_config())
}

/// Accepts a connection with these choices, without a look at the request.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_with<S: Transport, D: Delivery>(
    stream: S,
    choices: &AcceptOptions,
    delivery: D,
    config: Arc<Config>,
) -> Result<WebSocket<S, D>, Error> {
    receive_request(stream, config)?.accept(choices, delivery)
}

/// The first of two steps to accept: reads the request. The second is [`Incoming::accept`] or [`Incoming::respond`].
///
/// ```no_run
/// use std::sync::Arc;
///
/// use bowsprit::blocking::receive_request;
/// use bowsprit::handshake::AcceptOptions;
/// use bowsprit::{Config, Messages};
///
/// let (stream, _) = std::net::TcpListener::bind("127.0.0.1:9001")?.accept()?;
/// let incoming = receive_request(stream, Arc::new(Config::default()))?;
/// if !incoming.request().is_upgrade() || incoming.request().path() != "/chat" {
///     incoming.respond(404, &[], b"there is nothing here")?;
/// } else {
///     let mut ws = incoming.accept(&AcceptOptions::new(), Messages)?;
///     ws.send("welcome")?;
/// }
/// # Ok::<(), bowsprit::Error>(())
/// ```
///
/// # Errors
///
/// As [`accept`]. A request of plain HTTP is no error: [`is_upgrade`](ServerRequest::is_upgrade) tells.
pub fn receive_request<S: Transport>(mut stream: S, config: Arc<Config>) -> Result<Incoming<S>, Error> {
    stream.set_nodelay()?;
    let accepting = Accepting::new(config, clock::now());
    let mut incoming = Incoming { stream, accepting, trace: Trace::server() };
    match incoming.drive() {
        (true, _) => {
            incoming.trace.requested(incoming.request());
            Ok(incoming)
        }
        (false, error) => Err(incoming.not_opened(error)),
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    accepting: Accepting,
    trace: Trace,
}

impl<S: Transport> Incoming<S> {
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
        &self.stream
    }

    /// Agrees: the connection is open.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::accept`]; the client has been answered with the error's status. [`Error::Timeout`] or
    /// [`Error::Io`] when the answer could not be written.
    pub fn accept<D: Delivery>(mut self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        // What was wrong is answered by the driver, and reported when that is done.
        let _ = self.accepting.accept(choices);
        if let (false, error) = self.drive() {
            return Err(self.not_opened(error));
        }
        let (driver, accepted) = self.accepting.into_driver(delivery, ThreadBuffers);
        Ok(WebSocket::new(self.stream, driver, accepted.subprotocol().map(Box::from), self.trace))
    }

    /// Answers with another status, and ends the stream.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::respond`], and then nothing has been sent and the stream is dropped; [`Error::Timeout`] or
    /// [`Error::Io`] when the answer could not be written.
    pub fn respond(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        self.accepting.respond(status, headers, body)?;
        self.trace.answered(status);
        let (_, error) = self.drive();
        match self.accepting.result() {
            Ok(()) => Ok(()),
            result => Err(not_opened(result, error)),
        }
    }

    /// Whether the driver is ready, and how the stream failed, if it did.
    fn drive(&mut self) -> (bool, Option<io::Error>) {
        let mut error = None;
        match drive(&mut Own(&mut self.accepting), &mut self.stream, None, &mut error) {
            Ok(ready) => (ready, error),
            Err(error) => (false, Some(error)),
        }
    }

    fn not_opened(self, error: Option<io::Error>) -> Error {
        let error = not_opened(self.accepting.result(), error);
        self.trace.failed(&error);
        error
    }
}

//! The opening handshake of a server over a stream.

use std::boxed::Box;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use super::clock;
use super::exchange::{exchange, write};
use super::linger::linger;
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{Deadline, Parts, default_config};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::error::{Error, HandshakeError};
use crate::proto::handshake::{AcceptOptions, ServerHandshake, ServerRequest};
use crate::proto::message::{Delivery, Messages};

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
    let trace = Trace::server();
    let now = clock::now();
    let mut handshake = ServerHandshake::new(config.clone(), now);
    let mut input = BytesMut::new();
    let received =
        exchange(&mut stream, &mut input, &mut BytesMut::new(), Deadline::of_handshake(&config, now), |input| {
            handshake.receive(input)
        });
    match received {
        Ok(request) => {
            trace.requested(&request);
            Ok(Incoming { stream, request, input, config, trace })
        }
        Err(Error::Handshake(error)) => Err(refuse(stream, error, &config, &trace)),
        Err(error) => trace.step(Err(error)),
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    request: ServerRequest,
    /// What arrived behind the head: frames, if the request is accepted.
    input: BytesMut,
    config: Arc<Config>,
    trace: Trace,
}

impl<S: Transport> Incoming<S> {
    /// What the client asks for.
    #[must_use]
    pub fn request(&self) -> &ServerRequest {
        &self.request
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
    /// As [`ServerRequest::accept`]; the client has been answered with the error's status.
    pub fn accept<D: Delivery>(mut self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        let mut output = BytesMut::new();
        let accepted = match self.request.accept(choices, &mut output) {
            Ok(accepted) => accepted,
            Err(error) => return Err(refuse(self.stream, error, &self.config, &self.trace)),
        };
        let deadline = Deadline::of_handshake(&self.config, clock::now());
        self.trace.step(write(&mut self.stream, &mut output, deadline))?;
        let connection = Connection::server(delivery, self.config).with_extensions(accepted.extensions());
        let subprotocol = accepted.subprotocol().map(Box::from);
        let parts = Parts { socket: self.stream, connection, input: self.input, output, subprotocol };
        Ok(WebSocket::from_parts(parts).traced(self.trace))
    }

    /// Answers with another status, and ends the stream.
    ///
    /// # Errors
    ///
    /// As [`ServerRequest::respond`], and then nothing has been sent and the stream is dropped; [`Error::Io`] when
    /// the answer could not be written.
    pub fn respond(self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        let mut output = BytesMut::new();
        self.request.respond(status, headers, body, &mut output)?;
        self.trace.answered(status);
        if finish(self.stream, &output, &self.config) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
        }
    }
}

/// Tells the client why not.
fn refuse<S: Transport>(stream: S, error: HandshakeError, config: &Config, trace: &Trace) -> Error {
    trace.failed(&error);
    let mut output = BytesMut::new();
    error.respond(&mut output);
    finish(stream, &output, config);
    error.into()
}

fn finish<S: Transport>(mut stream: S, output: &[u8], config: &Config) -> bool {
    let deadline = config.close_timeout.map(|timeout| clock::now().saturating_add(timeout));
    linger(&mut stream, output, deadline)
}

//! The opening handshake over a stream, both roles.

use std::boxed::Box;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use bytes::{Buf, BytesMut};

use super::clock;
use super::linger::linger;
use super::transport::{Interest, Transport};
use super::websocket::{Parts, WebSocket};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Error, HandshakeError};
use crate::handshake::client::{self, Response};
use crate::handshake::server::{self, Accept};
use crate::message::{Delivery, Messages};

/// The most of a refusal's body that is read, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Opens a connection to a `ws://` address, with the defaults of [`Config`].
///
/// Tries every address of the host in turn, and turns off Nagle's algorithm (`TCP_NODELAY`). [`connect_with`] sends header
/// fields, offers subprotocols, takes another configuration and returns what the server answered.
///
/// RFC 6455 section 4.1 has browsers open at most one connection to an address at a time. That protects servers from
/// pages; nothing here waits for other connections of the process.
///
/// # Errors
///
/// [`Error::Handshake`] for an address that is none, for `wss` (nothing is dialled), for a server that refused
/// ([`Refused`](HandshakeError::Refused) holds its answer) or broke the handshake's rules, or when the time was up
/// ([`TimedOut`](HandshakeError::TimedOut)); [`Error::Io`] when nothing could be reached, or the stream failed.
#[cfg(unix)]
pub fn connect(uri: &str) -> Result<WebSocket<std::net::TcpStream>, Error> {
    let request = client::Request::new(uri.parse().map_err(HandshakeError::Uri)?);
    Ok(connect_with(&request, Messages, Arc::default())?.0)
}

/// Opens a connection with this request, and returns it with the server's answer.
///
/// # Errors
///
/// As [`connect`].
#[cfg(unix)]
pub fn connect_with<D: Delivery>(
    request: &client::Request,
    delivery: D,
    config: Arc<Config>,
) -> Result<(WebSocket<std::net::TcpStream, D>, Response), Error> {
    // RFC 6455 section 10.6: never in plain text what was meant for TLS.
    if request.uri().is_secure() {
        return Err(HandshakeError::TlsUnavailable.into());
    }
    let start = clock::now();
    let stream = dial(request.uri().host(), request.uri().port(), deadline(&config, start))?;
    open(stream, request, delivery, config, start)
}

/// Opens a connection over a stream that leads to the server already: through TLS, a proxy, anything.
///
/// # Errors
///
/// As [`connect`], but for those of dialling.
pub fn connect_on<S: Transport, D: Delivery>(
    stream: S,
    request: &client::Request,
    delivery: D,
    config: Arc<Config>,
) -> Result<(WebSocket<S, D>, Response), Error> {
    open(stream, request, delivery, config, clock::now())
}

/// Accepts a connection with the defaults: any path, no subprotocol, pages of the same origin only.
///
/// # Errors
///
/// [`Error::Handshake`] for a request that is no handshake or comes from a page of another origin, or when the time
/// was up; the client has been answered. [`Error::Io`] when the stream ended or failed.
pub fn accept<S: Transport>(stream: S) -> Result<WebSocket<S>, Error> {
    accept_with(stream, &Accept::new(), Messages, Arc::default())
}

/// Accepts a connection with these choices, without a look at the request.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_with<S: Transport, D: Delivery>(
    stream: S,
    choices: &Accept,
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
/// use bowsprit::handshake::server::Accept;
/// use bowsprit::{Config, Messages};
///
/// let (stream, _) = std::net::TcpListener::bind("127.0.0.1:9001")?.accept()?;
/// let incoming = receive_request(stream, Arc::new(Config::default()))?;
/// if !incoming.request().is_upgrade() || incoming.request().path() != "/chat" {
///     incoming.respond(404, &[], b"there is nothing here")?;
/// } else {
///     let mut ws = incoming.accept(&Accept::new(), Messages)?;
///     ws.send("welcome")?;
/// }
/// # Ok::<(), bowsprit::Error>(())
/// ```
///
/// # Errors
///
/// As [`accept`]. A request of plain HTTP is no error: [`is_upgrade`](server::Request::is_upgrade) tells.
pub fn receive_request<S: Transport>(mut stream: S, config: Arc<Config>) -> Result<Incoming<S>, Error> {
    stream.set_nodelay()?;
    let now = clock::now();
    let mut handshake = server::Handshake::new(config.clone(), now);
    let mut input = BytesMut::new();
    let received = exchange(&mut stream, &mut input, &mut BytesMut::new(), deadline(&config, now), |input| {
        handshake.receive(input)
    });
    match received {
        Ok(request) => Ok(Incoming { stream, request, input, config }),
        Err(Error::Handshake(error)) => Err(refuse(stream, error, &config)),
        Err(error) => Err(error),
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    request: server::Request,
    /// What arrived behind the head: frames, if the request is accepted.
    input: BytesMut,
    config: Arc<Config>,
}

impl<S: Transport> Incoming<S> {
    /// What the client asks for.
    #[must_use]
    pub fn request(&self) -> &server::Request {
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
    /// As [`server::Request::accept`]; the client has been answered with the error's status.
    pub fn accept<D: Delivery>(mut self, choices: &Accept, delivery: D) -> Result<WebSocket<S, D>, Error> {
        let mut output = BytesMut::new();
        let accepted = match self.request.accept(choices, &mut output) {
            Ok(accepted) => accepted,
            Err(error) => return Err(refuse(self.stream, error, &self.config)),
        };
        write(&mut self.stream, &mut output, deadline(&self.config, clock::now()))?;
        let connection = Connection::server(delivery, self.config).with_extensions(accepted.extensions());
        let subprotocol = accepted.subprotocol().map(Box::from);
        Ok(WebSocket::from_parts(Parts { socket: self.stream, connection, input: self.input, output, subprotocol }))
    }

    /// Answers with another status, and ends the stream.
    ///
    /// # Errors
    ///
    /// As [`server::Request::respond`], and then nothing has been sent and the stream is dropped; [`Error::Io`] when
    /// the answer could not be written.
    pub fn respond(self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        let mut output = BytesMut::new();
        self.request.respond(status, headers, body, &mut output)?;
        if finish(self.stream, &output, &self.config) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
        }
    }
}

fn open<S: Transport, D: Delivery>(
    mut socket: S,
    request: &client::Request,
    delivery: D,
    config: Arc<Config>,
    start: Duration,
) -> Result<(WebSocket<S, D>, Response), Error> {
    socket.set_nodelay()?;
    let (mut nonce, mut seed) = ([0; 16], [0; 32]);
    getrandom::fill(&mut nonce).and_then(|()| getrandom::fill(&mut seed)).map_err(io::Error::other)?;
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut handshake = client::Handshake::start(request, nonce, config.clone(), start, &mut output);
    let deadline = handshake.poll_timeout();
    let response = exchange(&mut socket, &mut input, &mut output, deadline, |input| handshake.receive(input));
    let response = match response {
        Err(Error::Handshake(HandshakeError::Refused(mut refusal))) => {
            // What cannot be read of the body is left out.
            let _ = exchange(&mut socket, &mut input, &mut output, deadline, |input| {
                Ok(refusal.receive_body(input, MAX_BODY).then_some(()))
            });
            return Err(HandshakeError::Refused(refusal).into());
        }
        response => response?,
    };
    let connection = Connection::client(delivery, config, seed).with_extensions(response.extensions());
    let subprotocol = response.subprotocol().map(Box::from);
    Ok((WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol }), response))
}

/// Writes `output`, then reads into `input` until `step` makes something of it.
fn exchange<S: Transport, T>(
    socket: &mut S,
    input: &mut BytesMut,
    output: &mut BytesMut,
    deadline: Option<Duration>,
    mut step: impl FnMut(&mut BytesMut) -> Result<Option<T>, HandshakeError>,
) -> Result<T, Error> {
    write(socket, output, deadline)?;
    loop {
        if let Some(done) = step(input)? {
            return Ok(done);
        }
        if !wait(socket, Interest { read: true, write: false }, deadline)? {
            continue;
        }
        let mut buffer = [0; 4 << 10];
        match socket.read(&mut buffer) {
            Ok(0) => {
                let what = "the peer ended before the opening handshake was complete";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
            }
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn write<S: Transport>(socket: &mut S, output: &mut BytesMut, deadline: Option<Duration>) -> Result<(), Error> {
    while !output.is_empty() {
        match socket.try_write(&[io::IoSlice::new(output)]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(n) => output.advance(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(socket, Interest { read: false, write: true }, deadline)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // A stream may buffer what it took.
    Ok(socket.flush()?)
}

/// Whether there is something to read; `TimedOut` once the deadline is over.
fn wait<S: Transport>(socket: &mut S, interest: Interest, deadline: Option<Duration>) -> Result<bool, Error> {
    let timeout = deadline.map(|deadline| deadline.saturating_sub(clock::now()));
    if timeout == Some(Duration::ZERO) {
        return Err(HandshakeError::TimedOut.into());
    }
    Ok(socket.wait(interest, timeout)?.read)
}

/// Tells the client why not.
fn refuse<S: Transport>(stream: S, error: HandshakeError, config: &Config) -> Error {
    let mut output = BytesMut::new();
    error.respond(&mut output);
    finish(stream, &output, config);
    error.into()
}

fn finish<S: Transport>(mut stream: S, output: &[u8], config: &Config) -> bool {
    let deadline = config.close_timeout.map(|timeout| clock::now().saturating_add(timeout));
    linger(&mut stream, output, true, deadline)
}

fn deadline(config: &Config, start: Duration) -> Option<Duration> {
    config.handshake_timeout.map(|timeout| start.saturating_add(timeout))
}

/// The first address of the host that answers. Each gets its share of the time that is left: one that never answers
/// does not take it all. (To look the name up takes as long as the system likes.)
#[cfg(unix)]
fn dial(host: &str, port: u16, deadline: Option<Duration>) -> Result<std::net::TcpStream, Error> {
    use std::net::{TcpStream, ToSocketAddrs};

    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let dialled = match deadline.map(|deadline| deadline.saturating_sub(clock::now())) {
            None => TcpStream::connect(address),
            Some(Duration::ZERO) => return Err(HandshakeError::TimedOut.into()),
            Some(rest) => {
                let share = rest / u32::try_from(left).unwrap_or(u32::MAX);
                TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
            }
        };
        match dialled {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    match deadline {
        Some(deadline) if deadline <= clock::now() => Err(HandshakeError::TimedOut.into()),
        _ => Err(last.into()),
    }
}

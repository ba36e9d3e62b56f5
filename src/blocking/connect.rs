//! The opening handshake of a client over a stream.

use std::boxed::Box;
use std::io;
use std::sync::Arc;
use std::time::Duration;
#[cfg(unix)]
use std::vec::Vec;

use bytes::BytesMut;

use super::clock;
use super::exchange::{deadline, exchange};
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::{MAX_BODY, Parts, default_config};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Error, HandshakeError};
use crate::handshake::client::{self, Response};
use crate::message::{Delivery, Messages};

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
    Ok(connect_with(&request, Messages, default_config())?.0)
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

//! The client's side: over a connection of hyper's client.

use std::boxed::Box;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::vec::Vec;

use bytes::BytesMut;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;

use super::{Socket, take_over, within};
use crate::adapter::trace::Trace;
use crate::adapter::{MAX_BODY, Parts};
use crate::aio::WebSocket;
use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Error, HandshakeError};
use crate::handshake::client::{Request, Response};
use crate::message::Delivery;
use crate::upgrade::http;

/// Opens a connection over one of hyper's client, which leads to the server already and is driven `with_upgrades()` by a
/// task.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use bowsprit::handshake::client::Request;
/// use bowsprit::{Config, Messages, upgrade};
/// use hyper_util::rt::TokioIo;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = tokio::net::TcpStream::connect("127.0.0.1:9001").await?;
/// let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, String>(TokioIo::new(stream)).await?;
/// tokio::spawn(connection.with_upgrades());
///
/// let request = Request::try_from("ws://127.0.0.1:9001/chat")?;
/// let (mut ws, _) = upgrade::hyper::connect(&mut sender, &request, Messages, Arc::new(Config::default())).await?;
/// ws.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropped before it is done, the request may be on its way: where the server agrees, hyper drops the connection.
///
/// # Errors
///
/// [`Error::Handshake`] for a server that refused ([`Refused`](HandshakeError::Refused) holds its answer, with up to 64
/// KiB of its body) or broke the handshake's rules, or when it took longer than [`Config::handshake_timeout`];
/// [`Error::Io`] when hyper fails.
pub async fn connect<B: Body + Default + 'static, D: Delivery>(
    sender: &mut SendRequest<B>,
    request: &Request,
    delivery: D,
    config: Arc<Config>,
) -> Result<(WebSocket<Socket, D>, Response), Error> {
    let (mut nonce, mut seed) = ([0; 16], [0; 32]);
    getrandom::fill(&mut nonce).and_then(|()| getrandom::fill(&mut seed)).map_err(io::Error::other)?;
    let trace = Trace::client(request);
    // The future of the handshake is large, and not kept in the task that goes on.
    let opening = Box::pin(open(sender, request, nonce, Arc::clone(&config)));
    let opened = within(config.handshake_timeout, opening).await;
    let ((socket, input), response) = trace.step(opened.map_err(Error::from).flatten())?;
    let connection = Connection::client(delivery, config, seed).with_extensions(response.extensions());
    let subprotocol = response.subprotocol().map(Box::from);
    let ws = WebSocket::from_parts(Parts { socket, connection, input, output: BytesMut::new(), subprotocol });
    Ok((ws.traced(trace), response))
}

async fn open<B: Body + Default + 'static>(
    sender: &mut SendRequest<B>,
    request: &Request,
    nonce: [u8; 16],
    config: Arc<Config>,
) -> Result<((Socket, BytesMut), Response), Error> {
    let (handshake, head) = http::Handshake::start(request, nonce, config)?;
    sender.ready().await.map_err(io::Error::other)?;
    let response = sender.send_request(head.map(|()| B::default())).await.map_err(io::Error::other)?;
    match handshake.receive(&response) {
        Ok(checked) => Ok((take_over(hyper::upgrade::on(response)).await?, checked)),
        Err(HandshakeError::Refused(mut refusal)) => {
            refusal.set_body(read(response.into_body()).await);
            Err(HandshakeError::Refused(refusal).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What can be read of a refusal's body.
async fn read(mut body: Incoming) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < MAX_BODY
        && let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        let Ok(data) = frame.into_data() else { continue };
        let len = data.len().min(MAX_BODY - read.len());
        read.extend_from_slice(&data[..len]);
    }
    read
}

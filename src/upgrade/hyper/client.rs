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

use super::deadline::{Deadline, before};
use super::{Socket, take_over};
use crate::Config;
use crate::Connection;
use crate::Delivery;
use crate::adapter::trace::Trace;
use crate::adapter::{Parts, random};
use crate::handshake::{ClientRequest, ClientResponse};
use crate::tokio::WebSocket;
use crate::tokio::clock;
use crate::upgrade::http;
use crate::{Error, HandshakeError};

/// Opens a connection over one of hyper's client, which leads to the server already and is driven `with_upgrades()` by a
/// task.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use bowsprit::handshake::ClientRequest;
/// use bowsprit::{Config, Messages, upgrade};
/// use hyper_util::rt::TokioIo;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = tokio::net::TcpStream::connect("127.0.0.1:9001").await?;
/// let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, String>(TokioIo::new(stream)).await?;
/// tokio::spawn(connection.with_upgrades());
///
/// let request = ClientRequest::try_from("ws://127.0.0.1:9001/chat")?;
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
    request: &ClientRequest,
    delivery: D,
    config: Arc<Config>,
) -> Result<(WebSocket<Socket, D>, ClientResponse), Error> {
    let (nonce, seed) = (random()?, random()?);
    let trace = Trace::client(request);
    // The future of the handshake is large, and not kept in the task that goes on.
    let opened = Box::pin(open(sender, request, nonce, Arc::clone(&config))).await;
    let ((socket, input), response) = trace.step(opened)?;
    let connection = Connection::client(delivery, config, seed).with_extensions(response.extensions());
    let subprotocol = response.subprotocol().map(Box::from);
    let ws = WebSocket::from_parts(Parts { socket, connection, input, output: BytesMut::new(), subprotocol });
    Ok((ws.traced(trace), response))
}

async fn open<B: Body + Default + 'static>(
    sender: &mut SendRequest<B>,
    request: &ClientRequest,
    nonce: [u8; 16],
    config: Arc<Config>,
) -> Result<((Socket, BytesMut), ClientResponse), Error> {
    let deadline = Deadline::of_handshake(&config, clock::now());
    let (handshake, head) = http::Handshake::start(request, nonce, config)?;
    let answer = async {
        sender.ready().await?;
        sender.send_request(head.map(|()| B::default())).await
    };
    let response = before(deadline, answer).await?.map_err(io::Error::other)?;
    match handshake.receive(&response) {
        Ok(checked) => Ok((before(deadline, take_over(hyper::upgrade::on(response))).await??, checked)),
        Err(HandshakeError::Refused(mut refusal)) => {
            let mut body = Vec::new();
            // What cannot be read of it is left out.
            let _ = before(deadline, read(response.into_body(), &mut body)).await;
            refusal.set_body(body);
            Err(HandshakeError::Refused(refusal).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a refusal's body.
async fn read(mut body: Incoming, read: &mut Vec<u8>) {
    while read.len() < ClientResponse::MAX_BODY
        && let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        let Ok(data) = frame.into_data() else { continue };
        let len = data.len().min(ClientResponse::MAX_BODY - read.len());
        read.extend_from_slice(&data[..len]);
    }
}

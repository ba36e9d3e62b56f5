//! The opening handshake of a server over a stream.
//!
//! What it holds meanwhile is in a box: it would stay in the task for as long as the connection lives.

use std::boxed::Box;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::clock;
use super::exchange::{before, exchange, write};
use super::websocket::WebSocket;
use crate::adapter::buffers::Input;
use crate::adapter::trace::Trace;
use crate::adapter::{Deadline, Parts, default_config};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::error::{Error, HandshakeError};
use crate::proto::handshake::{AcceptOptions, ServerHandshake, ServerRequest};
use crate::proto::message::{Delivery, Messages};

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

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, config: Arc<Config>) -> Result<Incoming<S>, Error> {
    let trace = Trace::server();
    let now = clock::now();
    let mut handshake = ServerHandshake::new(config.clone(), now);
    let mut input = BytesMut::new();
    let deadline = Deadline::of_handshake(&config, now);
    let received =
        exchange(&mut stream, &mut input, &mut BytesMut::new(), deadline, |input| handshake.receive(input)).await;
    match received {
        Ok(request) => {
            trace.requested(&request);
            Ok(Incoming { stream, request, input, config, trace })
        }
        Err(Error::Handshake(error)) => Err(refuse(stream, error, &config, &trace).await),
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

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
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
    pub async fn accept<D: Delivery>(self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        Box::pin(self.open(choices, delivery)).await
    }

    async fn open<D: Delivery>(mut self, choices: &AcceptOptions, delivery: D) -> Result<WebSocket<S, D>, Error> {
        let mut output = BytesMut::new();
        let accepted = match self.request.accept(choices, &mut output) {
            Ok(accepted) => accepted,
            Err(error) => return Err(refuse(self.stream, error, &self.config, &self.trace).await),
        };
        let deadline = Deadline::of_handshake(&self.config, clock::now());
        self.trace.step(write(&mut self.stream, &mut output, deadline).await)?;
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
    pub async fn respond(self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Error> {
        let mut output = BytesMut::new();
        self.request.respond(status, headers, body, &mut output)?;
        self.trace.answered(status);
        if Box::pin(finish(self.stream, output, &self.config)).await {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
        }
    }
}

/// Tells the client why not.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    error: HandshakeError,
    config: &Config,
    trace: &Trace,
) -> Error {
    trace.failed(&error);
    let mut output = BytesMut::new();
    error.respond(&mut output);
    finish(stream, output, config).await;
    error.into()
}

/// Writes `output`, shuts the writing side down, and reads and discards until the client ends the stream or the close
/// deadline is over: to drop a stream with unread input destroys what is on its way. Whether all was written.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mut output: BytesMut, config: &Config) -> bool {
    let deadline = config.close_timeout.map(|timeout| Deadline::new(clock::now(), timeout));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut write = pin!(async {
        writer.write_all_buf(&mut output).await?;
        writer.shutdown().await
    });
    // Both at once: the client may have to be read before it reads.
    let (mut written, mut drained) = (None, false);
    let both = poll_fn(|context| {
        if written.is_none()
            && let Poll::Ready(result) = write.as_mut().poll(context)
        {
            written = Some(result.is_ok());
        }
        drained = drained || poll_drain(Pin::new(&mut reader), context).is_ready();
        if written == Some(false) || written.is_some() && drained { Poll::Ready(()) } else { Poll::Pending }
    });
    let _ = before(deadline, both).await;
    written == Some(true)
}

/// Reads and discards until the stream ends or fails.
fn poll_drain(mut reader: Pin<&mut impl AsyncRead>, context: &mut Context<'_>) -> Poll<()> {
    let mut input = Input::default();
    loop {
        let mut room = ReadBuf::new(input.room());
        let read = ready!(reader.as_mut().poll_read(context, &mut room));
        if read.is_err() || room.filled().is_empty() {
            return Poll::Ready(());
        }
    }
}

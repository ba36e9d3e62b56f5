//! The loops of the contenders, as their users write them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bowsprit::server::{self, Router, Session, handler};
use bowsprit::session::{BoxError, Handler};
use bowsprit::{Config, Message, OwnedMessage};
use bytes::BytesMut;
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use futures_util::future::poll_immediate;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;

use crate::contender::Contender;
use crate::floor;

/// Serves until the process is ended.
pub fn serve(contender: Contender, address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("{} listens on {}", contender.name(), listener.local_addr()?);
        match contender {
            Contender::Floor => accept_all(listener, floor).await,
            Contender::Lent => accept_all(listener, lent).await,
            Contender::Owned => accept_all(listener, owned).await,
            Contender::TokioEcho => Err(io::Error::other("a program of its own: an example of the crate")),
            Contender::Session => {
                let router = Router::new().route("/", handler(|_| Reply));
                server::serve(listener, router, std::future::pending()).await;
                Ok(())
            }
            Contender::FastWebSockets => accept_all(listener, fast_web_sockets).await,
            Contender::Tungstenite => accept_all(listener, tungstenite).await,
            Contender::TungsteniteFeed => accept_all(listener, tungstenite_feed).await,
        }
    })
}

/// A task for each connection. A client that is through with it just leaves: what `echo` makes of that is nobody's.
async fn accept_all<E, F>(listener: TcpListener, echo: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    E: Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

async fn floor(stream: TcpStream) -> io::Result<()> {
    floor::echo::serve(answered(stream).await?).await;
    Ok(())
}

async fn lent(stream: TcpStream) -> Result<(), bowsprit::Error> {
    let mut ws = bowsprit::tokio::accept(stream).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

async fn owned(stream: TcpStream) -> Result<(), bowsprit::Error> {
    feed_all(bowsprit::tokio::accept(stream).await?.into_stream()).await
}

/// Each message is the reply to itself.
struct Reply;

impl Handler<Session> for Reply {
    async fn on_message(&mut self, _: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        Ok(Some(message.to_owned()))
    }
}

/// As the crate's own example: outside of tokio's budget.
async fn fast_web_sockets(stream: TcpStream) -> Result<(), WebSocketError> {
    let stream = answered(stream).await?;
    tokio::task::unconstrained(async {
        let mut ws = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
        loop {
            let frame = ws.read_frame().await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
                _ => {}
            }
        }
    })
    .await
}

async fn tungstenite(stream: TcpStream) -> Result<(), tungstenite::Error> {
    let mut ws = tungstenite_stream(stream).await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}

async fn tungstenite_feed(stream: TcpStream) -> Result<(), tungstenite::Error> {
    feed_all(tungstenite_stream(stream).await?).await
}

async fn tungstenite_stream(stream: TcpStream) -> io::Result<WebSocketStream<TcpStream>> {
    Ok(WebSocketStream::from_raw_socket(answered(stream).await?, tungstenite::protocol::Role::Server, None).await)
}

/// The loop over owned messages: `feed` while there are some, `flush` when there is none.
async fn feed_all<M, E>(mut ws: impl Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin) -> Result<(), E> {
    loop {
        let next = match poll_immediate(ws.next()).await {
            Some(next) => next,
            None => {
                ws.flush().await?;
                ws.next().await
            }
        };
        let Some(message) = next else { return ws.close().await };
        ws.feed(message?).await?;
    }
}

/// The stream behind the opening handshake, for those that take it from there. Boxed: what the handshake holds is not
/// to stay in the task.
fn answered(stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>> {
    Box::pin(answer(stream))
}

async fn answer(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()), Duration::ZERO);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let request = loop {
        if let Some(request) = handshake.receive(&mut input).map_err(io::Error::other)? {
            break request;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    request.accept(&AcceptOptions::new(), &mut output).map_err(io::Error::other)?;
    stream.write_all(&output).await?;
    Ok(stream)
}

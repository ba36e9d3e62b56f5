//! Servers behind each door, and a peer that speaks in wire bytes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bowsprit::handshake::AcceptOptions;
use bowsprit::upgrade::hyper::{Opening, Socket};
use bowsprit::{Close, CloseCode, Config, End, HandshakeError, Messages, upgrade};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Who speaks HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// hyper, over a TCP socket that can be taken back.
    Hyper,
    /// hyper, over a stream that nobody here knows.
    Wrapped,
    /// hyper, which finds out the version of HTTP itself.
    Auto,
    /// axum's own server.
    #[cfg(feature = "axum")]
    Axum,
    /// `bowsprit::server`. It has its own sessions, and its own tests: here it only answers.
    #[cfg(feature = "server")]
    Router,
}

pub(crate) const DOORS: &[Door] = &[
    Door::Hyper,
    Door::Wrapped,
    Door::Auto,
    #[cfg(feature = "axum")]
    Door::Axum,
];

/// What a server has to tell of a connection that has ended.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whether it had the TCP socket itself.
    pub(crate) raw: bool,
    pub(crate) subprotocol: Option<String>,
    pub(crate) end: End,
}

/// A server with two endpoints: `/echo`, and `/close`, which closes at once with 4002, "bye".
pub(crate) struct Server {
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
    sessions: mpsc::UnboundedReceiver<Session>,
}

impl Server {
    pub(crate) async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        let (sender, sessions) = mpsc::unbounded_channel();
        match door {
            #[cfg(feature = "axum")]
            Door::Axum => drop(tokio::spawn(serve_axum(listener, sender))),
            #[cfg(feature = "server")]
            Door::Router => {
                use bowsprit::server::{Router, WebSocket, serve, websocket};
                let echo = async |mut ws: WebSocket| while let Ok(Some(_)) = ws.recv().await {};
                let router = Router::new().route("/echo", websocket(echo));
                drop(tokio::spawn(serve(listener, router, std::future::pending())));
            }
            _ => drop(tokio::spawn(serve_hyper(door, listener, sender))),
        }
        Self { door, address, sessions }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// The next connection that has ended.
    pub(crate) async fn ended(&mut self) -> Session {
        let session = within(self.sessions.recv()).await.expect("the server is there");
        assert_eq!(session.raw, self.door != Door::Wrapped, "the socket is taken back where possible");
        session
    }
}

/// Compresses where that is there.
pub(crate) fn compressing() -> Config {
    Config {
        #[cfg(feature = "deflate")]
        compression: Some(bowsprit::Deflate::default()),
        ..Config::default()
    }
}

pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it is done in time")
}

const SUBPROTOCOLS: &[&str] = &["superchat", "chat"];

async fn serve_hyper(door: Door, listener: TcpListener, sender: mpsc::UnboundedSender<Session>) {
    use hyper::server::conn::http1;
    use hyper_util::{rt::TokioExecutor, server::conn::auto};

    let config = Arc::new(compressing());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (config, sender) = (config.clone(), sender.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let response = answer(&mut request, &config, &sender);
            async move { Ok::<_, Infallible>(response.unwrap_or_else(|error| upgrade::http::refuse(&error))) }
        });
        // How a connection of HTTP ends is not looked at: the client knows.
        tokio::spawn(async move {
            match door {
                Door::Wrapped => {
                    let io = TokioIo::new(Wrapped(stream));
                    drop(http1::Builder::new().serve_connection(io, service).with_upgrades().await);
                }
                Door::Auto => {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
                }
                _ => {
                    let io = TokioIo::new(stream);
                    drop(http1::Builder::new().serve_connection(io, service).with_upgrades().await);
                }
            }
        });
    }
}

fn answer(
    request: &mut Request<Incoming>,
    config: &Arc<Config>,
    sender: &mpsc::UnboundedSender<Session>,
) -> Result<Response<String>, HandshakeError> {
    let incoming = upgrade::hyper::receive(request, config.clone())?;
    let path = incoming.request().path().to_owned();
    if path != "/echo" && path != "/close" {
        let mut response = Response::new("there is nothing here\n".to_owned());
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
        return Ok(incoming.respond(response));
    }
    let mut choices = AcceptOptions::new();
    if let Some(name) = incoming.request().select_subprotocol(SUBPROTOCOLS) {
        choices = choices.subprotocol(name);
    }
    let (response, opening): (_, Opening) = incoming.accept(&choices, Messages)?;
    let sender = sender.clone();
    tokio::spawn(async move { talk(opening.open().await.expect("hyper hands it over"), &path, &sender).await });
    Ok(response)
}

#[cfg(feature = "axum")]
async fn serve_axum(listener: TcpListener, sender: mpsc::UnboundedSender<Session>) {
    use axum::routing::any;
    use bowsprit::upgrade::axum::WebSocketUpgrade;

    let config = Arc::new(compressing());
    let handler = move |upgrade: WebSocketUpgrade| {
        let path = upgrade.request().path().to_owned();
        let upgrade = upgrade.config(config.clone()).subprotocols(SUBPROTOCOLS);
        let sender = sender.clone();
        async move { upgrade.on_upgrade(|ws| async move { talk(ws, &path, &sender).await }) }
    };
    let app = axum::Router::new().route("/echo", any(handler.clone())).route("/close", any(handler));
    axum::serve(listener, app).await.expect("it never ends");
}

async fn talk(mut ws: bowsprit::tokio::WebSocket<Socket>, path: &str, sender: &mpsc::UnboundedSender<Session>) {
    let raw = ws.get_ref().tcp().is_some();
    let subprotocol = ws.subprotocol().map(str::to_owned);
    let end = if path == "/close" {
        ws.close(Some(Close { code: CloseCode::from(4002), reason: "bye" })).await.expect("it is legal")
    } else {
        // An error is in the end, too.
        while let Ok(Some((message, out))) = ws.next().await {
            if out.feed(message).await.is_err() {
                break;
            }
        }
        ws.end().expect("it has ended")
    };
    let _ = sender.send(Session { raw, subprotocol, end });
}

/// A stream that is not known to be TCP.
pub(crate) struct Wrapped(pub(crate) TcpStream);

impl AsyncRead for Wrapped {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

/// A peer that speaks in wire bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("loopback"))
    }

    pub(crate) async fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.expect("the other side is there");
    }

    /// The head that comes next, its names in lower case; what is behind it stays there.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.expect("a head"));
        }
        let head = String::from_utf8(head).expect("ASCII");
        let lower = |line: &str| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        };
        head.split("\r\n").map(lower).collect::<Vec<_>>().join("\r\n")
    }

    /// The bytes that come next are these.
    pub(crate) async fn expect(&mut self, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        within(self.0.read_exact(&mut read)).await.expect("they come");
        assert_eq!(read, bytes);
    }

    /// All that comes until the other side ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.expect("the end of the stream");
        rest
    }
}

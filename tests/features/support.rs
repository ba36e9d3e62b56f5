//! A server over loopback, what its handlers were told, and a peer that speaks in wire bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use bowsprit::handshake::ClientRequest;
use bowsprit::server::{Endpoint, Listener, Router, Session, handler, serve};
use bowsprit::session::{BoxError, Closed, Event};
use bowsprit::tokio::{Connector, Stream};
use bowsprit::{Config, Error, HandshakeError, Message, OwnedMessage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Nothing here takes long; where it does, something hangs.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it is done in time")
}

/// Until it is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shut_down: oneshot::Sender<()>,
    serves: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.expect("loopback").into(), router)
    }

    pub(crate) fn start_on(listener: Listener, router: Router) -> Self {
        static OPEN_FILES: Once = Once::new();
        OPEN_FILES.call_once(|| {
            // As many as there may be: the tests of one process open some thousands.
            let limit = Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) };
            setrlimit(Resource::Nofile, limit).expect("what is allowed");
        });
        let address = listener.local_addr().expect("it is bound");
        let (shut_down, begun) = oneshot::channel();
        let serves = tokio::spawn(serve(listener, router, async { drop(begun.await) }));
        Self { address, shut_down, serves }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) async fn connect(&self, path: &str) -> bowsprit::tokio::WebSocket<Stream> {
        within(bowsprit::tokio::connect(&self.uri(path))).await.expect("it opens")
    }

    /// Begins to end; what is returned is done once it has ended.
    pub(crate) fn begin_to_end(self) -> JoinHandle<()> {
        drop(self.shut_down);
        self.serves
    }

    /// Ends it, which waits for all sessions.
    pub(crate) async fn end(self) {
        within(self.begin_to_end()).await.expect("serving does not panic");
    }
}

/// One route.
pub(crate) async fn server_of(endpoint: Endpoint) -> Server {
    Server::start(Router::new().route("/", endpoint)).await
}

pub(crate) fn request(uri: &str) -> ClientRequest {
    ClientRequest::try_from(uri).expect("an address")
}

/// The status of the answer to a client that was refused, and its body.
pub(crate) async fn refused(request: ClientRequest) -> (u16, String) {
    match within(Connector::new(request).connect()).await {
        Err(Error::Handshake(HandshakeError::Refused(response))) => {
            (response.status(), String::from_utf8(response.body().to_vec()).expect("text"))
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Lines that a server writes, for a test to read.
#[derive(Clone)]
pub(crate) struct Log(mpsc::UnboundedSender<String>);

pub(crate) struct Lines(mpsc::UnboundedReceiver<String>);

pub(crate) fn log() -> (Log, Lines) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Log(sender), Lines(receiver))
}

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        // A test that has seen enough does not listen any more.
        let _ = self.0.send(line.into());
    }

    pub(crate) fn event(&self, event: Event<'_>) {
        self.note(match event {
            Event::Open => "open".into(),
            Event::Message(Message::Text(text)) => format!("text {text}"),
            Event::Message(Message::Binary(bytes)) => format!("binary {bytes:02x?}"),
            Event::Error(failure) => format!("error {failure}"),
            Event::Close(closed) => close_line(closed),
            other => panic!("nobody knows {other:?}"),
        });
    }
}

/// `close 4001 "x" clean`
pub(crate) fn close_line(closed: &Closed) -> String {
    let how = if closed.is_clean() { "clean" } else { "lost" };
    format!("close {} {:?} {how}", closed.code().0, &*closed.reason)
}

impl Lines {
    pub(crate) async fn next(&mut self) -> String {
        within(self.0.recv()).await.expect("somebody writes")
    }

    /// All that are left, once nobody can write any more.
    pub(crate) async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = within(self.0.recv()).await {
            lines.push(line);
        }
        lines
    }
}

/// Notes all that happens, and replies.
pub(crate) fn noting(log: &Log, reply: fn(Message<'_>) -> Option<OwnedMessage>) -> Endpoint {
    let log = log.clone();
    handler(move |_| {
        let log = log.clone();
        move |_: &Session, event: Event<'_>| {
            log.event(event);
            Ok::<_, BoxError>(if let Event::Message(message) = event { reply(message) } else { None })
        }
    })
}

/// A peer that speaks in wire bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

/// RFC 6455 section 1.3.
const OPENING: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request for a WebSocket, with these fields besides, each with its end of line.
pub(crate) fn opening(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{OPENING}{fields}\r\n")
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.expect("loopback"))
    }

    /// It keeps little of what it does not read.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(8 << 10).expect("an option");
        Self(within(socket.connect(address)).await.expect("loopback"))
    }

    /// Whose WebSocket is open.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        Self::connect(address).await.opens(path).await
    }

    pub(crate) async fn opens(mut self, path: &str) -> Self {
        self.sends(opening(path, "")).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
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
    pub(crate) async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let mut read = vec![0; bytes.as_ref().len()];
        within(self.0.read_exact(&mut read)).await.expect("they come");
        assert_eq!(read, bytes.as_ref());
    }

    /// The next frame of a server: its first byte, and its payload.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        within(async {
            let first = self.0.read_u8().await?;
            let len = match self.0.read_u8().await? {
                126 => self.0.read_u16().await?.into(),
                127 => usize::try_from(self.0.read_u64().await?).expect("a length"),
                len => len.into(),
            };
            let mut payload = vec![0; len];
            self.0.read_exact(&mut payload).await?;
            std::io::Result::Ok((first, payload))
        })
        .await
        .expect("a frame")
    }

    /// All that comes until the other side ends; then this one does.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.expect("the end of the stream");
        rest
    }

    /// Vanishes: its end of the connection is reset.
    pub(crate) fn resets(self) {
        rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)).expect("an option");
    }
}

/// A whole frame of a client with this first byte, and a masking key of zeros.
pub(crate) fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).expect("below 126")),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).expect("below 64 KiB").to_be_bytes());
        }
    }
    frame.extend([0x00; 4]);
    frame.extend(payload);
    frame
}

/// The payload of a Close.
pub(crate) fn closing(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// No deadline ends anything.
pub(crate) fn timeless() -> Config {
    Config { close_timeout: None, write_timeout: None, message_timeout: None, pong_timeout: None, ..Config::default() }
}

/// Ends the connection of a client, and has its end looked at by nobody.
pub(crate) async fn close(ws: bowsprit::tokio::WebSocket<Stream>) {
    let end = within(ws.close(Some(bowsprit::CloseCode::NORMAL.into()))).await.expect("a legal code");
    assert!(end.clean, "{end:?}");
}

pub(crate) type Shared<T> = Arc<std::sync::Mutex<T>>;

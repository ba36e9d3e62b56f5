//! How a user reaches the server: a TCP connection that can be cut.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bowsprit::client::{Attempt, Connect};
use bowsprit::extension::permessage_deflate::Pool;
use bowsprit::handshake::UriError;
use bowsprit::handshake::{ClientRequest, ClientResponse};
use bowsprit::session::BoxError;
use bowsprit::tokio::{Connector, WebSocket};
use bowsprit::{Config, Deflate};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// With a reset: the server notices, and nothing is written any more.
    Reset,
    /// Nothing is read any more, and the server does not notice before the user comes back.
    Silent,
}

/// A TCP connection. It ends when the last clone is dropped.
#[derive(Clone)]
pub struct Line(Arc<Mutex<Wire>>);

struct Wire {
    tcp: TcpStream,
    cut: Option<Cut>,
}

impl Line {
    pub fn cut(&self, cut: Cut) -> io::Result<()> {
        let mut wire = self.wire();
        wire.cut = Some(cut);
        if cut == Cut::Reset { wire.tcp.set_zero_linger() } else { Ok(()) }
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// The connection, for what a cut of this kind leaves.
    fn unless(&mut self, cut: impl FnOnce(Cut) -> bool) -> io::Result<Pin<&mut TcpStream>> {
        match self.cut {
            Some(this) if cut(this) => Err(io::ErrorKind::NetworkDown.into()),
            _ => Ok(Pin::new(&mut self.tcp)),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.wire().unless(|_| true)?.poll_read(context, out)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().unless(|cut| cut == Cut::Reset)?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire().unless(|cut| cut == Cut::Reset)?.poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire().tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().unless(|cut| cut == Cut::Reset)?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().unless(|_| true)?.poll_shutdown(context)
    }
}

/// Opens lines to a server.
#[derive(Clone)]
pub struct Dial {
    server: SocketAddr,
    connector: Arc<Connector>,
}

impl Dial {
    pub fn new(server: SocketAddr) -> Result<Self, UriError> {
        let compression = Some(Deflate { pool: Some(Pool::new(4 << 20)), ..Deflate::default() });
        let connector = Connector::new(ClientRequest::try_from(&*format!("ws://{server}/chat"))?);
        let connector = connector.config(Config { compression, ..Config::default() });
        Ok(Self { server, connector: Arc::new(connector) })
    }
}

impl Connect for Dial {
    type Stream = Line;

    async fn open(&mut self, _: Attempt) -> Result<(WebSocket<Line>, ClientResponse), BoxError> {
        let opening = async {
            let tcp = TcpStream::connect(self.server).await?;
            tcp.set_nodelay(true)?;
            let line = Line(Arc::new(Mutex::new(Wire { tcp, cut: None })));
            Ok::<_, BoxError>(self.connector.connect_on(line).await?)
        };
        timeout(Duration::from_secs(10), opening).await?
    }
}

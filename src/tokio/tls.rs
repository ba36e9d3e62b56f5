//! A stream inside TLS.

use std::boxed::Box;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, Connection, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::HandshakeError;
use crate::tls::Session;

/// TLS over a stream: what [`connect`](super::connect()) uses for `wss://`, and what a server puts around what it accepts.
///
/// To make one does nothing yet. The handshake of TLS goes with the first reads and writes, so that it counts into
/// [`Config::handshake_timeout`](crate::Config::handshake_timeout) together with the opening handshake; what fails in it
/// is [`HandshakeError::Tls`]. Until it is done, poll the stream from one task only: to write takes reading.
///
/// ```no_run
/// use bowsprit::tls;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = tls::server_config(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let (tcp, _) = tokio::net::TcpListener::bind("127.0.0.1:9001").await?.accept().await?;
/// let mut ws = bowsprit::tokio::accept(bowsprit::tokio::TlsStream::server(tcp, config)?).await?;
/// ws.send("nobody else can read this").await?;
/// # Ok(())
/// # }
/// ```
///
/// It reads ciphertext into the caller's buffer and decrypts it there: beyond what rustls holds, an idle connection holds
/// nothing. (So who reads without a [`WebSocket`](super::WebSocket) gives room for some KiB.) The end says
/// `close_notify`; a peer that ends without one gives `UnexpectedEof`.
#[derive(Debug)]
pub struct TlsStream<S> {
    socket: S,
    session: Box<Session>,
    /// Whether TLS has something to say that nobody asked it to write: a reader hands that on, and nothing else, since a
    /// socket wakes one task for writing.
    replies: bool,
}

impl<S> TlsStream<S> {
    /// The same over another stream, which this one becomes.
    pub(super) fn map<T>(self, change: impl FnOnce(S) -> T) -> TlsStream<T> {
        TlsStream { socket: change(self.socket), session: self.session, replies: self.replies }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// A client's side, which talks to this host and nobody else: a name, or an IP address without brackets, as
    /// [`Uri::host`](crate::handshake::Uri::host) gives it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Uri`] for a host that no certificate can name; [`HandshakeError::Tls`] for a configuration that
    /// does not work.
    pub fn client(socket: S, config: Arc<ClientConfig>, host: &str) -> Result<Self, HandshakeError> {
        Ok(Self::new(socket, Session::client(Some(config), host)?))
    }

    /// A server's side.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Tls`] for a configuration that does not work.
    pub fn server(socket: S, config: Arc<ServerConfig>) -> Result<Self, HandshakeError> {
        Ok(Self::new(socket, Session::server(config)?))
    }

    pub(super) fn new(socket: S, session: Session) -> Self {
        Self { socket, replies: session.wants_write(), session: Box::new(session) }
    }

    /// The stream inside.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The stream inside. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// The TLS connection: the peer's certificates, the version, the protocol that was agreed on.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.session.connection()
    }

    /// Hands ciphertext on. Whether that was all.
    fn push(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        self.session.flush(&mut Sink { socket: Pin::new(&mut self.socket), context })
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.push(context)?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            self.session.check_handshake()?;
            let mut ciphertext = [0; 4 << 10];
            let n = ready!(self.poll_receive(context, &mut ciphertext))?;
            self.session.receive(&ciphertext[..n]);
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    fn poll_plaintext(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.replies {
                // What fails here is for the next write to meet: what the peer sent before may still be read.
                self.replies = self.push(context).is_ok_and(|all| !all);
            }
            match self.session.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            let Poll::Ready(n) = self.poll_receive(context, room)? else {
                self.session.shrink();
                return Poll::Pending;
            };
            let silent = !self.session.wants_write();
            let filled = self.session.receive_in_place(room, n);
            self.replies |= silent && self.session.wants_write();
            if filled > 0 {
                return Poll::Ready(Ok(filled));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = ready!(self.poll_plaintext(context, buffer.initialize_unfilled()))?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// Takes as much as the socket takes, and up to 16 KiB more, which leave with the next write or flush.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(context))?;
        let total = parts.iter().map(|part| part.len()).sum();
        let mut written = 0;
        while self.push(context)? {
            if written == total {
                return Poll::Ready(Ok(total));
            }
            match self.session.encrypt(parts, written)? {
                // The keys are used up.
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                n => written += n,
            }
        }
        if written > 0 { Poll::Ready(Ok(written)) } else { Poll::Pending }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.push(context)? {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.close();
        if !self.push(context)? {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Where ciphertext goes: to the socket, which wakes the task where it takes nothing now.
struct Sink<'a, 'b, S> {
    socket: Pin<&'a mut S>,
    context: &'a mut Context<'b>,
}

impl<S: AsyncWrite> Write for Sink<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(self.socket.as_mut().poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(self.socket.as_mut().poll_write_vectored(self.context, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(self.socket.as_mut().poll_flush(self.context))
    }
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

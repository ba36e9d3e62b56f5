//! The stream of a client.

#[cfg(feature = "rustls")]
use std::boxed::Box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// A TCP connection or a Unix socket, inside TLS or not: what [`connect`](super::connect()) opens. A server that listens
/// for both makes one with `From`.
///
/// It is the same type with the feature `rustls` and without.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// Inside the TLS of a proxy there may be that of the server.
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<Stream>>),
}

impl Stream {
    /// The TCP connection; `None` over a Unix socket.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Tcp(tcp) => Some(tcp),
            #[cfg(unix)]
            Kind::Unix(_) => None,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls.get_ref().tcp(),
        }
    }

    /// The TLS around it, if there is; of a server that is reached through the TLS of a proxy, the server's.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsStream<Self>> {
        match &self.0 {
            Kind::Tls(tls) => Some(tls),
            _ => None,
        }
    }

    fn reader(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        Pin::new(match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(unix)]
            Kind::Unix(unix) => unix,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => &mut **tls,
        })
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(unix)]
            Kind::Unix(unix) => unix,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => &mut **tls,
        })
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Self(Kind::Unix(unix))
    }
}

#[cfg(feature = "rustls")]
impl<S: Into<Self>> From<TlsStream<S>> for Stream {
    fn from(tls: TlsStream<S>) -> Self {
        Self(Kind::Tls(Box::new(tls.map(Into::into))))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader().poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(context)
    }
}

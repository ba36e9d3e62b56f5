//! The stream of a client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// A TCP connection, inside TLS or not: what [`connect`](super::connect()) opens, whatever the address asks for. A
/// server that listens for both has it from `From`.
///
/// It is the same type with the feature `rustls` and without.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<TcpStream>),
}

impl Stream {
    /// The TCP connection.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        match &self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS around it, if there is.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsStream<TcpStream>> {
        match &self.0 {
            Kind::Tcp(_) => None,
            Kind::Tls(tls) => Some(tls),
        }
    }

    fn reader(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        Pin::new(match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls,
        })
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls,
        })
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }
}

#[cfg(feature = "rustls")]
impl From<TlsStream<TcpStream>> for Stream {
    fn from(tls: TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(tls))
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

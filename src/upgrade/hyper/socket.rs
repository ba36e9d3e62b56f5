//! What HTTP hands over: the socket of a connection, and what it has read from it already.

use std::boxed::Box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "server")]
use super::guarded::Guarded;
#[cfg(feature = "rustls")]
use crate::tokio::TlsStream;

/// The stream of a connection that was HTTP's: the TCP socket itself where it lies in hyper-util's `TokioIo`, as it does
/// under axum, or a `TlsStream` of ours likewise; and otherwise what hyper makes of it (any other TLS, a Unix socket, any
/// wrapper of your own).
#[derive(Debug)]
pub struct Socket(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<TcpStream>>),
    Hyper(Box<TokioIo<Upgraded>>),
}

impl Socket {
    /// Takes over what hyper hands over, together with what hyper has read behind the head: input for the connection.
    /// [`accept`](super::UpgradeRequest::accept) and [`connect`](super::connect) do this by themselves.
    #[must_use]
    pub fn new(upgraded: Upgraded) -> (Self, BytesMut) {
        let upgraded = match find(upgraded) {
            Ok((tcp, read)) => return (Self(Inner::Tcp(tcp)), read),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "rustls")]
        let upgraded = match find(upgraded) {
            Ok((tls, read)) => return (Self(Inner::Tls(Box::new(tls))), read),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "server")]
        let upgraded = match find::<Guarded<_>>(upgraded) {
            Ok((tcp, read)) => return (Self(Inner::Tcp(tcp.into_inner())), read),
            Err(upgraded) => upgraded,
        };
        #[cfg(all(feature = "server", feature = "rustls"))]
        let upgraded = match find::<Guarded<_>>(upgraded) {
            Ok((tls, read)) => return (Self(Inner::Tls(Box::new(tls.into_inner()))), read),
            Err(upgraded) => upgraded,
        };
        // The server of hyper-util that finds out the version of HTTP wraps the stream once more.
        match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Self(Inner::Tcp(parts.io.into_inner())), parts.read_buf.into()),
            // It gives what it has read when it is read.
            Err(upgraded) => (Self(Inner::Hyper(Box::new(TokioIo::new(upgraded)))), BytesMut::new()),
        }
    }

    /// The TCP socket, where it was found: inside TLS, perhaps.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Inner::Tcp(stream) => Some(stream),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Some(stream.get_ref()),
            Inner::Hyper(_) => None,
        }
    }
}

/// The stream itself where it lies in hyper-util's `TokioIo`, and what hyper has read from it.
fn find<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(upgraded: Upgraded) -> Result<(S, BytesMut), Upgraded> {
    upgraded.downcast::<TokioIo<S>>().map(|parts| (parts.io.into_inner(), parts.read_buf.into()))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Inner::Hyper(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Hyper(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Inner::Hyper(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => stream.is_write_vectored(),
            Inner::Hyper(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Pin::new(stream).poll_flush(context),
            Inner::Hyper(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "rustls")]
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Hyper(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

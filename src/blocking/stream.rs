//! The stream of a client.

#[cfg(feature = "rustls")]
use std::boxed::Box;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Duplicate, Interest, Ready, Transport};

/// A TCP connection or a Unix socket, inside TLS or not: what [`connect`](super::connect()) opens. A server that listens
/// for both makes one with `From`.
///
/// It is the same type with the feature `rustls` and without.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
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

    fn transport(&self) -> &dyn Transport {
        match &self.0 {
            Kind::Tcp(tcp) => tcp,
            Kind::Unix(unix) => unix,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => &**tls,
        }
    }

    fn transport_mut(&mut self) -> &mut dyn Transport {
        match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            Kind::Unix(unix) => unix,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => &mut **tls,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }
}

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

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transport_mut().read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.transport_mut().write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transport_mut().write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport_mut().flush()
    }
}

impl Transport for Stream {
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transport_mut().try_write(parts)
    }

    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
        self.transport_mut().wait(interest, timeout)
    }

    fn read_patience(&self) -> io::Result<Option<Duration>> {
        self.transport().read_patience()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.transport_mut().shutdown_write()
    }

    fn shutdown_both(&mut self) -> io::Result<()> {
        self.transport_mut().shutdown_both()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.transport_mut().set_nodelay()
    }
}

impl Duplicate for Stream {
    fn duplicate(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            Kind::Tcp(tcp) => Kind::Tcp(tcp.duplicate()?),
            Kind::Unix(unix) => Kind::Unix(unix.duplicate()?),
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => Kind::Tls(Box::new(tls.duplicate()?)),
        }))
    }
}

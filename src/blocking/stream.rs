//! The stream of a client.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Duplicate, Interest, Ready, Transport};

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

    fn transport(&self) -> &dyn Transport {
        match &self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls,
        }
    }

    fn transport_mut(&mut self) -> &mut dyn Transport {
        match &mut self.0 {
            Kind::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => tls,
        }
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
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => Kind::Tls(tls.duplicate()?),
        }))
    }
}

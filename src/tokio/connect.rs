//! The opening handshake of a client over a stream. What it holds meanwhile is in a box: it would stay in the task for as
//! long as the connection lives.

use std::boxed::Box;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::clock::{self, before};
use super::io::Io;
use super::socket::Stream;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{Deadline, ThreadBuffers, default_config, not_opened, random};
use crate::driver::{Connecting, Driver};
use crate::handshake::{ClientRequest, ClientResponse, DialError, Uri};
use crate::{Config, Delivery, Error, HandshakeError, Messages};

/// Opens a connection to a `ws://` or `wss://` address, with the defaults of [`Config`]. `wss` needs the feature `rustls`,
/// and trusts whom the system trusts. [`Connector`] chooses everything else.
///
/// Dropped before it is done, the stream is dropped with it.
///
/// # Errors
///
/// As [`Connector::connect`]; [`HandshakeError::Uri`] for an address that is none.
pub async fn connect(uri: &str) -> Result<WebSocket<Stream>, Error> {
    let request = ClientRequest::try_from(uri).map_err(HandshakeError::Uri)?;
    Ok(Connector::new(request).connect().await?.0)
}

/// Opens a connection over a stream that leads to the server already: through any TLS library, a proxy, anything.
///
/// # Errors
///
/// As [`Connector::connect_on`]; [`HandshakeError::Uri`] for an address that is none.
pub async fn connect_with<S: AsyncRead + AsyncWrite + Unpin>(stream: S, uri: &str) -> Result<WebSocket<S>, Error> {
    let request = ClientRequest::try_from(uri).map_err(HandshakeError::Uri)?;
    Ok(Connector::new(request).connect_on(stream).await?.0)
}

/// Opens connections: one, or one after the other.
///
/// The [`ClientRequest`] holds what the server is asked: header fields, subprotocols, an Origin.
///
/// ```no_run
/// use bowsprit::Config;
/// use bowsprit::tokio::Connector;
/// use bowsprit::handshake::ClientRequest;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let request = ClientRequest::try_from("ws://127.0.0.1:9001/chat")?.subprotocol("chat")?;
/// let connector = Connector::new(request)
///     .config(Config { max_message: 1 << 20, ..Config::default() })
///     .tcp(|socket| socket.bind("127.0.0.1:0".parse().expect("an address")));
/// let (mut ws, response) = connector.connect().await?;
/// assert_eq!(response.subprotocol(), Some("chat"));
/// ws.send("hello").await?;
/// # Ok(())
/// # }
/// ```
pub struct Connector<D = Messages> {
    request: ClientRequest,
    delivery: D,
    config: Arc<Config>,
    tcp: Box<TcpOptions>,
    #[cfg(feature = "rustls")]
    tls: Option<Arc<rustls::ClientConfig>>,
}

type TcpOptions = dyn Fn(&TcpSocket) -> io::Result<()> + Send + Sync;

impl Connector {
    /// With the defaults of [`Config`], whole messages, and Nagle's algorithm turned off (`TCP_NODELAY`).
    #[must_use]
    pub fn new(request: ClientRequest) -> Self {
        Self {
            request,
            delivery: Messages,
            config: default_config(),
            tcp: Box::new(|_| Ok(())),
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }
}

impl<D: Delivery + Clone> Connector<D> {
    /// How messages are handed out: [`Messages`] or [`Chunks`](crate::Chunks).
    #[must_use]
    pub fn delivery<E: Delivery>(self, delivery: E) -> Connector<E> {
        Connector {
            request: self.request,
            delivery,
            config: self.config,
            tcp: self.tcp,
            #[cfg(feature = "rustls")]
            tls: self.tls,
        }
    }

    /// Bounds, deadlines and compression.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Sends keep-alive pings at this interval, unless the configuration has an interval.
    pub(crate) fn default_ping_interval(&mut self, interval: Duration) {
        if self.config.ping_interval.is_none() {
            self.config = Arc::new(Config { ping_interval: Some(interval), ..(*self.config).clone() });
        }
    }

    /// Sets options of a TCP socket before it is connected, an address to connect from among them. Nagle's algorithm is
    /// off already.
    #[must_use]
    pub fn tcp(mut self, options: impl Fn(&TcpSocket) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.tcp = Box::new(options);
        self
    }

    /// Speaks TLS like this where the address is `wss`, instead of trusting whom the system trusts:
    /// [`tls::client_config`](crate::tls::client_config) with other roots, or a configuration of your own. Of ALPN, a
    /// server has to understand `http/1.1`, or nothing.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Opens a connection, and returns it with the server's answer. Tries every address of the host in turn.
    ///
    /// RFC 6455 section 4.1 has browsers open at most one connection to an address at a time. That protects servers from
    /// pages; nothing here waits for other connections of the process.
    ///
    /// Dropped before it is done, the stream is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] for `wss` without the feature `rustls` (nothing is dialled), for a server that does not prove
    /// to be the host of a `wss` address (nothing of WebSocket is sent), that refused
    /// ([`Refused`](HandshakeError::Refused) holds its answer, with up to 64 KiB of its body) or broke the handshake's
    /// rules, or when the time was up ([`TimedOut`](HandshakeError::TimedOut)); [`Error::Io`] when nothing could be
    /// reached, or the stream failed.
    pub async fn connect(&self) -> Result<(WebSocket<Stream, D>, ClientResponse), Error> {
        let start = clock::now();
        let uri = self.request.uri();
        // RFC 6455 section 10.6: never in plain text what was meant for TLS. Before any dial.
        #[cfg(not(feature = "rustls"))]
        if uri.is_secure() {
            return Err(HandshakeError::TlsUnavailable.into());
        }
        #[cfg(feature = "rustls")]
        let session = match uri.is_secure() {
            true => Some(crate::tls::Session::client(self.tls.clone(), uri.host())?),
            false => None,
        };

        let tcp = Box::pin(self.dial(uri, Deadline::of_handshake(&self.config, start))).await?;
        #[cfg(feature = "rustls")]
        if let Some(session) = session {
            return Box::pin(self.open(super::tls::TlsStream::new(tcp, session).into(), start)).await;
        }
        Box::pin(self.open(tcp.into(), start)).await
    }

    /// Opens a connection over a stream that leads to the server already. For TLS, the stream is a `TlsStream`, or one of
    /// any other library.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for those of dialling.
    pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
        Box::pin(self.open(stream, clock::now())).await
    }

    /// What is asked of the server.
    pub(crate) fn request(&self) -> &ClientRequest {
        &self.request
    }

    async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        start: Duration,
    ) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
        let trace = Trace::client(&self.request);
        let (socket, driver, response) = trace.step(self.shake_hands(socket, start).await)?;
        let subprotocol = response.subprotocol().map(Box::from);
        Ok((WebSocket::new(socket, driver, subprotocol, trace), response))
    }

    async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        start: Duration,
    ) -> Result<(S, Driver<D, ThreadBuffers>, ClientResponse), Error> {
        let (nonce, seed) = (random()?, random()?);
        let mut connecting = Connecting::new(&self.request, nonce, self.config.clone(), start);
        let (mut io, mut error) = (Io::new(socket), None);
        let opened = poll_fn(|context| io.poll_drive_with(&mut connecting, context, &mut error)).await;
        if !opened {
            return Err(not_opened(connecting.result(), error));
        }
        let (driver, response) = connecting.into_driver(self.delivery.clone(), seed, ThreadBuffers);
        Ok((io.socket, driver, response))
    }

    /// The first address of the host that answers. Each gets its share of the time that is left: one that never answers
    /// does not take it all.
    async fn dial(&self, uri: &Uri, deadline: Option<Deadline>) -> Result<TcpStream, Error> {
        let failed = |address, error| DialError::new(uri.authority(), address, error);
        let looked_up = before(deadline, tokio::net::lookup_host((uri.host(), uri.port()))).await?;
        let addresses: Vec<_> = looked_up.map_err(|error| failed(None, error))?.collect();
        let mut last = failed(None, io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
        for (&address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let share = deadline.map(|deadline| deadline.share(clock::now(), left));
            match before(share, self.dial_address(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = failed(Some(address), error),
                Err(error) if left == 1 => return Err(error.into()),
                Err(_) => {}
            }
        }
        Err(last.into())
    }

    async fn dial_address(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        (self.tcp)(&socket)?;
        socket.connect(address).await
    }
}

impl<D: std::fmt::Debug> std::fmt::Debug for Connector<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { request, delivery, config, .. } = self;
        f.debug_struct("Connector")
            .field("request", request)
            .field("delivery", delivery)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

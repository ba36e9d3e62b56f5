//! The opening handshake of a client over a stream. What it holds meanwhile is in a box: it would stay in the task for as
//! long as the connection lives.

use std::boxed::Box;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

use super::clock;
use super::dial::{Lookup, Network, Resolver, TcpOptions};
use super::io::Io;
use super::socket::Stream;
use super::websocket::WebSocket;
#[cfg(feature = "rustls")]
use crate::adapter::Tls;
use crate::adapter::trace::Trace;
use crate::adapter::{ThreadBuffers, default_config, default_dial_options, not_opened, random};
use crate::dial::{Dial, DialOptions, ProxyChoice};
use crate::driver::Connecting;
use crate::handshake::{ClientRequest, ClientResponse};
use crate::{Config, Delivery, Error, HandshakeError, Messages};

/// Opens a connection to a `ws://` or `wss://` address, with the defaults of [`Config`]. `wss` needs the feature `rustls`,
/// and trusts the system's root certificates. [`Connector`] chooses everything else.
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
    options: Arc<DialOptions>,
    tcp: Box<TcpOptions>,
    resolver: Option<Box<Resolver>>,
    #[cfg(feature = "rustls")]
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// With the defaults of [`Config`], whole messages, and Nagle's algorithm turned off (`TCP_NODELAY`).
    #[must_use]
    pub fn new(request: ClientRequest) -> Self {
        Self {
            request,
            delivery: Messages,
            config: default_config(),
            options: default_dial_options(),
            tcp: Box::new(|_| Ok(())),
            resolver: None,
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
            options: self.options,
            tcp: self.tcp,
            resolver: self.resolver,
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

    /// Connects through this proxy: a [`Proxy`](crate::dial::Proxy), or a [`ProxyChoice`] that chooses one for each address.
    /// Default: none; with the feature `proxy-env`, the one that the environment names (`HTTPS_PROXY` and others), which
    /// `ProxyChoice::None` turns off.
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<ProxyChoice>) -> Self {
        self.options_mut().proxy = proxy.into();
        self
    }

    /// Follows up to this many redirects (301, 302, 303, 307, 308). Default zero: a redirect is a refusal, whose text names
    /// the `Location`. To another origin, `Authorization`, `Cookie` and `Proxy-Authorization` are left out, and no redirect
    /// leads from `wss` to `ws`.
    #[must_use]
    pub fn redirects(mut self, limit: u32) -> Self {
        self.options_mut().redirects = limit;
        self
    }

    /// Uses these addresses for this host instead of resolving its name; port 0 means the port of the address that is dialled.
    #[must_use]
    pub fn addresses(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.options_mut().addresses.push((host.into(), addresses.into_iter().collect()));
        self
    }

    /// Resolves names with this function instead of the system's resolver. It is called with the host and the port.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Fn(&str, u16) -> Lookup + Send + Sync + 'static) -> Self {
        self.resolver = Some(Box::new(resolver));
        self
    }

    /// Connects to the Unix socket at this path instead of the network, whatever the host of the address is.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, path: impl Into<String>) -> Self {
        self.options_mut().unix_path = Some(path.into());
        self
    }

    fn options_mut(&mut self) -> &mut DialOptions {
        Arc::make_mut(&mut self.options)
    }

    /// Opens a connection, and returns it with the server's response. Resolves to
    /// `Result<(WebSocket, ClientResponse), Error>`.
    ///
    /// The addresses of the host are tried in parallel, IPv6 and IPv4 in turn, the next one 250 ms after the last one or as
    /// soon as it fails (RFC 8305). [`Config::handshake_timeout`] is one deadline over everything: the name, the addresses, the
    /// proxy, TLS, the upgrade and redirects.
    ///
    /// RFC 6455 section 4.1 has browsers open at most one connection to an address at a time. That protects servers from
    /// pages; nothing here waits for other connections of the process.
    ///
    /// Dropped before it is done, the stream is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Dial`] when the name could not be resolved, no address accepted a connection, the proxy opened no tunnel or a
    /// redirect was not followed; [`Error::Handshake`] for `wss` without the feature `rustls` (nothing is dialled), for a
    /// server that does not prove to be the host of a `wss` address (nothing of WebSocket is sent), that refused
    /// ([`Refused`](HandshakeError::Refused) holds its response, with up to 64 KiB of its body) or broke the rules of the
    /// handshake; [`Error::Timeout`] when the time was up; [`Error::Io`] when the stream failed.
    pub async fn connect(&self) -> Result<(WebSocket<Stream, D>, ClientResponse), Error> {
        let start = clock::now();
        let trace = Trace::client(&self.request);
        let dialled = Box::pin(self.dial(start, &trace)).await;
        let (stream, connecting) = trace.step(dialled)?;
        Ok(self.opened(stream, connecting, random()?, trace))
    }

    async fn dial(&self, start: Duration, trace: &Trace) -> Result<(Stream, Connecting), Error> {
        #[cfg(feature = "rustls")]
        let tls = Tls::new(self.tls.clone(), self.request.uri())?;
        let mut dial = Dial::new(self.request.clone(), self.options.clone(), self.config.clone(), start);
        let mut network = Network {
            tcp: &*self.tcp,
            resolver: self.resolver.as_deref(),
            #[cfg(feature = "rustls")]
            tls,
            trace,
        };
        network.dial(&mut dial).await
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
        let (socket, connecting) = trace.step(self.shake_hands(socket, start).await)?;
        Ok(self.opened(socket, connecting, random()?, trace))
    }

    async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        start: Duration,
    ) -> Result<(S, Connecting), Error> {
        let mut connecting = Connecting::new(&self.request, random()?, self.config.clone(), start);
        let (mut io, mut error) = (Io::new(socket), None);
        let opened = poll_fn(|context| io.poll_drive_with(&mut connecting, context, &mut error)).await;
        if !opened {
            return Err(not_opened(connecting.result(), error));
        }
        Ok((io.socket, connecting))
    }

    fn opened<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        connecting: Connecting,
        seed: [u8; 32],
        trace: Trace,
    ) -> (WebSocket<S, D>, ClientResponse) {
        let (driver, response) = connecting.into_driver(self.delivery.clone(), seed, ThreadBuffers);
        let subprotocol = response.subprotocol().map(Box::from);
        (WebSocket::new(socket, driver, subprotocol, trace), response)
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

//! The opening handshake of a client over a stream.

use std::boxed::Box;
use std::fmt;
use std::io;
#[cfg(unix)]
use std::net::SocketAddr;
#[cfg(unix)]
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
#[cfg(unix)]
use std::vec::Vec;

use super::clock;
#[cfg(unix)]
use super::dial::{Network, Resolver, TcpOptions};
use super::io::{Own, drive};
#[cfg(unix)]
use super::stream::Stream;
use super::transport::Transport;
use super::websocket::WebSocket;
#[cfg(all(unix, feature = "rustls"))]
use crate::adapter::Tls;
#[cfg(unix)]
use crate::adapter::default_dial_options;
use crate::adapter::trace::Trace;
use crate::adapter::{ThreadBuffers, default_config, not_opened, random};
#[cfg(unix)]
use crate::dial::{Dial, DialOptions, ProxyChoice};
use crate::driver::Connecting;
use crate::handshake::{ClientRequest, ClientResponse};
use crate::{Config, Delivery, Error, HandshakeError, Messages};

/// Opens a connection to a `ws://` or `wss://` address, with the defaults of [`Config`].
///
/// The addresses of the host are tried in parallel (RFC 8305), and Nagle's algorithm is turned off (`TCP_NODELAY`). `wss` needs
/// the feature `rustls`, and trusts the system's root certificates. A [`Connector`] sends header fields, offers subprotocols,
/// uses a proxy, follows redirects, and returns the server's response.
///
/// RFC 6455 section 4.1 has browsers open at most one connection to an address at a time. That protects servers from
/// pages; nothing here waits for other connections of the process.
///
/// # Errors
///
/// [`Error::Dial`] when the name could not be resolved, no address accepted a connection, the proxy opened no tunnel or a
/// redirect was not followed; [`Error::Handshake`] for an invalid address, for `wss` without the feature `rustls` (nothing is
/// dialled), for a server that does not prove to be the host of a `wss` address (nothing of WebSocket is sent), that refused
/// ([`Refused`](HandshakeError::Refused) holds its response) or broke the rules of the handshake; [`Error::Timeout`] when the
/// time was up; [`Error::Io`] when the stream failed.
#[cfg(unix)]
pub fn connect(uri: &str) -> Result<WebSocket<Stream>, Error> {
    Ok(Connector::new(request(uri)?).connect()?.0)
}

/// Opens a connection over a stream that leads to the server already: through TLS of your own, a proxy, anything. The
/// address is what the server is asked for; nothing is dialled, and nothing encrypted.
///
/// ```no_run
/// use std::os::unix::net::UnixStream;
///
/// use bowsprit::blocking::connect_with;
///
/// let mut ws = connect_with(UnixStream::connect("/run/chat.sock")?, "ws://localhost/chat")?;
/// ws.send("hello")?;
/// # Ok::<(), bowsprit::Error>(())
/// ```
///
/// # Errors
///
/// As [`Connector::connect_on`]; and for an address that is none.
pub fn connect_with<S: Transport>(stream: S, uri: &str) -> Result<WebSocket<S>, Error> {
    Ok(Connector::new(request(uri)?).connect_on(stream)?.0)
}

/// Opens connections: one, or one after the other.
///
/// The [`ClientRequest`] holds what the server is asked: header fields, subprotocols, an Origin.
///
/// ```no_run
/// use bowsprit::blocking::Connector;
/// use bowsprit::handshake::ClientRequest;
/// use bowsprit::{Config, HandshakeError};
///
/// let request = ClientRequest::try_from("ws://127.0.0.1:9001/chat").map_err(HandshakeError::Uri)?.subprotocol("chat")?;
/// let config = Config { max_message: 1 << 20, ..Config::default() };
/// let (mut ws, response) = Connector::new(request).config(config).connect()?;
/// println!("connected to {:?}", response.headers().get("Server"));
/// ws.send("hello")?;
/// # Ok::<(), bowsprit::Error>(())
/// ```
pub struct Connector<D = Messages> {
    request: ClientRequest,
    config: Arc<Config>,
    delivery: D,
    #[cfg(unix)]
    options: Arc<DialOptions>,
    #[cfg(unix)]
    tcp: Box<TcpOptions>,
    #[cfg(unix)]
    resolver: Option<Arc<Resolver>>,
    #[cfg(all(unix, feature = "rustls"))]
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// With the defaults of [`Config`], and messages that are handed out whole.
    #[must_use]
    pub fn new(request: ClientRequest) -> Self {
        Self {
            request,
            config: default_config(),
            delivery: Messages,
            #[cfg(unix)]
            options: default_dial_options(),
            #[cfg(unix)]
            tcp: Box::new(|_| Ok(())),
            #[cfg(unix)]
            resolver: None,
            #[cfg(all(unix, feature = "rustls"))]
            tls: None,
        }
    }
}

impl<D: Delivery + Clone> Connector<D> {
    /// Bounds, deadlines and compression.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// How messages are handed out: [`Messages`] or [`Chunks`](crate::Chunks).
    #[must_use]
    pub fn delivery<E: Delivery>(self, delivery: E) -> Connector<E> {
        Connector {
            request: self.request,
            config: self.config,
            delivery,
            #[cfg(unix)]
            options: self.options,
            #[cfg(unix)]
            tcp: self.tcp,
            #[cfg(unix)]
            resolver: self.resolver,
            #[cfg(all(unix, feature = "rustls"))]
            tls: self.tls,
        }
    }

    /// Sets options of each TCP connection before anything is sent over it: keep-alive, the size of its buffers. Nagle's
    /// algorithm is off already.
    #[cfg(unix)]
    #[must_use]
    pub fn tcp(mut self, options: impl Fn(&std::net::TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.tcp = Box::new(options);
        self
    }

    /// Speaks TLS like this where the address is `wss`, instead of trusting whom the system trusts:
    /// [`tls::client_config`](crate::tls::client_config) with other roots, or a configuration of your own. Of ALPN, a
    /// server has to understand `http/1.1`, or nothing.
    #[cfg(all(unix, feature = "rustls"))]
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Connects through this proxy: a [`Proxy`](crate::dial::Proxy), or a [`ProxyChoice`] that chooses one for each address.
    /// Default: none; with the feature `proxy-env`, the one that the environment names (`HTTPS_PROXY` and others), which
    /// `ProxyChoice::None` turns off.
    #[cfg(unix)]
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<ProxyChoice>) -> Self {
        self.options_mut().proxy = proxy.into();
        self
    }

    /// Follows up to this many redirects (301, 302, 303, 307, 308). Default zero: a redirect is a refusal, whose text names
    /// the `Location`. To another origin, `Authorization`, `Cookie` and `Proxy-Authorization` are left out, and no redirect
    /// leads from `wss` to `ws`.
    #[cfg(unix)]
    #[must_use]
    pub fn redirects(mut self, limit: u32) -> Self {
        self.options_mut().redirects = limit;
        self
    }

    /// Uses these addresses for this host instead of resolving its name; port 0 means the port of the address that is dialled.
    #[cfg(unix)]
    #[must_use]
    pub fn addresses(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.options_mut().addresses.push((host.into(), addresses.into_iter().collect()));
        self
    }

    /// Resolves names with this function instead of the system's resolver. It is called with the host and the port, in a
    /// thread of its own.
    #[cfg(unix)]
    #[must_use]
    pub fn resolver(
        mut self,
        resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Connects to the Unix socket at this path instead of the network, whatever the host of the address is.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, path: impl Into<String>) -> Self {
        self.options_mut().unix_path = Some(path.into());
        self
    }

    #[cfg(unix)]
    fn options_mut(&mut self) -> &mut DialOptions {
        Arc::make_mut(&mut self.options)
    }

    /// Dials, and opens a connection; returns it with the server's answer.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    #[cfg(unix)]
    pub fn connect(&self) -> Result<(WebSocket<Stream, D>, ClientResponse), Error> {
        let start = clock::now();
        let trace = Trace::client(&self.request);
        let (stream, connecting) = trace.step(self.dial(start, &trace))?;
        self.opened(stream, connecting, trace)
    }

    #[cfg(unix)]
    fn dial(&self, start: Duration, trace: &Trace) -> Result<(Stream, Connecting), Error> {
        #[cfg(feature = "rustls")]
        let tls = Tls::new(self.tls.clone(), self.request.uri())?;
        let mut dial = Dial::new(self.request.clone(), self.options.clone(), self.config.clone(), start);
        Network {
            tcp: &*self.tcp,
            resolver: self.resolver.clone(),
            #[cfg(feature = "rustls")]
            tls,
            trace,
        }
        .dial(&mut dial)
    }

    /// Opens a connection over a stream that leads to the server already, as [`connect_with`]; returns it with the
    /// server's answer. For TLS, the stream is a `TlsStream`, or one of another library in [`Plain`](super::Plain).
    ///
    /// # Errors
    ///
    /// As [`connect`](connect()), but for those of dialling.
    pub fn connect_on<S: Transport>(&self, mut stream: S) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
        stream.set_nodelay()?;
        self.open(stream, clock::now())
    }

    fn open<S: Transport>(&self, socket: S, start: Duration) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
        let trace = Trace::client(&self.request);
        let (socket, connecting) = trace.step(self.shake_hands(socket, start))?;
        self.opened(socket, connecting, trace)
    }

    fn shake_hands<S: Transport>(&self, mut socket: S, start: Duration) -> Result<(S, Connecting), Error> {
        let mut connecting = Connecting::new(&self.request, random()?, self.config.clone(), start);
        let mut error = None;
        let opened = drive(&mut Own(&mut connecting), &mut socket, None, &mut error);
        match opened {
            Ok(true) => Ok((socket, connecting)),
            Ok(false) => Err(not_opened(connecting.result(), error)),
            Err(paused) => Err(not_opened(connecting.result(), Some(paused))),
        }
    }

    fn opened<S: Transport>(
        &self,
        socket: S,
        connecting: Connecting,
        trace: Trace,
    ) -> Result<(WebSocket<S, D>, ClientResponse), Error> {
        let (driver, response) = connecting.into_driver(self.delivery.clone(), random()?, ThreadBuffers);
        let subprotocol = response.subprotocol().map(Box::from);
        Ok((WebSocket::new(socket, driver, subprotocol, trace), response))
    }
}

impl<D: fmt::Debug> fmt::Debug for Connector<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, delivery, config, .. } = self;
        f.debug_struct("Connector")
            .field("request", request)
            .field("delivery", delivery)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

fn request(uri: &str) -> Result<ClientRequest, HandshakeError> {
    Ok(ClientRequest::new(uri.parse()?))
}

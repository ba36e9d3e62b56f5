//! The opening handshake of a client over a stream.

use std::boxed::Box;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::clock;
#[cfg(unix)]
use super::dial::{TcpOptions, dial};
use super::io::{Own, drive};
#[cfg(unix)]
use super::stream::Stream;
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::trace::Trace;
use crate::adapter::{Deadline, ThreadBuffers, default_config, not_opened, random};
use crate::driver::{Connecting, Driver};
use crate::handshake::{ClientRequest, ClientResponse};
use crate::{Config, Delivery, Error, HandshakeError, Messages};

/// Opens a connection to a `ws://` or `wss://` address, with the defaults of [`Config`].
///
/// Tries every address of the host in turn, and turns off Nagle's algorithm (`TCP_NODELAY`). `wss` needs the feature
/// `rustls`, and trusts whom the system trusts. A [`Connector`] sends header fields, offers subprotocols, takes another
/// configuration, and returns what the server answered.
///
/// RFC 6455 section 4.1 has browsers open at most one connection to an address at a time. That protects servers from
/// pages; nothing here waits for other connections of the process.
///
/// # Errors
///
/// [`Error::Handshake`] for an address that is none, for `wss` without the feature `rustls` (nothing is dialled), for a
/// server that does not prove to be the host of a `wss` address (nothing of WebSocket is sent), that refused
/// ([`Refused`](HandshakeError::Refused) holds its answer) or broke the handshake's rules, or when the time was up
/// ([`TimedOut`](HandshakeError::TimedOut)); [`Error::Io`] when nothing could be reached, or the stream failed.
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
    tcp: Box<TcpOptions>,
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
            tcp: Box::new(|_| Ok(())),
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
            tcp: self.tcp,
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

    /// Dials, and opens a connection; returns it with the server's answer.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    #[cfg(unix)]
    pub fn connect(&self) -> Result<(WebSocket<Stream, D>, ClientResponse), Error> {
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

        let tcp = dial(uri, Deadline::of_handshake(&self.config, start))?;
        tcp.set_nodelay(true)?;
        (self.tcp)(&tcp)?;
        #[cfg(feature = "rustls")]
        if let Some(session) = session {
            return self.open(super::tls::TlsStream::new(tcp, session).into(), start);
        }
        self.open(tcp.into(), start)
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
        let (socket, driver, response) = trace.step(self.shake_hands(socket, start))?;
        let subprotocol = response.subprotocol().map(Box::from);
        Ok((WebSocket::new(socket, driver, subprotocol, trace), response))
    }

    fn shake_hands<S: Transport>(
        &self,
        mut socket: S,
        start: Duration,
    ) -> Result<(S, Driver<D, ThreadBuffers>, ClientResponse), Error> {
        let (nonce, seed) = (random()?, random()?);
        let mut connecting = Connecting::new(&self.request, nonce, self.config.clone(), start);
        let mut error = None;
        let opened = drive(&mut Own(&mut connecting), &mut socket, None, &mut error);
        match opened {
            Ok(true) => {}
            Ok(false) => return Err(not_opened(connecting.result(), error)),
            Err(paused) => return Err(not_opened(connecting.result(), Some(paused))),
        }
        let (driver, response) = connecting.into_driver(self.delivery.clone(), seed, ThreadBuffers);
        Ok((socket, driver, response))
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

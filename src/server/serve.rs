//! The loop of a server: connections to hyper, requests to routes, and the end of it all.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::ErrorKind::{ConnectionAborted, ConnectionReset};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming as Body};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::endpoint::Endpoint;
use super::listener::Listener;
use super::request::Request;
use super::response::{Response, text};
use super::router::{Answer, Found, Router};
use super::session::Session;
use super::sessions::Sessions;
use crate::HandshakeError;
use crate::Messages;
use crate::handshake::{HeadError, RequestError};
use crate::session::{Failure, catch_panic};
#[cfg(feature = "rustls")]
use crate::tokio::TlsStream;
use crate::tokio::clock;
use crate::upgrade;
use crate::upgrade::hyper::deadline::{Deadline, before};
use crate::upgrade::hyper::{Guarded, UpgradeRequest};

/// Serves the routes on all connections of `listener` (a [`TcpListener`](tokio::net::TcpListener), or a [`Listener`] with
/// TLS) until `shutdown` is done.
///
/// Then it takes no more connections, closes every session with 1001 behind what is queued for it, lets requests of
/// plain HTTP be answered, and returns once all have ended, or [`Router::shutdown_timeout`] is over. (A function notices
/// with the next verb of its connection. One that was taken apart by [`into_inner`](super::WebSocket::into_inner) is no
/// session any more.)
///
/// Whatever becomes of one connection, the others go on. How many there are at a time is bounded by the file descriptors
/// of the process: where none is left, it tries again after 100 ms.
///
/// Dropped before it is done, sessions that are open go on.
pub async fn serve(listener: impl Into<Listener>, router: Router, shutdown: impl Future<Output = ()>) {
    let listener = listener.into();
    let server = Arc::new(Server { router, sessions: Arc::default() });
    let (closing, mut connections) = (watch::Sender::new(false), JoinSet::new());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = poll_fn(|context| {
            // What has ended is forgotten.
            while let Poll::Ready(Some(_)) = connections.poll_join_next(context) {}
            if shutdown.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(context).map(Some)
        });
        match accepted.await {
            None => break,
            Some(Ok((tcp, peer))) => {
                // Where this fails, so will reading.
                let _ = tcp.set_nodelay(true);
                server.connect(&listener, tcp, peer, &closing, &mut connections);
            }
            // A connection that ended before it was taken.
            Some(Err(error)) if matches!(error.kind(), ConnectionAborted | ConnectionReset) => {}
            Some(Err(_)) if tokio::time::timeout(PAUSE, &mut shutdown).await.is_ok() => break,
            Some(Err(_)) => {}
        }
    }
    drop(listener);
    server.sessions.close();
    closing.send_replace(true);
    let ended = async {
        while connections.join_next().await.is_some() {}
        server.sessions.ended().await;
    };
    if tokio::time::timeout(server.router.patience(), ended).await.is_err() {
        server.sessions.abort();
        // Their values are dropped before this returns; unless one of them never comes back from a poll.
        let _ = tokio::time::timeout(PAUSE, server.sessions.ended()).await;
    }
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    router: Router,
    sessions: Arc<Sessions>,
}

impl Server {
    fn connect(
        self: &Arc<Self>,
        #[cfg_attr(not(feature = "rustls"), expect(unused_variables, reason = "it knows of TLS alone"))]
        listener: &Listener,
        tcp: TcpStream,
        peer: SocketAddr,
        closing: &watch::Sender<bool>,
        connections: &mut JoinSet<()>,
    ) {
        #[cfg(feature = "rustls")]
        if let Some(tls) = listener.tls_config() {
            match TlsStream::server(tcp, Arc::clone(tls)) {
                Ok(stream) => self.speak_http(stream, peer, closing, connections),
                Err(error) => self.report(peer, error.into()),
            }
            return;
        }
        self.speak_http(tcp, peer, closing, connections);
    }

    /// Has hyper serve a connection.
    fn speak_http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        stream: S,
        peer: SocketAddr,
        closing: &watch::Sender<bool>,
        connections: &mut JoinSet<()>,
    ) {
        let config = self.router.shared_config();
        let server = Arc::clone(self);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move {
                let asks_for_upgrade = request.headers().contains_key(header::UPGRADE);
                let mut response = server.answer(request, peer).await;
                if asks_for_upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    // A proxy may forward what follows such a request without looking at the status.
                    response = close_after(response);
                }
                Ok::<_, Infallible>(response.map(Full::new))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.handshake_timeout)
            .max_headers(config.max_head_fields.clamp(1, crate::Config::MAX_HEAD_FIELDS))
            .max_buf_size(config.max_head.max(LEAST_HEAD))
            .serve_connection(TokioIo::new(Guarded::new(stream, config.write_timeout)), service)
            .with_upgrades();
        let mut closing = closing.subscribe();
        connections.spawn(async move {
            let mut connection = pin!(connection);
            let mut closes = pin!(closing.wait_for(|closing| *closing));
            let mut told = false;
            let ended = poll_fn(|context| {
                if !told && closes.as_mut().poll(context).is_ready() {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                connection.as_mut().poll(context)
            });
            // How a connection of plain HTTP ended is nobody's concern.
            let _ = ended.await;
        });
    }

    async fn answer(self: &Arc<Self>, mut request: hyper::Request<Body>, peer: SocketAddr) -> Response {
        // hyper stops reading there, but takes what it has read by then.
        if least_head(&request) > self.router.shared_config().max_head.max(LEAST_HEAD) {
            return refuse(&RequestError::Head(HeadError::TooLong { limit: 16 << 10 }).into());
        }
        let found = self.router.find(request.uri().path());
        let endpoint = if let Found::Route(route, _) = &found { route.endpoint() } else { None };
        let config = endpoint.and_then(Endpoint::own_config).unwrap_or(self.router.shared_config());
        let start = clock::now();
        let deadline = Deadline::of_handshake(config, start);
        let incoming = match upgrade::hyper::receive(&mut request, Arc::clone(config)) {
            Ok(incoming) => incoming,
            Err(error) => return refuse(&error),
        };
        let asked = Request::new(incoming.request().clone(), peer);
        let (answer, asked) = match found {
            Found::Invalid => return refuse(&RequestError::Target.into()),
            Found::Nothing => (self.router.fallback_answer(), asked),
            Found::Route(route, params) => {
                let asked = asked.with_params(params);
                if incoming.request().is_upgrade()
                    && let Some(endpoint) = route.endpoint()
                {
                    return self.upgrade(incoming, asked, endpoint, deadline).await;
                }
                match route.answer(asked.method()) {
                    Some(answer) => (answer, asked),
                    None => return no_such_method(&route.allow()),
                }
            }
        };
        let longest = self.router.longest_body();
        let too_long = || close_after(text(413, "the body is too long\n"));
        // One that says so itself is not waited for.
        if usize::try_from(request.body().size_hint().lower()).map_or(true, |len| len > longest) {
            return too_long();
        }
        let read = Limited::new(request.into_body(), longest).collect();
        match before(deadline, read).await {
            Err(error) => refuse(&error),
            Ok(Err(error)) if error.is::<LengthLimitError>() => too_long(),
            Ok(Err(_)) => close_after(text(400, "the body did not come whole\n")),
            Ok(Ok(body)) => self.call(answer, asked.with_body(body.to_bytes()), peer).await,
        }
    }

    /// Answers a request of plain HTTP. A panic takes nobody else down.
    async fn call(&self, answer: &Answer, request: Request, peer: SocketAddr) -> Response {
        let answered = pin!(async { Ok(answer(request).await) });
        match catch_panic(answered).await {
            Ok(response) => response,
            Err(failure) => {
                self.report_failure(peer, &failure);
                text(500, "")
            }
        }
    }

    /// Answers a request for a WebSocket.
    async fn upgrade(
        self: &Arc<Self>,
        incoming: UpgradeRequest,
        asked: Request,
        endpoint: &Endpoint,
        deadline: Option<Deadline>,
    ) -> Response {
        let peer = asked.peer_address();
        let chosen = {
            let choosing = pin!(async { Ok(before(deadline, endpoint.choose(&asked)).await) });
            catch_panic(choosing).await
        };
        let choices = match chosen {
            Ok(Ok(Ok(choices))) => choices,
            Ok(Ok(Err(refusal))) => return close_after(refusal),
            Ok(Err(error)) => return refuse(&error),
            Err(failure) => {
                self.report_failure(peer, &failure);
                return close_after(text(500, ""));
            }
        };
        let (response, opening) = match incoming.accept(&choices, Messages) {
            Ok(accepted) => accepted,
            Err(error) => {
                let response = refuse(&error);
                if response.status().is_server_error() {
                    self.report(peer, error.into());
                }
                return response;
            }
        };
        let (server, endpoint, opens) = (Arc::clone(self), endpoint.clone(), self.sessions.open());
        // In a task of its own, since hyper lets the connection go only once the answer is written; and the session in
        // another one, which is no larger than a session.
        tokio::spawn(async move {
            match opening.open().await {
                Ok(mut ws) => {
                    let session = endpoint.session(Arc::downgrade(&server), &mut ws, asked);
                    server.sessions.enter(session.clone());
                    session.runs_in(endpoint.start(ws, Entered(session.clone())));
                    server.sessions.started(&session);
                }
                Err(error) => server.report(peer, error),
            }
            drop(opens);
        });
        response.map(Bytes::from)
    }

    fn report(&self, peer: SocketAddr, error: crate::Error) {
        self.report_failure(peer, &Failure::Connection(error));
    }

    pub(super) fn report_failure(&self, peer: SocketAddr, failure: &Failure) {
        (self.router.report())(peer, failure);
    }
}

/// A session that is open, in the hands of its task. It has ended when this is dropped.
pub(super) struct Entered(pub(super) Session);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.ended();
        if let Some(server) = self.0.server() {
            server.sessions.leave(&self.0);
        }
    }
}

/// The bytes of a request's head, but for spaces that may have stood in its fields.
fn least_head<B>(request: &hyper::Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ":\r\n".len());
    request.method().as_str().len() + target + "  HTTP/1.1\r\n\r\n".len() + fields.sum::<usize>()
}

/// The answer to a method that nothing here answers.
fn no_such_method(allow: &str) -> Response {
    if allow.is_empty() {
        return refuse(&RequestError::NoUpgrade.into());
    }
    let mut response = text(405, "this cannot be done here\n");
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn refuse(error: &HandshakeError) -> Response {
    upgrade::http::refuse(error).map(Bytes::from)
}

/// Makes hyper close the connection: bytes that follow the request must not be read as another one.
fn close_after(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Until it tries again where no connection can be taken, or no task be ended.
const PAUSE: Duration = Duration::from_millis(100);

/// hyper reads no less.
const LEAST_HEAD: usize = 8 << 10;

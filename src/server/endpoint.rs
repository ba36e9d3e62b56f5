//! What a WebSocket of a route does, and how it is opened.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::string::String;
use std::sync::{Arc, Weak};
use std::vec::Vec;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::request::Request;
use super::response::Response;
use super::serve::{Entered, Server};
use super::session::Session;
use super::websocket::WebSocket;
use crate::CloseCode;
use crate::Config;
use crate::handshake::AcceptOptions;
use crate::handshake::OriginPolicy;
use crate::session::{BoxError, Failure, Handler, catch_panic, run, start_close};
use crate::tokio::WhenFull;
use crate::upgrade::hyper::Socket;
use crate::{Error, SendError};

/// A WebSocket of a route, from [`websocket`] or [`handler`].
///
/// By default: the bounds of the router, pages of the same origin, no subprotocol, everybody, and a queue of 1 MiB for
/// each session whose senders wait ([`Topics`](super::Topics) wait for no session).
///
/// ```
/// use bowsprit::tokio::WhenFull;
/// use bowsprit::server::{WebSocket, text, websocket};
///
/// let endpoint = websocket(async |ws: WebSocket| drop(ws))
///     .subprotocols(&["chat.v2", "chat.v1"])
///     .queue(64 << 10, WhenFull::Disconnect)
///     .accept(async |request, accept| match request.cookie("user") {
///         Some(_) => Ok(accept),
///         None => Err(text(403, "sign in first\n")),
///     });
/// # let _ = endpoint;
/// ```
#[derive(Clone)]
pub struct Endpoint {
    start: Arc<Start>,
    config: Option<Arc<Config>>,
    origin: OriginPolicy,
    subprotocols: Vec<String>,
    accept: Option<Arc<Choose>>,
    queue: (usize, WhenFull),
}

/// Starts the task of a session.
type Start = dyn Fn(crate::tokio::WebSocket<Socket>, Entered) -> AbortHandle + Send + Sync;

type Choose = dyn Fn(Request, AcceptOptions) -> Pin<Box<dyn Future<Output = Result<AcceptOptions, Response>> + Send>>
    + Send
    + Sync;

/// The queue of a session, in bytes, unless told otherwise.
const QUEUE: usize = 1 << 20;

/// A WebSocket that a function serves, in a task of its own. When the function returns, the connection is closed.
///
/// ```
/// use bowsprit::server::{WebSocket, websocket};
/// use bowsprit::session::BoxError;
///
/// async fn hello(mut ws: WebSocket) -> Result<(), BoxError> {
///     ws.send("Hello!").await?;
///     Ok(())
/// }
/// let endpoint = websocket(hello);
/// # let _ = endpoint;
/// ```
pub fn websocket<F, Serving>(function: F) -> Endpoint
where
    F: Fn(WebSocket) -> Serving + Send + Sync + 'static,
    Serving: Future<Output: Outcome> + Send + 'static,
{
    let function = Arc::new(function);
    Endpoint::new(move |ws, entered| {
        let function = Arc::clone(&function);
        let serving = async move {
            let (home, returned) = oneshot::channel();
            let served = {
                let session = entered.0.clone();
                // The call itself may panic.
                // In one expression: a future in a variable would be held twice.
                let serving = pin!(async move { function(WebSocket::new(ws, session, home)).await.into_result() });
                catch_panic(serving).await
            };
            // In a box: the task is as large as what it awaits, and most of its time that is the function.
            Box::pin(returned_from(served, returned, &entered.0)).await;
        };
        tokio::spawn(serving).abort_handle()
    })
}

/// A function has returned, or panicked.
async fn returned_from(
    served: Result<(), Failure>,
    returned: oneshot::Receiver<crate::tokio::WebSocket<Socket>>,
    session: &Session,
) {
    let failure = served.err().and_then(failure_of);
    if let Some(failure) = &failure {
        session.report(failure);
    }
    // Wherever the function has left it: until it is dropped there. Where it was taken apart, it is nobody's.
    if let Ok(ws) = returned.await {
        close(ws, failure, session).await;
    }
}

/// What a function failed with. The error of its connection may be passed on; and who learns from one that the connection
/// is closing has not failed.
fn failure_of(served: Failure) -> Option<Failure> {
    let Failure::Handler(error) = served else { return Some(served) };
    match error.downcast() {
        Ok(error) if matches!(*error, Error::Send(SendError::Closing)) => None,
        Ok(error) => Some(Failure::Connection(*error)),
        Err(error) if matches!(error.downcast_ref(), Some(SendError::Closing)) => None,
        Err(error) => Some(Failure::Handler(error)),
    }
}

/// Closes a connection that nobody serves any more.
async fn close(mut ws: crate::tokio::WebSocket<Socket>, failure: Option<Failure>, session: &Session) {
    let how = failure.as_ref().map_or(CloseCode::NORMAL.into(), Failure::close);
    start_close(&mut ws, session.sender(), Some(how)).await;
    ws.finish().await;
}

/// A WebSocket that a [`Handler`] is told of: `make` gives one for each connection.
///
/// ```
/// use bowsprit::server::{Session, handler};
/// use bowsprit::session::{BoxError, Handler};
/// use bowsprit::{Message, OwnedMessage};
///
/// struct Echo;
///
/// impl Handler<Session> for Echo {
///     async fn on_message(&mut self, _: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
///         Ok(Some(message.to_owned()))
///     }
/// }
/// let endpoint = handler(|_| Echo);
/// # let _ = endpoint;
/// ```
pub fn handler<H: Handler<Session> + 'static>(make: impl Fn(&Session) -> H + Send + Sync + 'static) -> Endpoint {
    Endpoint::new(move |mut ws, entered| {
        // A panic in a callback takes nobody else down, and nor does one before there is a handler.
        match catch_unwind(AssertUnwindSafe(|| make(&entered.0))) {
            Ok(mut handler) => tokio::spawn(async move {
                run(&mut ws, entered.0.sender(), &entered.0, &mut handler).await;
                drop((ws, handler));
                drop(entered);
            }),
            Err(payload) => {
                let failure = Failure::panic(&*payload);
                entered.0.report(&failure);
                tokio::spawn(async move { close(ws, Some(failure), &entered.0).await })
            }
        }
        .abort_handle()
    })
}

impl Endpoint {
    fn new(start: impl Fn(crate::tokio::WebSocket<Socket>, Entered) -> AbortHandle + Send + Sync + 'static) -> Self {
        Self {
            start: Arc::new(start),
            config: None,
            origin: OriginPolicy::default(),
            subprotocols: Vec::new(),
            accept: None,
            queue: (QUEUE, WhenFull::default()),
        }
    }

    /// Bounds, deadlines, keep-alive and compression, instead of the [router's](super::Router::config).
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Accepts pages of these origins.
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.origin = policy;
        self
    }

    /// Agrees to the first of these, the server's preference, that the client offers; to none when it offers none.
    #[must_use]
    pub fn subprotocols(mut self, supported: &[&str]) -> Self {
        self.subprotocols = supported.iter().copied().map(String::from).collect();
        self
    }

    /// The queue of each session in bytes (zero means one), and what becomes of a message that finds it full.
    #[must_use]
    pub const fn queue(mut self, max: usize, when_full: WhenFull) -> Self {
        self.queue = (max, when_full);
        self
    }

    /// Lets `choose` decide on each request, with all the time until [`Config::handshake_timeout`]: it is given the
    /// request and what the settings here make of it, and returns that, changed or not; or the response of plain HTTP
    /// that refuses it.
    ///
    /// To choose a subprotocol that the client has not offered is an error of the server's: the client is answered 500,
    /// and [`Router::on_error`](super::Router::on_error) is told.
    #[must_use]
    pub fn accept<F, Choosing>(mut self, choose: F) -> Self
    where
        F: Fn(Request, AcceptOptions) -> Choosing + Send + Sync + 'static,
        Choosing: Future<Output = Result<AcceptOptions, Response>> + Send + 'static,
    {
        self.accept = Some(Arc::new(move |request, accept| Box::pin(choose(request, accept))));
        self
    }

    pub(super) const fn own_config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// What this request is answered.
    pub(super) async fn choose(&self, request: &Request) -> Result<AcceptOptions, Response> {
        let supported: Vec<_> = self.subprotocols.iter().map(String::as_str).collect();
        let mut accept = AcceptOptions::new().origin(self.origin.clone());
        if let Some(name) = request.head().select_subprotocol(&supported) {
            accept = accept.subprotocol(name);
        }
        match &self.accept {
            Some(choose) => choose(request.clone(), accept).await,
            None => Ok(accept),
        }
    }

    /// The session of a connection that has opened.
    pub(super) fn session(
        &self,
        server: Weak<Server>,
        ws: &mut crate::tokio::WebSocket<Socket>,
        request: Request,
    ) -> Session {
        let (max, when_full) = self.queue;
        let sender = ws.sender(max, when_full);
        Session::new(server, request, ws.subprotocol(), ws.extensions().clone(), sender)
    }

    /// Starts the task of a session.
    pub(super) fn start(&self, ws: crate::tokio::WebSocket<Socket>, entered: Entered) -> AbortHandle {
        (self.start)(ws, entered)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, origin, subprotocols, queue, .. } = self;
        f.debug_struct("Endpoint")
            .field("config", config)
            .field("origin", origin)
            .field("subprotocols", subprotocols)
            .field("queue", queue)
            .finish_non_exhaustive()
    }
}

/// What a function that serves a WebSocket may return: nothing, or a `Result` with any error.
pub trait Outcome {
    /// The error, if it is one.
    ///
    /// # Errors
    ///
    /// What the function failed with.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

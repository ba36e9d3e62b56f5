//! Which path leads where.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use http::Method;

use super::endpoint::Endpoint;
use super::request::{Params, Request, decode};
use super::response::{Response, text};
use crate::Config;
use crate::adapter::default_config;
use crate::session::Failure;

/// The paths of a server, and what lies there.
///
/// A path is literal except for its parameters: `/chat/{room}` matches one segment, `/files/{*path}` the remainder of the
/// path. A literal segment has precedence over a parameter. [`Request::param`] returns the parameters decoded; a request
/// whose parameter is not valid is answered with 400.
///
/// **Files.** A parameter such as `{*path}` is chosen by the client, and may hold `..`, an absolute path or a NUL. Do not
/// join it to a directory as it is: accept it only if all components of `std::path::Path::new(path)` are
/// `std::path::Component::Normal`.
///
/// ```
/// use bowsprit::server::{Request, Router, WebSocket, get, html, text, websocket};
///
/// async fn echo(mut ws: WebSocket) {
///     while let Ok(Some((message, out))) = ws.next().await {
///         if out.feed(message).await.is_err() {
///             break;
///         }
///     }
/// }
///
/// let router = Router::new()
///     .route("/", get(async |_: Request| html("a page")).websocket(websocket(echo))) // both, on one path
///     .route("/echo/{who}", websocket(echo))
///     .fallback(async |_: Request| text(404, "there is nothing here\n"));
/// # let _ = router;
/// ```
pub struct Router {
    routes: matchit::Router<Entry>,
    fallback: Answer,
    config: Arc<Config>,
    max_body: usize,
    shutdown_timeout: Duration,
    report: Box<Report>,
}

/// A route, and the name of the parameter that matches several segments.
struct Entry {
    route: Arc<Route>,
    wildcard: Option<Box<str>>,
}

/// Called for failures that no handler is notified of.
type Report = dyn Fn(SocketAddr, &Failure) + Send + Sync;

/// Answers a request of plain HTTP.
pub(super) type Answer = Arc<dyn Fn(Request) -> Answering + Send + Sync>;
pub(super) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Router {
    /// Without a path: everything is answered 404.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routes: matchit::Router::new(),
            fallback: answer(async |_| text(404, "there is nothing here\n")),
            config: default_config(),
            max_body: 1 << 20,
            shutdown_timeout: Duration::from_secs(30),
            report: Box::new(|_, _| ()),
        }
    }

    /// What lies at a path.
    ///
    /// # Panics
    ///
    /// For a path that cannot be told from one before it, or has braces in the wrong places.
    #[must_use]
    pub fn route(mut self, path: &str, route: impl Into<Route>) -> Self {
        let wildcard = path.split_once("{*").and_then(|(_, rest)| Some(rest.split_once('}')?.0.into()));
        if let Err(error) = self.routes.insert(path, Entry { route: Arc::new(route.into()), wildcard }) {
            panic!("the path {path:?}: {error}");
        }
        self
    }

    /// Answers requests for any other path, WebSocket or not: by default with 404.
    #[must_use]
    pub fn fallback<F, Answering>(mut self, function: F) -> Self
    where
        F: Fn(Request) -> Answering + Send + Sync + 'static,
        Answering: Future<Output = Response> + Send + 'static,
    {
        self.fallback = answer(function);
        self
    }

    /// Bounds, deadlines, keep-alive and compression of all endpoints that have no others; and on every path what a head
    /// may hold, how long it may take, and for how long a client may take nothing of a response
    /// ([`Config::write_timeout`]). By default those of [`Config`].
    ///
    /// Of [`Config::max_head`], at least 8 KiB are read.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// The longest body of a request of plain HTTP, in bytes; beyond it, 413. By default 1 MiB. It has to be there within
    /// [`Config::handshake_timeout`], behind its head; else, 408.
    #[must_use]
    pub const fn max_body(mut self, max: usize) -> Self {
        self.max_body = max;
        self
    }

    /// How long all sessions and requests may take to end once the server shuts down; what is left then is dropped, and no
    /// handler is told of that. By default 30 s.
    #[must_use]
    pub const fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Is told of what no handler is told of: what a function of an endpoint returned or panicked with, a connection
    /// that did not open although it was agreed on, an answer that could not be given. By default nobody is.
    #[must_use]
    pub fn on_error(mut self, report: impl Fn(SocketAddr, &Failure) + Send + Sync + 'static) -> Self {
        self.report = Box::new(move |peer, failure: &Failure| {
            // Whatever comes of it, the connection that it is about is closed as it should be.
            let _ = catch_unwind(AssertUnwindSafe(|| report(peer, failure)));
        });
        self
    }

    /// The route of this path, and its parameters.
    pub(super) fn find(&self, path: &str) -> Found<'_> {
        let Ok(found) = self.routes.at(path) else { return Found::Nothing };
        let Entry { route, wildcard } = found.value;
        match decode(found.params.iter(), wildcard.as_deref()) {
            Some(params) => Found::Route(route, params),
            None => Found::Invalid,
        }
    }

    pub(super) fn fallback_answer(&self) -> &Answer {
        &self.fallback
    }

    pub(super) const fn shared_config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) const fn longest_body(&self) -> usize {
        self.max_body
    }

    pub(super) const fn patience(&self) -> Duration {
        self.shutdown_timeout
    }

    pub(super) fn report(&self) -> &Report {
        &*self.report
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, max_body, shutdown_timeout, .. } = self;
        f.debug_struct("Router")
            .field("config", config)
            .field("max_body", max_body)
            .field("shutdown_timeout", shutdown_timeout)
            .finish_non_exhaustive()
    }
}

/// What lies at a path.
pub(super) enum Found<'r> {
    Route(&'r Arc<Route>, Params),
    Nothing,
    /// A parameter is not valid.
    Invalid,
}

/// What lies at a path: answers to methods of plain HTTP, and a WebSocket.
#[derive(Default)]
pub struct Route {
    methods: Vec<(Method, Answer)>,
    websocket: Option<Endpoint>,
}

/// A path whose page is read: answers `GET` and `HEAD`.
pub fn get<F, Answering>(function: F) -> Route
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    on(Method::GET, function)
}

/// A path that is posted to.
pub fn post<F, Answering>(function: F) -> Route
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    on(Method::POST, function)
}

/// A path that is put to.
pub fn put<F, Answering>(function: F) -> Route
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    on(Method::PUT, function)
}

/// A path whose thing is deleted.
pub fn delete<F, Answering>(function: F) -> Route
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    on(Method::DELETE, function)
}

/// A path that answers this method.
pub fn on<F, Answering>(method: Method, function: F) -> Route
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    Route::default().on(method, function)
}

impl Route {
    /// Answers this method, too. Of several for one method, the first counts.
    #[must_use]
    pub fn on<F, Answering>(mut self, method: Method, function: F) -> Self
    where
        F: Fn(Request) -> Answering + Send + Sync + 'static,
        Answering: Future<Output = Response> + Send + 'static,
    {
        self.methods.push((method, answer(function)));
        self
    }

    /// Opens a WebSocket for requests that ask for one.
    #[must_use]
    pub fn websocket(mut self, endpoint: Endpoint) -> Self {
        self.websocket = Some(endpoint);
        self
    }

    pub(super) const fn endpoint(&self) -> Option<&Endpoint> {
        self.websocket.as_ref()
    }

    /// Who answers this method. `HEAD` is answered as `GET`: hyper leaves the body out.
    pub(super) fn answer(&self, method: &str) -> Option<&Answer> {
        let find = |method| self.methods.iter().find_map(|(known, answer)| (known == method).then_some(answer));
        find(method).or_else(|| if method == "HEAD" { find("GET") } else { None })
    }

    /// The methods that are answered, as `Allow` lists them. Empty: a WebSocket alone lies here.
    pub(super) fn allow(&self) -> String {
        let mut names = Vec::new();
        for name in self.methods.iter().map(|(method, _)| method.as_str()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.join(", ")
    }
}

impl From<Endpoint> for Route {
    fn from(endpoint: Endpoint) -> Self {
        Self::default().websocket(endpoint)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allow = self.allow();
        f.debug_struct("Route").field("methods", &allow).field("websocket", &self.websocket).finish()
    }
}

fn answer<F, Answering>(function: F) -> Answer
where
    F: Fn(Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    Arc::new(move |request| Box::pin(function(request)))
}

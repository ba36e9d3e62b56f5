//! The extractor for axum: [`WebSocketUpgrade`].
//!
//! ```no_run
//! use axum::response::Response;
//! use axum::routing::any;
//! use bowsprit::upgrade::axum::WebSocketUpgrade;
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(|mut ws| async move {
//!         while let Ok(Some((message, out))) = ws.next().await {
//!             if out.feed(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//!
//! let app: axum::Router = axum::Router::new().route("/echo", any(echo));
//! ```
//!
//! Only HTTP/1.1 opens a WebSocket so far. The extractor answers a request that cannot be accepted: 426 when it does not ask
//! for a WebSocket, else the [`status`](HandshakeError::status) of the rule that it breaks. With
//! `Option<WebSocketUpgrade>`, the handler answers plain HTTP itself. A handler that answers an upgrade request with a
//! response of its own returns it through [`WebSocketUpgrade::respond`].
//!
//! `axum::serve` sets no bounds on heads, beyond hyper's own (some 400 KB, no deadline). A server with hyper's builder sets
//! them: see [`upgrade::hyper`](super::hyper).

use std::boxed::Box;
use std::string::String;
use std::sync::Arc;

use ::http::request::Parts;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};

use super::{http, hyper};
use crate::Config;
use crate::adapter::default_config;
use crate::extension::Element;
use crate::handshake::{AcceptOptions, BuildError, OriginPolicy, RequestError, ServerRequest};
use crate::{Delivery, Messages};
use crate::{Error, HandshakeError};

/// The connection that [`WebSocketUpgrade::on_upgrade`] gives.
pub type WebSocket<D = Messages> = crate::tokio::WebSocket<hyper::Socket, D>;

/// An extractor: a request that asks for WebSocket and keeps all rules.
///
/// By default: no subprotocol, pages of the same origin only, the defaults of [`Config`].
pub struct WebSocketUpgrade<D = Messages> {
    received: hyper::UpgradeRequest,
    subprotocol: Option<String>,
    options: AcceptOptions,
    delivery: D,
    on_failed: Box<dyn FnOnce(Error) + Send>,
}

impl WebSocketUpgrade {
    fn receive(parts: &mut Parts) -> Result<Option<Self>, HandshakeError> {
        let received = hyper::receive_parts(parts, default_config())?;
        if !received.request().is_upgrade() {
            return Ok(None);
        }
        let (options, on_failed) = (AcceptOptions::new(), Box::new(|_| ()));
        Ok(Some(Self { received, subprotocol: None, options, delivery: Messages, on_failed }))
    }
}

impl<D: Delivery> WebSocketUpgrade<D> {
    /// The request: path, headers, subprotocols, extensions.
    #[must_use]
    pub const fn request(&self) -> &ServerRequest {
        self.received.request()
    }

    /// Bounds, deadlines and compression. Share one `Arc` among all connections.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.received = self.received.with_config(config);
        self
    }

    /// Accepts compressed messages, when the client offers them: [`Config::compression`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, deflate: crate::Deflate) -> Self {
        let config = Config { compression: Some(deflate), ..Config::clone(self.request().config()) };
        self.config(config)
    }

    /// Sets the policy for `Origin`: which web pages may connect.
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.options = self.options.origin(policy);
        self
    }

    /// Lets `accepts` decide which offers of extensions may be accepted: see [`AcceptOptions::extensions`].
    #[must_use]
    pub fn extensions(
        mut self,
        accepts: impl Fn(&ServerRequest, &Element<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.options = self.options.extensions(accepts);
        self
    }

    /// Agrees to the first of these, the server's preference, that the client offers; to none when it offers none.
    #[must_use]
    pub fn subprotocols(mut self, supported: &[&str]) -> Self {
        self.subprotocol = self.request().select_subprotocol(supported).map(String::from);
        self
    }

    /// The subprotocol that will be agreed on.
    #[must_use]
    pub fn selected_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends another header with the 101.
    ///
    /// # Errors
    ///
    /// [`BuildError::ReservedHeader`] for a header that the handshake or HTTP sets itself; [`BuildError::InvalidHeader`] when
    /// the name is not a token or the value holds control characters. The error is a response, too: 500.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        self.options = self.options.header(name, value)?;
        Ok(self)
    }

    /// Answers with another response, which must not be a 101. It gets `Connection: close`: the client may have sent frames
    /// already, and the server must not read them as another request.
    #[must_use]
    pub fn respond(self, response: impl IntoResponse) -> Response {
        self.received.respond(response.into_response())
    }

    /// How messages are handed out: [`Messages`] or [`Chunks`](crate::Chunks).
    #[must_use]
    pub fn delivery<E: Delivery>(self, delivery: E) -> WebSocketUpgrade<E> {
        let Self { received, subprotocol, options, on_failed, .. } = self;
        WebSocketUpgrade { received, subprotocol, options, delivery, on_failed }
    }

    /// Calls `callback` with the error when the connection does not open although the 101 was returned. By default the error
    /// is dropped.
    #[must_use]
    pub fn on_failed_upgrade(mut self, callback: impl FnOnce(Error) + Send + 'static) -> Self {
        self.on_failed = Box::new(callback);
        self
    }

    /// Accepts the handshake: returns the 101, and runs `callback` with the connection in a new task. When the handshake cannot be
    /// accepted, such as for an `Origin` that the policy refuses, it returns the refusal and does not run `callback`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use = "the connection opens once the response is returned"]
    pub fn on_upgrade<F, Task>(self, callback: F) -> Response
    where
        D: Send + 'static,
        F: FnOnce(WebSocket<D>) -> Task + Send + 'static,
        Task: Future<Output = ()> + Send + 'static,
    {
        let Self { received, subprotocol, mut options, delivery, on_failed } = self;
        if let Some(name) = &subprotocol {
            options = options.subprotocol(name);
        }
        let (response, opening) = match received.accept(&options, delivery) {
            Ok(accepted) => accepted,
            Err(error) => return error.into_response(),
        };
        tokio::spawn(async move {
            match opening.open().await {
                Ok(ws) => callback(ws).await,
                Err(error) => on_failed(error),
            }
        });
        response.into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = HandshakeError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HandshakeError> {
        Self::receive(parts)?.ok_or(RequestError::NoUpgrade.into())
    }
}

/// `None` for plain HTTP, so that a page and a WebSocket can share a route.
impl<S: Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = HandshakeError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, HandshakeError> {
        Self::receive(parts)
    }
}

impl<D: std::fmt::Debug> std::fmt::Debug for WebSocketUpgrade<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { received, subprotocol, options, delivery, on_failed: _ } = self;
        f.debug_struct("WebSocketUpgrade")
            .field("received", received)
            .field("subprotocol", subprotocol)
            .field("options", options)
            .field("delivery", delivery)
            .finish_non_exhaustive()
    }
}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        http::refuse(&self).into_response()
    }
}

impl IntoResponse for BuildError {
    fn into_response(self) -> Response {
        HandshakeError::from(self).into_response()
    }
}

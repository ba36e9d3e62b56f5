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
//! HTTP/1.1 alone opens a WebSocket so far. A request that does not is answered by the extractor: 426 when it asks for
//! none, else the [`status`](HandshakeError::status) of the rule that it breaks. `Option<WebSocketUpgrade>` leaves the
//! former to the handler.

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
use crate::handshake::OriginPolicy;
use crate::handshake::server::{Accept, Request};
use crate::{Delivery, Messages};
use crate::{Error, HandshakeError};

/// The connection that [`WebSocketUpgrade::on_upgrade`] gives.
pub type WebSocket<D = Messages> = crate::tokio::WebSocket<hyper::Socket, D>;

/// A request that asks for WebSocket and keeps all rules: an extractor.
///
/// By default: no subprotocol, pages of the same origin only, the defaults of [`Config`].
pub struct WebSocketUpgrade<D = Messages> {
    incoming: hyper::Incoming,
    subprotocol: Option<String>,
    choices: Accept,
    delivery: D,
    on_failed: Box<dyn FnOnce(Error) + Send>,
}

impl WebSocketUpgrade {
    fn receive(parts: &mut Parts) -> Result<Option<Self>, HandshakeError> {
        let incoming = hyper::receive_parts(parts, default_config())?;
        if !incoming.request().is_upgrade() {
            return Ok(None);
        }
        let (choices, on_failed) = (Accept::new(), Box::new(|_| ()));
        Ok(Some(Self { incoming, subprotocol: None, choices, delivery: Messages, on_failed }))
    }
}

impl<D: Delivery> WebSocketUpgrade<D> {
    /// What the client asks for: path, header fields, subprotocols, extensions.
    #[must_use]
    pub const fn request(&self) -> &Request {
        self.incoming.request()
    }

    /// Bounds, deadlines and compression. Share one `Arc` among all connections.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        *self.incoming.config_mut() = config.into();
        self
    }

    /// Accepts compressed messages, when the client offers them: [`Config::compression`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(mut self, deflate: crate::Deflate) -> Self {
        Arc::make_mut(self.incoming.config_mut()).compression = Some(deflate);
        self
    }

    /// Accepts pages of these origins.
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.choices = self.choices.origin(policy);
        self
    }

    /// Lets `choose` decide which offers of extensions may be accepted, as [`Accept::extensions`].
    #[must_use]
    pub fn extensions(mut self, choose: impl Fn(&Request, &Element<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.choices = self.choices.extensions(choose);
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

    /// Sends another header field with the 101, as [`Accept::header`].
    ///
    /// # Errors
    ///
    /// As [`Accept::header`]. The error is a response, too: 500.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HandshakeError> {
        self.choices = self.choices.header(name, value)?;
        Ok(self)
    }

    /// How messages are handed out: [`Messages`] or [`Chunks`](crate::Chunks).
    #[must_use]
    pub fn delivery<E: Delivery>(self, delivery: E) -> WebSocketUpgrade<E> {
        let Self { incoming, subprotocol, choices, on_failed, .. } = self;
        WebSocketUpgrade { incoming, subprotocol, choices, delivery, on_failed }
    }

    /// Is told why when the connection does not open although the 101 was returned. Without it nobody is.
    #[must_use]
    pub fn on_failed_upgrade(mut self, callback: impl FnOnce(Error) + Send + 'static) -> Self {
        self.on_failed = Box::new(callback);
        self
    }

    /// The response: the 101, and then this runs in a task of its own; or the refusal, when the policy for `Origin`
    /// says so, and it does not run.
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
        let Self { incoming, subprotocol, mut choices, delivery, on_failed } = self;
        if let Some(name) = &subprotocol {
            choices = choices.subprotocol(name);
        }
        let (response, opening) = match incoming.accept(&choices, delivery) {
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
    /// Answers with its status.
    type Rejection = HandshakeError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HandshakeError> {
        Self::receive(parts)?.ok_or(HandshakeError::NoUpgrade)
    }
}

/// `None` for plain HTTP: a page and a WebSocket may share a route.
impl<S: Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = HandshakeError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, HandshakeError> {
        Self::receive(parts)
    }
}

impl<D: std::fmt::Debug> std::fmt::Debug for WebSocketUpgrade<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { incoming, subprotocol, choices, delivery, on_failed: _ } = self;
        f.debug_struct("WebSocketUpgrade")
            .field("incoming", incoming)
            .field("subprotocol", subprotocol)
            .field("choices", choices)
            .field("delivery", delivery)
            .finish_non_exhaustive()
    }
}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        http::refuse(&self).into_response()
    }
}

//! The server's side: from a request of hyper to an open connection.

use std::boxed::Box;
use std::string::String;
use std::sync::Arc;

use ::http::Extensions;
#[cfg(feature = "axum")]
use ::http::request;
use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};

use super::deadline::{Deadline, before};
use super::{Socket, take_over};
use crate::Config;
use crate::Connection;
use crate::adapter::Parts;
use crate::adapter::trace::Trace;
use crate::handshake::{AcceptOptions, Accepted, BuildError, ServerRequest};
use crate::tokio::WebSocket;
use crate::tokio::clock;
use crate::upgrade::http;
use crate::{Delivery, Messages};
use crate::{Error, HandshakeError};

/// Checks a request: the first of two steps. The second is [`UpgradeRequest::accept`] or [`UpgradeRequest::respond`].
///
/// A plain HTTP request is not an error: see [`is_upgrade`](ServerRequest::is_upgrade).
///
/// # Errors
///
/// [`HandshakeError::Request`] with the broken rule, [`HandshakeError::Origin`] for an `Origin` that is not ASCII.
/// [`upgrade::http::refuse`](http::refuse) makes the answer.
pub fn receive<B>(request: &mut Request<B>, config: Arc<Config>) -> Result<UpgradeRequest, HandshakeError> {
    let received = http::receive(request, config);
    UpgradeRequest::new(received, request.extensions_mut())
}

/// [`receive`] of a request that has been taken apart.
#[cfg(feature = "axum")]
pub(in crate::upgrade) fn receive_parts(
    parts: &mut request::Parts,
    config: Arc<Config>,
) -> Result<UpgradeRequest, HandshakeError> {
    let received = http::receive_parts(parts, config);
    UpgradeRequest::new(received, &mut parts.extensions)
}

/// A request that has not been answered yet. When it is dropped, the connection stays with HTTP.
#[derive(Debug)]
pub struct UpgradeRequest {
    request: ServerRequest,
    /// Where hyper will hand the connection over.
    upgrade: Option<OnUpgrade>,
    trace: Trace,
}

impl UpgradeRequest {
    fn new(
        received: Result<ServerRequest, HandshakeError>,
        extensions: &mut Extensions,
    ) -> Result<Self, HandshakeError> {
        let trace = Trace::server();
        let request = received.inspect_err(|error| trace.failed(error))?;
        trace.requested(&request);
        let upgrade = if request.is_upgrade() { extensions.remove() } else { None };
        Ok(Self { request, upgrade, trace })
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &ServerRequest {
        &self.request
    }

    /// Replaces the bounds, deadlines and compression.
    #[must_use]
    pub fn with_config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.request = self.request.with_config(config.into());
        self
    }

    /// Prepares a response of your own, which must not be the 101: see [`upgrade::http::respond`](http::respond). A request
    /// for a WebSocket gets `Connection: close`.
    #[must_use]
    pub fn respond<B>(self, response: Response<B>) -> Response<B> {
        self.trace.answered(response.status().as_u16());
        http::respond(&self.request, response)
    }

    /// Accepts the handshake: the 101, which the service has to return, and a value that [opens](Opening::open) the connection
    /// once hyper has written it.
    ///
    /// # Errors
    ///
    /// [`RequestError::NoUpgrade`](crate::handshake::RequestError::NoUpgrade) for plain HTTP; [`HandshakeError::Origin`] when
    /// the policy refuses the origin; [`BuildError::InvalidSubprotocol`] for a subprotocol that the client has not offered;
    /// [`BuildError::NotUpgradable`] when the request does not come from hyper.
    pub fn accept<D: Delivery>(
        self,
        options: &AcceptOptions,
        delivery: D,
    ) -> Result<(Response<String>, Opening<D>), HandshakeError> {
        let Self { request, upgrade, trace } = self;
        let accepted = http::accept(&request, options)
            .and_then(|accepted| Ok((accepted, upgrade.ok_or(BuildError::NotUpgradable)?)));
        let ((response, accepted), upgrade) = accepted.inspect_err(|error| trace.failed(error))?;
        let config = Arc::clone(request.config());
        Ok((response.map(|()| String::new()), Opening { upgrade, accepted, delivery, config, trace }))
    }
}

/// A connection that opens once its 101 is written. When it is dropped, the connection ends then.
#[derive(Debug)]
pub struct Opening<D = Messages> {
    upgrade: OnUpgrade,
    accepted: Accepted,
    delivery: D,
    config: Arc<Config>,
    trace: Trace,
}

impl<D: Delivery> Opening<D> {
    /// Takes the connection over. Await it in another task than the service's, which has to return the response first. Resolves
    /// to `Result<WebSocket<Socket, D>, Error>`. When the future is dropped before that, the connection is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when hyper does not hand the connection over: it was not served `with_upgrades()`, or failed before.
    /// [`HandshakeError::TimedOut`] when that takes longer than [`Config::handshake_timeout`].
    pub async fn open(self) -> Result<WebSocket<Socket, D>, Error> {
        let Self { upgrade, accepted, delivery, config, trace } = self;
        let taken = before(Deadline::of_handshake(&config, clock::now()), take_over(upgrade)).await;
        let (socket, input) = trace.step(taken.map_err(Error::from).flatten())?;
        let connection = Connection::server(delivery, config).with_extensions(accepted.extensions());
        let subprotocol = accepted.subprotocol().map(Box::from);
        let parts = Parts { socket, connection, input, output: BytesMut::new(), subprotocol };
        Ok(WebSocket::from_parts(parts).traced(trace))
    }
}

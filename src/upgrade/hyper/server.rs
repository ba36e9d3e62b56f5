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

use super::{Socket, take_over};
use crate::Config;
use crate::Connection;
use crate::adapter::Parts;
use crate::adapter::trace::Trace;
use crate::handshake::server::{self, Accept, Accepted};
use crate::tokio::WebSocket;
use crate::tokio::clock::{self, before, deadline};
use crate::upgrade::http;
use crate::{Delivery, Messages};
use crate::{Error, HandshakeError};

/// The first of two steps to accept: checks the request. The second is [`Incoming::accept`], or any other response.
///
/// # Errors
///
/// As [`upgrade::http::receive`](http::receive), and [`upgrade::http::refuse`](http::refuse) makes the answer. A request of
/// plain HTTP is no error: [`is_upgrade`](server::Request::is_upgrade) tells.
pub fn receive<B>(request: &mut Request<B>, config: Arc<Config>) -> Result<Incoming, HandshakeError> {
    let received = http::receive(request, config);
    Incoming::new(received, request.extensions_mut())
}

/// [`receive`] of a request that has been taken apart.
#[cfg(feature = "axum")]
pub(in crate::upgrade) fn receive_parts(
    parts: &mut request::Parts,
    config: Arc<Config>,
) -> Result<Incoming, HandshakeError> {
    let received = http::receive_parts(parts, config);
    Incoming::new(received, &mut parts.extensions)
}

/// A request that waits for its answer. To drop it leaves the connection to HTTP.
#[derive(Debug)]
pub struct Incoming {
    request: server::Request,
    /// Where hyper will hand the connection over.
    upgrade: Option<OnUpgrade>,
    trace: Trace,
}

impl Incoming {
    fn new(
        received: Result<server::Request, HandshakeError>,
        extensions: &mut Extensions,
    ) -> Result<Self, HandshakeError> {
        let trace = Trace::server();
        let request = received.inspect_err(|error| trace.failed(error))?;
        trace.requested(&request);
        let upgrade = if request.is_upgrade() { extensions.remove() } else { None };
        Ok(Self { request, upgrade, trace })
    }

    /// What the client asks for.
    #[must_use]
    pub const fn request(&self) -> &server::Request {
        &self.request
    }

    /// With other bounds, deadlines and compression.
    #[cfg(feature = "axum")]
    pub(in crate::upgrade) fn config_mut(&mut self) -> &mut Arc<Config> {
        self.request.config_mut()
    }

    /// Agrees: the response that the service returns, and what [opens](Opening::open) once hyper has written it.
    ///
    /// # Errors
    ///
    /// As [`server::Request::accept`]; [`HandshakeError::NotUpgradable`] when no hyper stands behind the request.
    pub fn accept<D: Delivery>(
        self,
        choices: &Accept,
        delivery: D,
    ) -> Result<(Response<String>, Opening<D>), HandshakeError> {
        let Self { request, upgrade, trace } = self;
        let accepted = http::accept(&request, choices)
            .and_then(|accepted| Ok((accepted, upgrade.ok_or(HandshakeError::NotUpgradable)?)));
        let ((response, accepted), upgrade) = accepted.inspect_err(|error| trace.failed(error))?;
        let config = Arc::clone(request.config());
        Ok((response.map(|()| String::new()), Opening { upgrade, accepted, delivery, config, trace }))
    }
}

/// A connection that opens once its 101 is written. To drop it ends the connection then.
#[derive(Debug)]
pub struct Opening<D = Messages> {
    upgrade: OnUpgrade,
    accepted: Accepted,
    delivery: D,
    config: Arc<Config>,
    trace: Trace,
}

impl<D: Delivery> Opening<D> {
    /// Takes the connection over. Await it in another task than the service's, which has to return the response first.
    /// Dropped before it is done, the connection is dropped with it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when hyper does not hand the connection over: it was not served `with_upgrades()`, or failed before.
    /// [`HandshakeError::TimedOut`] when that takes longer than [`Config::handshake_timeout`].
    pub async fn open(self) -> Result<WebSocket<Socket, D>, Error> {
        let Self { upgrade, accepted, delivery, config, trace } = self;
        let taken = before(deadline(&config, clock::now()), take_over(upgrade)).await;
        let (socket, input) = trace.step(taken.map_err(Error::from).flatten())?;
        let connection = Connection::server(delivery, config).with_extensions(accepted.extensions());
        let subprotocol = accepted.subprotocol().map(Box::from);
        let parts = Parts { socket, connection, input, output: BytesMut::new(), subprotocol };
        Ok(WebSocket::from_parts(parts).traced(trace))
    }
}

//! What the adapters tell `tracing`: a span for each connection, and events when it opens, does not, and ends.
//!
//! No message is an event, and none enters the span: it is the parent of its events, and lives as long as the connection.
//! A query, which may hold a secret, is not told.

use std::boxed::Box;
use std::fmt;

use tracing::field::Empty;
use tracing::{Level, Span, event, info_span};

#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use crate::dial::DialStep;
use crate::handshake::{ClientRequest, ServerRequest};
use crate::{End, Error};

/// A connection's span; `None` when nobody listens, or when its end has been told.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<Box<Span>>);

impl Trace {
    /// A server waits for a request.
    pub(crate) fn server() -> Self {
        Self::new(info_span!(target: TARGET, "websocket", role = "server", host = Empty, path = Empty))
    }

    /// The request is there.
    pub(crate) fn requested(&self, request: &ServerRequest) {
        if let Some(span) = &self.0 {
            span.record("host", request.host()).record("path", request.path());
        }
    }

    /// A client asks.
    pub(crate) fn client(request: &ClientRequest) -> Self {
        let uri = request.uri();
        let path = uri.resource_name().split('?').next();
        Self::new(info_span!(target: TARGET, "websocket", role = "client", host = uri.host_field(), path))
    }

    fn new(span: Span) -> Self {
        Self((!span.is_disabled()).then(|| Box::new(span)))
    }

    /// Whether there is anything to tell of this connection.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A step of the opening handshake: tells why, when the connection does not open.
    pub(crate) fn step<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| self.failed(error))
    }

    /// The connection did not open.
    pub(crate) fn failed(&self, error: &dyn fmt::Display) {
        if let Some(span) = &self.0 {
            event!(target: TARGET, parent: &**span, Level::INFO, %error, "not opened");
        }
    }

    /// What a client's dial machine does next.
    #[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
    pub(crate) fn dialling(&self, step: &DialStep) {
        if let Some(span) = &self.0
            && !matches!(step, DialStep::Wait { .. } | DialStep::Failed(_))
        {
            event!(target: TARGET, parent: &**span, Level::DEBUG, %step, "dialling");
        }
    }

    /// A server answered with a response of its own.
    pub(crate) fn answered(&self, status: u16) {
        if let Some(span) = &self.0 {
            event!(target: TARGET, parent: &**span, Level::DEBUG, status, "answered");
        }
    }

    /// The connection is open.
    pub(crate) fn opened(&self, subprotocol: Option<&str>) {
        if let Some(span) = &self.0 {
            event!(target: TARGET, parent: &**span, Level::DEBUG, subprotocol, "opened");
        }
    }

    /// The connection has ended. Told once.
    pub(crate) fn ended(&mut self, end: Option<End>) {
        let Some(End { sent, received, by, clean, cause }) = end else { return };
        let Some(span) = self.0.take() else { return };
        let [sent, received] = [sent, received].map(|code| code.map(|code| code.0));
        if clean {
            event!(target: TARGET, parent: &*span, Level::DEBUG, sent, received, ?by, ?cause, "closed");
        } else {
            event!(target: TARGET, parent: &*span, Level::INFO, sent, received, ?by, ?cause, "failed");
        }
    }
}

/// One name to filter by, whatever the module.
const TARGET: &str = "bowsprit";

//! What a handler is told.

use std::any::Any;
use std::boxed::Box;
use std::fmt;
use std::string::String;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::End;
use crate::Error;
use crate::Message;
use crate::tokio::WebSocket;
use crate::{Close, CloseCode, CloseError};

/// Any error: what `?` makes of the errors of a callback.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What happens to a connection, in this order: open, messages, perhaps an error, and always a close.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It is open; nothing has been received yet.
    Open,
    /// A message.
    Message(Message<'a>),
    /// It failed. The close follows.
    Error(&'a Failure),
    /// It has ended: the last event.
    Close(&'a Closed),
}

/// Why a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The peer broke the protocol, was lost or kept none of the deadlines; or it never opened.
    Connection(Error),
    /// A callback returned an error: the peer is told 1011, or what a [`CloseError`] says.
    Handler(BoxError),
    /// A callback panicked, with this message. The connection is closed with 1011.
    Panic(Box<str>),
    /// A callback was still running 10 s after its connection began to close, failed, or was left by its peer. The callback
    /// was dropped.
    HandlerTimeout,
}

impl Failure {
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::Panic(text.unwrap_or("a value that is no text").into())
    }

    /// The Close that the peer is told, where it is ours to tell.
    pub(crate) fn close(&self) -> Close<'_> {
        match self {
            Self::Handler(error) => error.downcast_ref().map_or(CloseCode::INTERNAL_ERROR.into(), CloseError::close),
            // What the callback knows is not the peer's to know.
            Self::Connection(_) | Self::Panic(_) | Self::HandlerTimeout => CloseCode::INTERNAL_ERROR.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => fmt::Display::fmt(error, f),
            Self::Handler(error) => write!(f, "the handler failed: {error}"),
            Self::Panic(message) => write!(f, "the handler panicked: {message}"),
            Self::HandlerTimeout => f.write_str("the handler was still running 10 s after the end of its connection"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connection(error) => error.source(),
            Self::Handler(error) => error.source(),
            Self::Panic(_) | Self::HandlerTimeout => None,
        }
    }
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    /// Codes sent and received, who began, whether it was clean, and why.
    pub end: End,
    /// The reason in the peer's Close, at most 123 bytes; empty where it gave none.
    pub reason: Box<str>,
}

impl Closed {
    /// Waits for the end of a connection that has begun to close, or has failed.
    pub(crate) async fn of<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocket<S>) -> Self {
        Self { end: ws.finish().await, reason: ws.close_reason().into() }
    }

    /// The code of the peer's Close; 1005 where it held none, 1006 where there was no Close (RFC 6455 section 7.1.5).
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.end.code()
    }

    /// Whether both sides sent their Close, and nothing else went wrong (RFC 6455 section 7.1.4).
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.end.clean
    }
}

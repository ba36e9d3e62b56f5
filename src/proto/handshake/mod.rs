//! The opening handshake (RFC 6455 section 4), without a socket: bytes in, bytes out.
//!
//! ```text
//!  ClientRequest ──> ClientHandshake ── GET ... ──────────> ServerHandshake ──> ServerRequest
//!                           │                                                       │
//!  ClientResponse <── receive <──────── 101 ... ───────────────────────────────── accept
//!  HandshakeError::Refused  <────────── 403 ... ───────────────────────────────── respond
//! ```
//!
//! | Type | |
//! |---|---|
//! | [`ClientRequest`] | the request that a client sends |
//! | [`ClientHandshake`] | a client's handshake: writes the request, checks the response |
//! | [`ClientResponse`] | the server's response, also of a refusal |
//! | [`ServerHandshake`] | a server's handshake: reads the request and checks it |
//! | [`ServerRequest`] | the request, to be accepted with [`AcceptOptions`] or answered with another status |
//! | [`OriginPolicy`] | the web pages that may connect |
//! | [`key`] | `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` |
//!
//! Heads arrive in pieces of any size and are bounded by [`Config::max_head`](crate::Config::max_head) and
//! [`Config::max_head_fields`](crate::Config::max_head_fields). The bytes after a head stay in the input.
//!
//! # Over another HTTP library
//!
//! Where an HTTP library reads and writes the heads, the same checks run over what it has parsed, and give the same
//! verdicts: [`ServerRequest::from_parts`], [`ServerRequest::accept_headers`] and [`HandshakeError::response`] on a
//! server; [`ResponseValidator`] on a client.

pub(in crate::proto) mod authority;
mod body;
pub(in crate::proto) mod client;
pub(in crate::proto) mod credentials;
pub(in crate::proto) mod error;
mod extension_filter;
pub(in crate::proto) mod head;
mod headers;
pub mod key;
mod origin;
mod percent;
pub(in crate::proto) mod reply;
pub(in crate::proto) mod server;
pub(in crate::proto) mod text;
pub(in crate::proto) mod uri;
mod uri_error;

pub use client::{ClientHandshake, ClientRequest, ClientResponse, ResponseValidator};
pub use error::{BuildError, ErrorResponse, HandshakeError, HeadError, OriginError, RequestError, ResponseError};
pub use head::HttpVersion;
pub use headers::Headers;
pub use origin::{Origin, OriginFn, OriginPattern, OriginPolicy};
pub use server::{AcceptOptions, Accepted, ServerHandshake, ServerRequest};
pub use uri::Uri;
pub use uri_error::UriError;

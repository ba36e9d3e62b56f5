//! Doors into the ecosystem: the opening handshake where somebody else reads and writes HTTP.
//!
//! | Module | Feature | |
//! |---|---|---|
//! | `http` | `http` | requests and responses as types of the crate `http`; without a socket |
//! | `hyper` | `hyper` | a connection of hyper 1, taken over: both roles |
//! | `axum` | `axum` | an extractor and its responses |
//!
//! No rule stands here. A door turns a header map into the list of [`Fields`](crate::handshake::Fields) that the checks
//! of [`handshake`](crate::handshake) run over, and their answer into a header map. So the policy for `Origin`, the
//! subprotocol and the extensions are chosen as everywhere, in [`server::Accept`](crate::handshake::server::Accept) and
//! [`Config`](crate::Config); the bounds on a head are those of whoever reads it.
//!
//! HTTP/1.1 alone opens a WebSocket so far: another version is refused.

#[cfg(feature = "axum")]
pub mod axum;
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;

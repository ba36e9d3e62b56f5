//! Integrations: the opening handshake where another library reads and writes HTTP.
//!
//! | Module | Feature | |
//! |---|---|---|
//! | `http` | `http` | requests and responses in types of the crate `http`; without a socket |
//! | `hyper` | `hyper` | connections of hyper 1, both roles |
//! | `axum` | `axum` | an extractor and its responses |
//!
//! The rules of the handshake are in [`handshake`](crate::handshake). An integration converts between a header map and
//! [`Headers`](crate::handshake::Headers). The policy for `Origin`, the subprotocol and the extensions are chosen as
//! with the adapters: in [`AcceptOptions`](crate::handshake::AcceptOptions) and [`Config`](crate::Config). The
//! library that reads a head bounds it.
//!
//! Only HTTP/1.1 opens a WebSocket so far: other versions are refused.

#[cfg(feature = "axum")]
pub mod axum;
pub mod http;
#[cfg(feature = "hyper")]
pub mod hyper;

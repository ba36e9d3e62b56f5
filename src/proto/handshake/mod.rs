//! The opening handshake (RFC 6455 section 4), without a socket: bytes in, bytes out.
//!
//! ```text
//!  client::Request ──> client::Handshake ── GET ... ──────────> server::Handshake ──> server::Request
//!                             │                                                         │ accept
//!  client::Response <── receive <─────────── 101 ... ──────────────────────────────── Accepted
//!  HandshakeError::Refused  <─────────────── 403 ... ───────────────────────────────── respond
//! ```
//!
//! | Module | |
//! |---|---|
//! | [`client`] | the request, and the checks of the response |
//! | [`server`] | the checks of the request, and the answer |
//! | [`key`] | `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` |
//!
//! The checks run over a list of header [`Fields`]. Heads arrive in any cut, are bounded by
//! [`Config::max_head`](crate::Config::max_head) and [`Config::max_head_fields`](crate::Config::max_head_fields), and
//! the bytes behind a head stay where they are.

mod body;
mod choice;
pub mod client;
mod error;
mod fields;
mod head;
pub mod key;
mod origin;
mod reply;
pub mod server;
mod uri;

pub use error::HandshakeError;
pub use fields::Fields;
#[cfg(feature = "http")]
pub(crate) use head::{RequestHead, ResponseHead};
pub use origin::{Origin, OriginPolicy};
pub use uri::{Uri, UriError};

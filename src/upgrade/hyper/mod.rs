//! WebSockets on the connections of hyper 1, both roles. hyper speaks HTTP/1.1, and hands the connection over.
//!
//! A server answers the request, and takes the connection over in a task of its own, since hyper hands it over only once
//! the answer is written:
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use bowsprit::handshake::AcceptOptions;
//! use bowsprit::{Config, HandshakeError, Messages, upgrade};
//! use hyper::body::Incoming;
//! use hyper::{Request, Response};
//!
//! /// A service of hyper. Its connections are served `with_upgrades()`.
//! async fn serve(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(echo(&mut request).unwrap_or_else(|error| upgrade::http::refuse(&error)))
//! }
//!
//! fn echo(request: &mut Request<Incoming>) -> Result<Response<String>, HandshakeError> {
//!     let received = upgrade::hyper::receive(request, Arc::new(Config::default()))?;
//!     let (response, opening) = received.accept(&AcceptOptions::new(), Messages)?;
//!     tokio::spawn(async move {
//!         let mut ws = opening.open().await?;
//!         while let Some((message, out)) = ws.next().await? {
//!             out.feed(message).await?;
//!         }
//!         Ok::<_, bowsprit::Error>(())
//!     });
//!     Ok(response)
//! }
//! ```
//!
//! A client is [`connect`].
//!
//! hyper bounds, reads and writes the heads. [`Config::max_head`](crate::Config::max_head) and
//! [`Config::max_head_fields`](crate::Config::max_head_fields) have no effect, nor has
//! [`Config::handshake_timeout`](crate::Config::handshake_timeout) until hyper has read the request. Set hyper's own bounds:
//!
//! ```
//! use std::time::Duration;
//!
//! let mut builder = hyper::server::conn::http1::Builder::new();
//! builder
//!     .max_buf_size(16 << 10) // Config::max_head; hyper allows no less than 8 KiB
//!     .max_headers(100) // Config::max_head_fields
//!     .timer(hyper_util::rt::TokioTimer::new())
//!     .header_read_timeout(Duration::from_secs(10)); // Config::handshake_timeout
//! ```

mod client;
pub(crate) mod deadline;
#[cfg(feature = "server")]
mod guarded;
mod server;
mod socket;

pub use client::connect;
#[cfg(feature = "server")]
pub(crate) use guarded::Guarded;
#[cfg(feature = "axum")]
pub(super) use server::receive_parts;
pub use server::{Opening, UpgradeRequest, receive};
pub use socket::Socket;

use std::io;

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;

use crate::Error;

/// The connection that hyper hands over once both heads are through.
async fn take_over(upgrade: OnUpgrade) -> Result<(Socket, BytesMut), Error> {
    let (socket, input) = Socket::new(upgrade.await.map_err(io::Error::other)?);
    // As in every adapter: small frames do not wait for an acknowledgement.
    if let Some(stream) = socket.tcp() {
        stream.set_nodelay(true)?;
    }
    Ok((socket, input))
}

//! WebSockets on the connections of hyper 1, both roles. hyper speaks HTTP/1.1, and hands the connection over.
//!
//! A server answers the request and takes the connection over in a task of its own, since hyper lets it go only once
//! the answer is written:
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! use bowsprit::handshake::server::Accept;
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
//!     let incoming = upgrade::hyper::receive(request, Arc::new(Config::default()))?;
//!     let (response, opening) = incoming.accept(&Accept::new(), Messages)?;
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
//! Heads are bounded, read and written by hyper: [`Config::max_head`](crate::Config::max_head) and
//! [`Config::max_head_fields`](crate::Config::max_head_fields) say nothing here, and until hyper has read the request,
//! nor does [`Config::handshake_timeout`](crate::Config::handshake_timeout): give hyper's server a timer.

mod client;
#[cfg(feature = "server")]
mod guarded;
mod server;
mod socket;

pub use client::connect;
#[cfg(feature = "server")]
pub(crate) use guarded::Guarded;
#[cfg(feature = "axum")]
pub(super) use server::receive_parts;
pub use server::{Incoming, Opening, receive};
pub use socket::Socket;

use std::io;

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;

use crate::Error;

/// What hyper hands over once both heads are through.
async fn take_over(upgrade: OnUpgrade) -> Result<(Socket, BytesMut), Error> {
    let (socket, input) = Socket::new(upgrade.await.map_err(io::Error::other)?);
    // As for every socket that is known as one: small frames do not wait for an acknowledgement.
    if let Some(stream) = socket.tcp() {
        stream.set_nodelay(true)?;
    }
    Ok((socket, input))
}

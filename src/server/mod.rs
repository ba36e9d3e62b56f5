//! Routes, sessions and topics: a server on hyper and [`tokio`](crate::tokio), for applications without a framework.
//!
//! ```text
//!   serve ── hyper ── Router ── Route ─┬─ get, post, ..     a response of plain HTTP
//!                                      └─ Endpoint ─┬─ websocket(async fn(WebSocket))
//!                                                   └─ handler(|session| impl Handler<Session>)
//!   Session   one connection: who it is, and a way to send to it from any task
//!   Topics    messages to all sessions that subscribed, encoded once; a Backplane carries them to other processes
//! ```
//!
//! No rule of the protocol is implemented here, and no HTTP is parsed: hyper reads the heads, within the bounds of
//! [`Config`](crate::Config), and [`upgrade::hyper`](crate::upgrade::hyper) does the opening handshake. Once a connection is
//! upgraded, its socket is taken over from hyper, and nothing of hyper is kept.
//!
//! # Requests that other adapters refuse
//!
//! hyper is more lenient than the parser of this crate, which `blocking` and [`tokio`](crate::tokio) use.
//! Here, these requests are accepted, and answered with 400 there:
//!
//! - a head whose lines end with LF instead of CR LF (RFC 9112 section 2.2 allows a recipient to accept it);
//! - an empty line (CR LF or LF) before the request line (RFC 9112 section 2.2 asks servers to ignore it);
//! - a `#` in the request target: hyper drops it and all that follows (RFC 9112 section 3.2 does not allow it).
//!
//! Every response to a request with an `Upgrade` field that is not 101 carries `Connection: close`, and bytes that follow the
//! request are not read.
//!
//! # Connections that live long
//!
//! Proxies cut idle connections, many of them after 60 s, and keep-alive pings are off by default. A server whose connections
//! live long sets [`Config::ping_interval`](crate::Config::ping_interval), 20 s for example, by
//! [`Router::config`]; a peer that vanished is then noticed within that time and
//! [`Config::pong_timeout`](crate::Config::pong_timeout).
//!
//! A callback that blocks its thread delays every session of that thread: move such work to
//! [`spawn_blocking`](https://docs.rs/tokio/latest/tokio/task/fn.spawn_blocking.html).
//!
//! # Example
//!
//! ```no_run
//! use bowsprit::server::{Request, Router, WebSocket, get, html, serve, websocket};
//! use bowsprit::session::BoxError;
//!
//! async fn echo(mut ws: WebSocket) -> Result<(), BoxError> {
//!     while let Some((message, out)) = ws.next().await? {
//!         out.feed(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! # async fn example() -> std::io::Result<()> {
//! let (shut_down, begun) = tokio::sync::oneshot::channel::<()>();
//! let router = Router::new()
//!     .route("/", get(async |_: Request| html("<script>new WebSocket('/echo')</script>")))
//!     .route("/echo", websocket(echo));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! // Until `shut_down` is used, or dropped: on a signal, say.
//! serve(listener, router, async { drop(begun.await) }).await;
//! # drop(shut_down);
//! # Ok(())
//! # }
//! ```

mod backplane;
mod endpoint;
mod listener;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod response;
mod router;
mod serve;
mod session;
mod sessions;
mod topic;
mod topics;
mod websocket;

pub use backplane::{Backplane, BackplaneError, Dispatcher, Pending};
pub use endpoint::{Endpoint, Outcome, handler, websocket};
pub use listener::Listener;
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use request::Request;
pub use response::{Response, html, text};
pub use router::{Route, Router, delete, get, on, post, put};
pub use serve::serve;
pub use session::{Session, SessionId};
pub use topic::Published;
pub use topics::{Subscription, Topics};
pub use websocket::WebSocket;

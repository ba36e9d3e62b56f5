//! Routes, sessions and topics: a server on hyper and [`tokio`](crate::tokio), for who has none.
//!
//! ```text
//!   serve ── hyper ── Router ── Route ─┬─ get, post, ..     a response of plain HTTP
//!                                      └─ Endpoint ─┬─ websocket(async fn(WebSocket))
//!                                                   └─ handler(|session| impl Handler<Session>)
//!   Session   one connection: who it is, and a way to send to it from any task
//!   Topics    messages to all sessions that subscribed, encoded once; a Backplane carries them to other processes
//! ```
//!
//! No rule of the protocol stands here, and no HTTP is parsed: heads are hyper's, held to the bounds of
//! [`Config`](crate::Config), the opening handshake is [`upgrade::hyper`](crate::upgrade::hyper)'s. Once a connection is
//! upgraded, its socket is taken back from hyper, and nothing of that is kept.
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

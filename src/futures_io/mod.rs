//! smol, and every other runtime whose streams are those of `futures-io`: the asynchronous adapter without tokio.
//!
//! ```no_run
//! # type Listener = async_io::Async<std::net::TcpListener>;
//! # fn spawn<T>(_: impl Future<Output = T> + Send + 'static) {}
//! # async fn example() -> std::io::Result<()> {
//! let listener = Listener::bind(([127, 0, 0, 1], 9001))?; // or any other source of streams
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     stream.get_ref().set_nodelay(true)?;
//!     spawn(async move {
//!         let mut ws = bowsprit::futures_io::accept(stream).await?;
//!         while let Some((message, out)) = ws.next().await? {
//!             out.feed(message).await?;
//!         }
//!         Ok::<_, bowsprit::Error>(())
//!     });
//! }
//! # }
//! ```
//!
//! A stream is anything that is `AsyncRead + AsyncWrite + Unpin`: a TCP or Unix socket, TLS of any library, a pipe in memory.
//! [`connect_with`] opens a client's connection over one. Dialling and TLS are left to the runtime's libraries.
//!
//! # When do bytes leave?
//!
//! When `send` resolves, the stream has accepted the message. `feed` queues: what is queued leaves before the stream is
//! read again, when the queue reaches [`Config::max_unsent`](crate::Config::max_unsent), or on `flush`. So the loop above
//! writes once for all messages of a read. A handler that awaits anything else after `feed` calls `flush` first.
//!
//! `send`, `flush`, and `feed` with a full queue wait for the stream and read nothing meanwhile. Where the peer may do the
//! same, use [`try_feed`](WebSocket::try_feed).
//!
//! # Cancelling
//!
//! Every future of [`WebSocket`] and [`Writer`] may be dropped at any await. Nothing that has arrived is lost, no frame is
//! torn, and a message has been queued once and as a whole, or not at all. The exceptions are the futures that own the
//! stream (the opening handshake, and [`close`](WebSocket::close)): they drop it.
//!
//! # Timers
//!
//! Deadlines are timers of `async-io`, which smol and async-std use themselves. They work on every executor: where nobody
//! drives `async-io`, it starts a thread to do so.

mod io;
mod open;
mod websocket;

pub use crate::adapter::Parts;
pub use open::{Incoming, accept, accept_with, connect_on, connect_with, receive_request};
pub use websocket::{WebSocket, Writer};

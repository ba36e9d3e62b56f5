//! Tasks and tokio: the asynchronous adapter. (It is not called `tokio`: that would shadow the crate.)
//!
//! It holds no rule of the protocol. It reads into the machine, writes what the machine appends, and keeps the
//! deadlines that the machine asks for.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     tokio::spawn(async move {
//!         stream.set_nodelay(true)?;
//!         let mut ws = bowsprit::tokio::accept(stream).await?;
//!         while let Some((message, out)) = ws.next().await? {
//!             out.feed(message).await?;
//!         }
//!         Ok::<_, bowsprit::Error>(())
//!     });
//! }
//! # }
//! ```
//!
//! # When do bytes leave?
//!
//! `send` has handed its bytes to the socket when it is done. `feed` queues: what is queued leaves before the adapter
//! reads from the socket again, when the queue reaches its bound, or on `flush`. So the loop above writes once a batch.
//! A handler that awaits anything else after `feed` calls `flush` first. An unmasked payload of 4 KiB or more is not
//! queued but offered to the socket at once, uncopied, behind what is; what the socket does not take is queued.
//!
//! `send`, `flush`, and `feed` at the bound wait for room, and read nothing meanwhile. Where the peer may do the same,
//! [`split`](WebSocket::split).
//!
//! # Cancelling
//!
//! Every future here may be dropped at any await, in a `select!` or a timeout. Nothing that has arrived is lost, no frame
//! is torn, and a message has been queued once and whole, or not at all. To drop the future of an opening handshake, or
//! of [`close`](WebSocket::close), drops its stream.
//!
//! # How it ends
//!
//! `next` gives `None` once both sides have sent their Close, and an error when anything went wrong; `end()` tells.
//! Before either, it has written what was left, shut down the writing side, and read until the peer ended the stream
//! or [`Config::close_timeout`](crate::Config::close_timeout) was over: closing a socket with unread input destroys
//! what is on its way to the peer. [`Shutdown`] says goodbye to many at once.
//!
//! # Runtime
//!
//! Any of tokio's, with its timers enabled (`enable_time`, or `enable_all`): where they are not, tokio panics at the first
//! deadline, which is that of the opening handshake.
//!
//! # Memory
//!
//! A [`WebSocket`] is a pointer to less than 300 bytes, its socket among them. It holds no buffer while it waits for its
//! peer, unless part of a message is there: it reads into a block of its thread, and queues in another. A timer is made
//! when a deadline is set.

mod accept;
pub(crate) mod clock;
mod connect;
mod dial;
mod half;
mod io;
mod message_reader;
mod message_writer;
mod next;
mod queue;
mod receiver;
mod sender;
mod sending;
mod shutdown;
mod socket;
mod split;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod verbs;
mod watch;
mod websocket;
mod writer;

pub use crate::adapter::Parts;
pub use accept::{Incoming, accept, accept_with, receive_request};
pub use connect::{Connector, connect, connect_with};
pub use dial::Lookup;
pub use message_reader::MessageReader;
pub use message_writer::MessageWriter;
pub use next::{Next, ReadMessage, ReaderNext, ReaderRecv, Recv};
#[cfg(feature = "server")]
pub(crate) use queue::Offered;
pub use queue::WhenFull;
pub use sender::{Queuing, Sender};
pub use sending::Sending;
pub use shutdown::Shutdown;
pub use socket::Stream;
pub use split::{WebSocketReader, WebSocketWriter};
pub use stream::WebSocketStream;
#[cfg(feature = "rustls")]
pub use tls::TlsStream;
pub use websocket::WebSocket;
pub use writer::Writer;

//! Threads and `std::net`: the blocking adapter.
//!
//! It holds no rule of the protocol. It reads into the machine, writes what the machine appends, and keeps the
//! deadlines that the machine asks for.
//!
//! ```no_run
//! use bowsprit::blocking;
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
//! for stream in listener.incoming() {
//!     std::thread::spawn(move || -> Result<(), bowsprit::Error> {
//!         let mut ws = blocking::accept(stream?)?;
//!         while let Some((message, out)) = ws.next()? {
//!             out.feed(message)?;
//!         }
//!         Ok(())
//!     });
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When do bytes leave?
//!
//! `send` has handed its bytes to the socket when it returns. `feed` queues: what is queued leaves before the adapter
//! reads from the socket again, when the queue reaches its bound, or on `flush`. So the loop above writes once a batch.
//! A handler that waits for anything else after `feed` calls `flush` first.
//!
//! `send`, `flush`, and `feed` at the bound wait for room, and read nothing meanwhile. Where the peer may do the same,
//! [`split`](WebSocket::split).
//!
//! # How it ends
//!
//! `next` gives `None` once both sides have sent their Close, and an error when anything went wrong; `end()` tells.
//! Before either, it has written what was left, shut down the writing side, and read until the peer ended the stream
//! or [`Config::close_timeout`](crate::Config::close_timeout) was over: closing a socket with unread input destroys
//! what is on its way to the peer.
//!
//! # Deadlines and threads
//!
//! A [`Transport`] can be written without waiting and waited for with a limit: deadlines are kept, and a peer that does
//! not read cannot keep this end from reading. One that is also [`Duplicate`] can be [`split`](WebSocket::split), for
//! one thread that reads and another that writes. `TcpStream` and `UnixStream` are both, and so is `TlsStream` around
//! them (feature `rustls`). Any other `Read + Write` goes into [`Plain`], which has neither.

mod accept;
mod connect;
#[cfg(unix)]
mod dial;
mod half;
mod io;
mod message_reader;
mod receiver;
mod split;
#[cfg(unix)]
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod transport;
mod websocket;
mod writer;

use crate::adapter::clock;

pub use crate::adapter::Parts;
pub use accept::{Incoming, accept, accept_with, receive_request};
#[cfg(unix)]
pub use connect::connect;
pub use connect::{Connector, connect_with};
pub use message_reader::MessageReader;
pub use split::{WebSocketReader, WebSocketWriter};
#[cfg(unix)]
pub use stream::Stream;
#[cfg(feature = "rustls")]
pub use tls::TlsStream;
pub use transport::{Duplicate, Interest, Plain, Ready, Transport};
pub use websocket::WebSocket;
pub use writer::Writer;

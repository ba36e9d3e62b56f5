//! Clients that reconnect, and a registry of outgoing connections.
//!
//! No rule of the protocol is implemented here: [`tokio`](crate::tokio) opens the connections, and
//! [`session`](crate::session) runs handlers over them.
//!
//! ```text
//!                  it opens            it is lost
//!   Connecting ----------------> Open ------------> Waiting --+
//!     ^    |                      |                  ^        |
//!     |    |  an attempt fails    |                  |        |
//!     |    +----------------------|------------------+        |
//!     |    |                      |                           |  the delay is over
//!     |    |  permanent refusal,  |  1000, or our Close       |
//!     |    |  or too many         v                           |
//!     |    +------------------> Ended                         |
//!     +-------------------------------------------------------+
//! ```
//!
//! | | |
//! |---|---|
//! | [`Reconnecting`] | connects again after a loss; a loop over messages, connections and losses |
//! | [`Connect`] | its hooks: how to open, how to resume, when to give up |
//! | [`Backoff`] | the delays before its attempts (RFC 6455 section 7.2.3), from [`retry`](crate::retry) |
//! | [`DisconnectReason`] | why there is no connection, and whether another attempt may succeed |
//! | [`Handle`], [`State`] | to send, close and watch from any task |
//! | [`Clients`], [`Client`] | a registry of connections, each with a [`Handler`](crate::session::Handler) and a task |
//! | [`connect`](connect()) | one connection with a handler, in no registry |

mod connect;
mod disconnect;
mod entry;
mod handle;
mod reconnecting;
mod registry;

use crate::tokio::WhenFull;

pub use crate::retry::Backoff;
pub use connect::{Attempt, Connect};
pub use disconnect::DisconnectReason;
pub use entry::Client;
pub use handle::{Handle, State};
pub use reconnecting::{ClientEvent, ClientWriter, Reconnecting};
pub use registry::{Clients, connect};

/// The queue of a connection for messages of other tasks: its size in bytes, and senders wait while it is full.
const QUEUE: (usize, WhenFull) = (1 << 20, WhenFull::Wait);

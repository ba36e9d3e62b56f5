//! Clients that come back, and a registry of outgoing connections.
//!
//! No rule of the protocol stands here: [`tokio`](crate::tokio) opens the connections, and [`session`](crate::session) tells
//! handlers of them.
//!
//! ```text
//!                  it opens            it is lost
//!   Connecting ----------------> Open ------------> Waiting --+
//!     ^    |                      |                  ^        |
//!     |    |  an attempt fails    |                  |        |
//!     |    +----------------------|------------------+        |
//!     |    |                      |                           |  the delay is over
//!     |    |  refused for good,   |  1000, or our Close       |
//!     |    |  or too often        v                           |
//!     |    +------------------> Ended                         |
//!     +-------------------------------------------------------+
//! ```
//!
//! | | |
//! |---|---|
//! | [`Reconnecting`] | a loop that hands out messages, openings and losses; connects again by itself |
//! | [`Plan`] | its hooks: how to open, how to resume, when to give up |
//! | [`Backoff`] | how long it waits (RFC 6455 section 7.2.3) |
//! | [`Lost`] | what went wrong, and whether it may change |
//! | [`Handle`], [`State`] | send, close and watch from any task |
//! | [`Clients`], [`Client`] | the registry: each connection with a [`Handler`](crate::session::Handler) and a task |
//! | [`connect`](connect()) | one connection with a handler, in no registry |

mod entry;
mod handle;
mod lost;
mod plan;
mod reconnecting;
mod registry;

use crate::tokio::WhenFull;

pub use crate::retry::Backoff;
pub use entry::Client;
pub use handle::{Handle, State};
pub use lost::Lost;
pub use plan::Plan;
pub use reconnecting::{Incident, Reconnecting};
pub use registry::{Clients, connect};

/// The queue of a connection for what other tasks send: about this many bytes, and who finds it full waits.
const QUEUE: (usize, WhenFull) = (1 << 20, WhenFull::Wait);

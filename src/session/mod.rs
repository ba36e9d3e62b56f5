//! A connection driven by callbacks: what the server layer and the client's registry share.
//!
//! No rule of the protocol stands here, and no socket is opened: a [`Handler`] is told of what [`tokio`](crate::tokio) hands
//! out, and what it returns is sent.
//!
//! ```text
//!   Open ── Message* ── Error? ── Close          exactly one Open, and exactly one Close behind everything
//! ```

mod drive;
mod event;
mod handler;

pub(crate) use drive::drive;
#[cfg(feature = "server")]
pub(crate) use drive::{guarded, start_close};
pub use event::{Closed, Event, Failure};
pub use handler::{BoxError, Handler};

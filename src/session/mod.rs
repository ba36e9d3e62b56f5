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

pub use drive::drive;
pub(crate) use drive::run;
#[cfg(feature = "server")]
pub(crate) use drive::{catch_panic, start_close};
pub use event::{BoxError, Closed, Event, Failure};
pub use handler::Handler;

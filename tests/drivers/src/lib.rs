//! An event loop for WebSockets: one thread, any number of connections, server and client.
//!
//! It uses nothing of `bowsprit` but the driver, so it shows what an adapter for another event loop or runtime takes:
//!
//! | Module | |
//! |---|---|
//! | `drive` | the loop of the adapter: does with a socket what a state machine of the driver says |
//! | `connection` | a connection from its opening handshake to its end |
//! | `event_loop` | which connection is next: events of `mio`, and deadlines |
//! | `pool` | the buffers that all connections share |

mod connection;
mod drive;
mod event_loop;
mod pool;

pub use event_loop::{Application, EventLoop};
pub use pool::Pool;

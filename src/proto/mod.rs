//! Layers 0 to 3: the protocol, without sockets, clocks or random sources.
//!
//! Everything below this module is private to it or public for everybody: items for the layers inside are
//! `pub(in crate::proto)`, so that adapters and integrations stand on what other crates can use as well.

pub(crate) mod close;
pub(crate) mod config;
pub(crate) mod connection;
pub mod driver;
pub(crate) mod error;
pub mod extension;
pub(crate) mod frame;
pub mod handshake;
pub(crate) mod inbound;
pub(crate) mod link;
pub mod mask;
pub(crate) mod message;
pub(crate) mod outbound;
pub(crate) mod outgoing;
pub(crate) mod prepared;
pub(crate) mod role;
mod steps;
pub(crate) mod timers;
pub mod utf8;

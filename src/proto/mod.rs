//! Layers 0 to 3: the protocol, without sockets, clocks or random sources.
//!
//! Everything below this module is private to it or public for everybody: items for the layers inside are
//! `pub(in crate::proto)`, so that adapters and integrations stand on what other crates can use as well.

mod ceiling;
mod close;
mod close_code;
mod config;
mod connection;
pub mod dial;
pub mod driver;
mod error;
pub mod extension;
mod frame;
pub mod handshake;
mod inbound;
mod link;
pub mod mask;
mod message;
mod outbound;
mod outgoing;
mod prepared;
mod role;
mod steps;
mod timers;
pub mod utf8;

#[cfg(feature = "deflate")]
pub use extension::permessage_deflate::Deflate;
pub use {
    close::{Close, CloseError},
    close_code::CloseCode,
    config::Config,
    connection::{Batch, Connection, Outbox},
    driver::ConnectionError,
    error::{Exceeded, HandshakeError, ProtocolError, SendError},
    frame::{Header, HeaderBytes, OpCode, Rsv},
    inbound::{Cursor, Inbound},
    link::{Cause, End, Initiator, TransportState},
    mask::Mask,
    message::{Chunk, Chunks, Delivery, Event, Message, Messages, OwnedMessage, Utf8Bytes},
    outbound::Outbound,
    outgoing::{Outgoing, Uncopied},
    prepared::Prepared,
    role::Role,
    timers::Timeout,
};

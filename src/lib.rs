//! WebSocket (RFC 6455), sans-IO. (tour to come)

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "blocking")]
pub mod blocking;
pub mod close;
pub mod config;
pub mod connection;
pub mod error;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod inbound;
pub mod link;
pub mod mask;
pub mod message;
pub mod outbound;
pub mod role;
mod steps;
pub mod timers;
pub mod utf8;

#[cfg(feature = "std")]
pub use error::Error;
pub use {
    close::{Close, CloseCode},
    config::Config,
    connection::{Batch, Connection, Outbox},
    error::{HandshakeError, ProtocolError, SendError},
    frame::{Header, HeaderBytes, OpCode, Rsv},
    inbound::{Cursor, Inbound},
    link::{Cause, End, Initiator, Transport},
    mask::Mask,
    message::{Chunk, Chunks, Delivery, Event, Message, Messages, OwnedMessage, Utf8Bytes},
    outbound::{Outbound, Prepared},
    role::Role,
    timers::Timeout,
};

//! WebSocket (RFC 6455), sans-IO. (tour to come)

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod close;
pub mod config;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod utf8;

#[cfg(feature = "std")]
pub use error::Error;
pub use {
    close::{Close, CloseCode},
    config::Config,
    error::{HandshakeError, ProtocolError, SendError},
    frame::{Header, HeaderBytes, OpCode, Rsv},
    mask::Mask,
};

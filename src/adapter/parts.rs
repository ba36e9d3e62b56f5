//! What a connection of an adapter is made of.

use std::boxed::Box;

use bytes::BytesMut;

use crate::{Connection, Messages};

/// What a `WebSocket` of an adapter is made of.
#[derive(Debug)]
pub struct Parts<S, D = Messages> {
    /// The stream, behind the opening handshake.
    pub socket: S,
    /// The machine.
    pub connection: Connection<D>,
    /// What was read and not consumed.
    pub input: BytesMut,
    /// What is to be written.
    pub output: BytesMut,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<Box<str>>,
}

//! The opening handshake (RFC 6455 section 4). (skeleton)

/// The connection did not open.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {}

impl core::fmt::Display for HandshakeError {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

impl core::error::Error for HandshakeError {}
